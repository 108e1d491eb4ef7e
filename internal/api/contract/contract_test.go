package contract_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"stoker/internal/api"
	"stoker/internal/api/contract"
)

const (
	id      = "req-11111111-2222-4333-8444-555555555555"
	service = `{"binary": "cinder-backup", "host": "h", "zone": "nova", "status": "enabled", "state": "up", "updated_at": null, "disabled_reason": null}`
	changed = `{"host": "h", "service": "", "binary": "cinder-volume", "status": "enabled", "disabled": false}`
	fault   = `{"badRequest": {"code": 400, "message": "No."}}`
	op      = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
)

func newContract(t *testing.T) *contract.Contract {
	t.Helper()
	c, err := contract.New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What the document allows passes; everything else is named.
func TestAnswers(t *testing.T) {
	c := newContract(t)
	const list = "/v3/0123456789abcdef/os-services"
	tests := []struct {
		name   string
		asked  string // method and path; "" is a list
		status int    // 0 is 200
		header string // name: value, one a line, beside those that all have
		body   string
		want   string // in the error; "" is none
	}{
		{name: "a list", body: `{"services": [` + service + `]}`},
		{name: "another spelling", asked: "GET /v3//os-services.json", body: `{"services": []}`},
		{name: "the other content type", header: "Content-Type: application/vnd.openstack.volume+json", body: `{"services": []}`},
		{name: "null for an array", body: `{"services": null}`, want: "got null, want array"},
		{name: "an unknown field", body: `{"services": [], "more": 1}`, want: "additional properties 'more' not allowed"},
		{name: "an unknown field below", body: `{"services": [` + strings.Replace(service, "{", `{"x": 1, `, 1) + `]}`, want: "additional properties 'x' not allowed"},
		{name: "a field too few", body: `{"services": [{}]}`, want: "missing properties"},
		{name: "two values", body: `{"services": []} {}`, want: "after top-level value"},
		{name: "no JSON", body: `OK`, want: "invalid character"},
		{name: "no body", want: "EOF"},
		{name: "another content type", header: "Content-Type: text/html", body: `{"services": []}`, want: `"text/html" is none`},
		{name: "no request id", header: "X-Openstack-Request-Id:", body: `{"services": []}`, want: "there is no X-Openstack-Request-Id"},
		{name: "no request id that is one", header: "X-Openstack-Request-Id: 1", body: `{"services": []}`, want: "does not match pattern"},
		{name: "a fault", status: 400, body: fault},
		{name: "a fault of another status", status: 403, body: fault, want: "has the code 400"},
		{name: "a fault under another name", status: 400, body: `{"oops": {"code": 400, "message": "No."}}`, want: "additional properties 'oops'"},
		{name: "a status that there is not", status: 418, body: `{"computeFault": {"code": 418, "message": "No."}}`, want: "there is no status 418"},
		{name: "503 without Retry-After", status: 503, body: `{"serviceUnavailable": {"code": 503, "message": "No."}}`, want: "there is no Retry-After"},
		{name: "a change", asked: "PUT /v3/os-services/enable", header: "X-Stoker-Operation: " + op, body: changed},
		{name: "a change without an operation", asked: "PUT /v3/os-services/enable", body: changed, want: "there is no X-Stoker-Operation"},
		{name: "a body where there is none", asked: "PUT /v3/os-services/freeze", header: "X-Stoker-Operation: " + op, body: "{}", want: "there is a body"},
		{name: "nothing there", asked: "GET /nothing", status: 404, body: `{"itemNotFound": {"code": 404, "message": "No."}}`},
		{name: "something where nothing is", asked: "GET /nothing", body: "{}", want: "there is no such operation"},
		{name: "a method that there is not", asked: "DELETE /v3/os-services", status: 200, body: `{"services": []}`, want: "there is no such operation"},
		{name: "any method", asked: "DELETE /healthcheck", header: "Content-Type: text/plain", body: "OK"},
		{name: "head", asked: "HEAD /healthcheck", status: 204},
		{name: "options", asked: "OPTIONS /nothing"},
		{name: "detail is no name", asked: "GET /v3/clusters/detail", body: `{"clusters": []}`},
		{name: "one cluster", asked: "GET /v3/clusters/x", body: `{"clusters": []}`, want: "missing property 'cluster'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := tt.asked
			if asked == "" {
				asked = "GET " + list
			}
			method, path, _ := strings.Cut(asked, " ")
			a := contract.Answer{
				Request: httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody), Status: tt.status, Body: []byte(tt.body),
				Header: http.Header{"X-Openstack-Request-Id": {id}, "Content-Type": {"application/json"}},
			}
			if a.Status == 0 {
				a.Status = http.StatusOK
			}
			if name, value, ok := strings.Cut(tt.header, ":"); ok {
				a.Header.Set(name, strings.TrimSpace(value))
				if value == "" {
					a.Header.Del(name)
				}
			}
			agrees(t, c.Check(a), tt.want)
		})
	}
}

func agrees(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want %q", err, want)
	}
}

// Events are looked at as they come, by who serves them and by who hears them.
func TestStreams(t *testing.T) {
	c := newContract(t)
	const ready = "retry: 2000\nid: 1-0123456789abcdef\nevent: ready\ndata: {}\n\n"
	tests := []struct{ name, stream, want string }{
		{name: "an empty stream"},
		{name: "ready, and that it lives", stream: ready + ": \n\n"},
		{name: "cut off", stream: ready + "event: ser"},
		{name: "an end", stream: ready + "event: end\ndata: {\"code\": 401, \"message\": \"No.\"}\n\n"},
		{name: "something after the end", stream: "event: end\ndata: {\"code\": 401, \"message\": \"No.\"}\n\n: \n\n", want: "after the end"},
		{name: "an unknown event", stream: "event: surprise\ndata: {}\n\n", want: `no event "surprise"`},
		{name: "an event without data", stream: "event: ready\n\n", want: `no event "ready" with data false`},
		{name: "a service with half its fields", stream: "event: service\ndata: {\"binary\": \"x\"}\n\n", want: "missing properties"},
		{name: "an unknown field of an event", stream: "event: ready\ndata: {\"x\": 1}\n\n", want: "additional properties 'x'"},
		{name: "no JSON", stream: "event: ready\ndata: x\n\n", want: "event ready: invalid character"},
		{name: "an unknown line", stream: "surprise: x\n\n", want: `no field "surprise"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stream := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("X-Openstack-Request-Id", id)
				for i := range tt.stream { // in pieces
					_, _ = io.WriteString(w, tt.stream[i:i+1])
				}
			})
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/stoker/v1/events", http.NoBody)
			var served, heard []error
			c.Handler(stream, func(err error) { served = append(served, err) }).ServeHTTP(httptest.NewRecorder(), req)
			agrees(t, errors.Join(served...), tt.want)

			plain := roundTripper(func(r *http.Request) (*http.Response, error) {
				w := httptest.NewRecorder()
				stream.ServeHTTP(w, r)
				return w.Result(), nil
			})
			resp, err := c.Transport(plain, func(err error) { heard = append(heard, err) }).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || string(body) != tt.stream || resp.Body.Close() != nil {
				t.Errorf("%q, %v", body, err)
			}
			agrees(t, errors.Join(heard...), tt.want)
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An answer passes through as it is, and what is wrong with it is told once.
func TestHandlerAndTransportPassOn(t *testing.T) {
	c := newContract(t)
	const body = `{"services": null}`
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Openstack-Request-Id", id)
		_, _ = io.WriteString(w, body)
	})
	var served, got int
	s := httptest.NewServer(c.Handler(next, func(error) { served++ }))
	client := http.Client{Transport: c.Transport(&http.Transport{DisableKeepAlives: true}, func(error) { got++ })}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/v3/os-services", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil || string(text) != body {
		t.Errorf("%q, %v", text, err)
	}
	s.Close()
	if served != 1 || got != 1 {
		t.Errorf("told %d times of what was served, %d of what was got, want 1 each", served, got)
	}
}

// The document leaves no object open: a field that it does not name cannot pass.
func TestEveryObjectIsClosed(t *testing.T) {
	var document map[string]any
	if err := yaml.Unmarshal(api.OpenAPI(), &document); err != nil {
		t.Fatal(err)
	}
	var look func(at string, v any)
	look = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if v["type"] == "object" && v["additionalProperties"] == nil {
				t.Errorf("%s may have any field", at)
			}
			for name, below := range v {
				look(at+"/"+name, below)
			}
		case []any:
			for _, below := range v {
				look(at, below)
			}
		}
	}
	look("", document)
}
