package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/client"
)

// api is a server that supports versions up to limit and passes all other requests to
// h.
func api(limit string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			answer(w, http.StatusMultipleChoices, `{"versions": [{"id": "v2.0", "version": "2.0"}, {"id": "v3.0", "version": "`+limit+`"}]}`, nil)
			return
		}
		h(w, r)
	})
}

func TestNegotiation(t *testing.T) {
	tests := []struct {
		name, limit string
		want        string // the header, or
		wantErr     string // with HOST for the server's address
	}{
		{"older", "3.59", "volume 3.59", ""},
		{"as new", "3.71", "volume 3.71", ""},
		{"newer", "3.100", "volume 3.71", ""},
		{"first", "3.0", "volume 3.0", ""},
		{"none", "", "", "HOST lists no version 3 of the block-storage API"},
		{"nonsense", "three", "", "HOST lists no version 3 of the block-storage API"},
		{"trailing nonsense", "3.7x", "", "HOST lists no version 3 of the block-storage API"},
		{"version 4", "4.1", "", "HOST lists no version 3 of the block-storage API"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got string
			s := httptest.NewServer(api(tt.limit, func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Get("OpenStack-API-Version")
				answer(w, http.StatusOK, `{"services": []}`, nil)
			}))
			defer s.Close()
			c, err := client.New(client.Options{Endpoint: s.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.Services(t.Context(), client.ServiceFilter{})
			if tt.wantErr != "" {
				checkError(t, err, cinder.KindNotSupported, strings.ReplaceAll(tt.wantErr, "HOST", strings.TrimPrefix(s.URL, "http://")))
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestVersionIsAskedOnceAndFailuresAreForgotten(t *testing.T) {
	var asked, listed atomic.Int32
	h := api("3.70", func(w http.ResponseWriter, _ *http.Request) {
		listed.Add(1)
		answer(w, http.StatusOK, `{"services": []}`, nil)
	})
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && asked.Add(1) == 1 {
			answer(w, http.StatusServiceUnavailable, "", nil)
			return
		}
		h.ServeHTTP(w, r)
	}), client.Options{})
	_, err := c.Services(t.Context(), client.ServiceFilter{})
	checkError(t, err, cinder.KindUnavailable, "the server answers 503: service unavailable")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Services(t.Context(), client.ServiceFilter{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if asked.Load() != 2 || listed.Load() != 20 {
		t.Errorf("asked %d times for the versions, %d times for the list", asked.Load(), listed.Load())
	}
}

func TestTooOld(t *testing.T) {
	tests := []struct {
		name, limit, want string
		call              func(context.Context, *client.Client) error
	}{
		{"freeze a cluster", "3.25", "naming a cluster needs microversion 3.26; ", func(ctx context.Context, c *client.Client) error {
			_, err := c.Freeze(ctx, client.Target{Cluster: "c@b"})
			return err
		}},
		{"fail a cluster over", "3.25", "naming a cluster needs microversion 3.26; ", func(ctx context.Context, c *client.Client) error {
			_, err := c.Failover(ctx, client.Target{Cluster: "c@b"}, "")
			return err
		}},
		{"clusters", "3.6", "clusters needs microversion 3.7; ", func(ctx context.Context, c *client.Client) error {
			_, err := c.Clusters(ctx, client.ClusterFilter{}, true)
			return err
		}},
		{"cluster", "3.6", "clusters needs microversion 3.7; ", func(ctx context.Context, c *client.Client) error {
			_, err := c.Cluster(ctx, "c", "")
			return err
		}},
		{"enable cluster", "3.6", "clusters needs microversion 3.7; ", func(ctx context.Context, c *client.Client) error {
			_, _, err := c.EnableCluster(ctx, "c", "")
			return err
		}},
		{"get-log", "3.31", "get-log needs microversion 3.32; ", func(ctx context.Context, c *client.Client) error {
			_, err := c.GetLog(ctx, client.LogFilter{})
			return err
		}},
		{"set-log", "3.31", "set-log needs microversion 3.32; ", func(ctx context.Context, c *client.Client) error {
			_, err := c.SetLog(ctx, client.LogFilter{}, cinder.LogInfo)
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, api(tt.limit, func(http.ResponseWriter, *http.Request) { t.Error("asked all the same") }), client.Options{})
			err := tt.call(t.Context(), c)
			if cinder.KindOf(err) != cinder.KindNotSupported || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestStatusToKind(t *testing.T) {
	tests := []struct {
		status int
		body   string
		kind   cinder.Kind
		want   string
	}{
		{400, `{"badRequest": {"code": 400, "message": "bad host"}}`, cinder.KindInvalid, "bad host"},
		{401, "", cinder.KindUnauthenticated, "the server answers 401: unauthorized"},
		{404, "<html><title>404 Not Found</title></html>", cinder.KindNotFound, "the server answers 404: not found"},
		{405, "", cinder.KindNotSupported, "the server answers 405: method not allowed"},
		{406, `{"computeFault": {"code": 406, "message": "Version 3.99 is not supported by the API."}}`, cinder.KindNotSupported, "Version 3.99 is not supported by the API."},
		{409, `{"conflictingRequest": {"code": 409, "message": "refused: \"no\""}}`, cinder.KindConflict, `refused: "no"`},
		{413, `{"overLimit": {"code": 413, "message": "too long"}}`, cinder.KindInvalid, "too long"},
		{415, "", cinder.KindInvalid, "the server answers 415: unsupported media type"},
		{429, "", cinder.KindUnavailable, "the server answers 429: too many requests"},
		{500, `{"computeFault": {"code": 500, "message": "The server has either erred"}}`, cinder.KindInternal, "The server has either erred"},
		{501, "", cinder.KindNotSupported, "the server answers 501: not implemented"},
		{502, `{"badGateway": {"code": 502, "message": "VolumeDriverException"}}`, cinder.KindRemote, "VolumeDriverException"},
		{503, `{"serviceUnavailable": {"code": 503, "message": "nobody listens"}}`, cinder.KindUnavailable, "nobody listens"},
		{504, `{"gatewayTimeout": {"code": 504, "message": "no answer"}}`, cinder.KindTimeout, "no answer"},
		{302, "", cinder.KindInternal, "the server answers 302: found"},
		{599, "", cinder.KindInternal, "the server answers 599: no reason given"},
		{400, `{"badRequest": "text"}`, cinder.KindInvalid, "the server answers 400: bad request"},
		{400, `[1]`, cinder.KindInvalid, "the server answers 400: bad request"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d %s", tt.status, tt.kind), func(t *testing.T) {
			c := serve(t, api("3.71", func(w http.ResponseWriter, _ *http.Request) {
				answer(w, tt.status, tt.body, map[string]string{"Location": "http://127.0.0.1:1/elsewhere"})
			}), client.Options{})
			_, err := c.Services(t.Context(), client.ServiceFilter{})
			checkError(t, err, tt.kind, tt.want)
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	tests := []struct {
		name, body, want string
	}{
		{"nothing", "", "what HOST answers is not a block-storage API's"},
		{"a page", "<html>", "what HOST answers is not a block-storage API's"},
		{"another type", `{"services": 3}`, "what HOST answers is not a block-storage API's"},
		{"a time that is none", `{"services": [{"updated_at": "yesterday"}]}`, "what HOST answers is not a block-storage API's"},
		{"a time that is a number", `{"services": [{"updated_at": 3}]}`, "what HOST answers is not a block-storage API's"},
		{"too much", `{"x": "` + strings.Repeat("x", 65<<20) + `"}`, "HOST answers with more than 64 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var host string
			c := serve(t, api("3.71", func(w http.ResponseWriter, r *http.Request) {
				host = r.Host
				answer(w, http.StatusOK, tt.body, nil)
			}), client.Options{})
			_, err := c.Services(t.Context(), client.ServiceFilter{})
			if got, want := cinder.Message(err), strings.ReplaceAll(tt.want, "HOST", host); cinder.KindOf(err) != cinder.KindRemote || got != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

// silent is a network where nobody answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := client.New(client.Options{Endpoint: "http://h/v3", Transport: silent{}, Timeout: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Services(t.Context(), client.ServiceFilter{})
		checkError(t, err, cinder.KindTimeout, "no answer from h in time: context deadline exceeded")
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("gave up after %v, want 30s", took)
		}
	})
}

// endless sends a body that never ends.
type endless struct{ http.RoundTripper }

func (endless) RoundTrip(r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	context.AfterFunc(r.Context(), func() { pw.CloseWithError(r.Context().Err()) })
	return &http.Response{StatusCode: http.StatusOK, Body: pr, Request: r}, nil
}

func TestEndlessAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := client.New(client.Options{Endpoint: "http://h/v3", Transport: endless{}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Services(t.Context(), client.ServiceFilter{})
		if cinder.KindOf(err) != cinder.KindTimeout || time.Since(start) != client.DefaultTimeout {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestCancel(t *testing.T) {
	c, err := client.New(client.Options{Endpoint: "http://h/v3", Transport: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Services(ctx, client.ServiceFilter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestNobodyThere(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	c, err := client.New(client.Options{Endpoint: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Services(t.Context(), client.ServiceFilter{})
	host := strings.TrimPrefix(s.URL, "http://")
	if got, want := cinder.Message(err), "nothing listens on "+host; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEndpoints(t *testing.T) {
	type want struct{ root, list string }
	const p = "0123456789abcdef0123456789abcdef"
	tests := []struct {
		name, endpoint, project string
		want                    want
		wantErr                 string
	}{
		{"plain", "http://h:1/v3", "", want{"http://h:1/", "http://h:1/v3/os-services"}, ""},
		{"trailing slash", "http://h:1/v3/", "", want{"http://h:1/", "http://h:1/v3/os-services"}, ""},
		{"no version", "http://h:1", "", want{"http://h:1/", "http://h:1/v3/os-services"}, ""},
		{"a prefix", "https://h/volume/v3", "", want{"https://h/volume/", "https://h/volume/v3/os-services"}, ""},
		{"a prefix without version", "https://h/volume", "", want{"https://h/volume/", "https://h/volume/v3/os-services"}, ""},
		{"a project id", "http://h/v3", p, want{"http://h/", "http://h/v3/" + p + "/os-services"}, ""},
		{"a project that no URL takes", "http://h/v3", "demo", want{"http://h/", "http://h/v3/os-services"}, ""},
		{"IPv6", "http://[::1]:8776/v3", "", want{"http://[::1]:8776/", "http://[::1]:8776/v3/os-services"}, ""},

		{"empty", "", "", want{}, `the endpoint "" is not an http:// or https:// URL`},
		{"no scheme", "127.0.0.1:8776/v3", "", want{}, `the endpoint "127.0.0.1:8776/v3" is not an http:// or https:// URL`},
		{"another scheme", "ftp://h/v3", "", want{}, `the endpoint "ftp://h/v3" is not an http:// or https:// URL`},
		{"no host", "http:///v3", "", want{}, `the endpoint "http:///v3" is not an http:// or https:// URL`},
		{"a password", "http://u:hunter2@h/v3", "", want{}, "the endpoint of h takes neither user nor parameters"},
		{"parameters", "http://h/v3?x=1", "", want{}, "the endpoint of h takes neither user nor parameters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			c, err := client.New(client.Options{Endpoint: tt.endpoint, Project: tt.project, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL.String())
				body := `{"services": [], "versions": [{"id": "v3.0", "version": "3.71"}]}`
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
			})})
			if tt.wantErr != "" {
				checkError(t, err, cinder.KindInvalid, tt.wantErr)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Services(t.Context(), client.ServiceFilter{}); err != nil {
				t.Fatal(err)
			}
			if got := (want{asked[0], asked[1]}); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestClusterNames(t *testing.T) {
	var path string
	c := serve(t, api("3.71", func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.EscapedPath()
		answer(w, http.StatusOK, `{"cluster": {}}`, nil)
	}), client.Options{})
	if _, err := c.Cluster(t.Context(), "a/b c?d%", ""); err != nil || path != "/v3/clusters/a%2Fb%20c%3Fd%25" {
		t.Errorf("asked for %s, %v", path, err)
	}
	for _, name := range []string{"", ".", ".."} {
		if _, err := c.Cluster(t.Context(), name, ""); cinder.KindOf(err) != cinder.KindInvalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestFilters(t *testing.T) {
	var query string
	c := serve(t, api("3.71", func(w http.ResponseWriter, r *http.Request) {
		query = r.URL.RawQuery
		answer(w, http.StatusOK, `{"clusters": []}`, nil)
	}), client.Options{})
	f := client.ClusterFilter{Name: "a@b", Binary: "cinder-volume", ReplicationStatus: "enabled", Up: new(true), Disabled: new(false), Frozen: new(true)}
	_, err := c.Clusters(t.Context(), f, true)
	if want := "binary=cinder-volume&disabled=false&frozen=true&is_up=true&name=a%40b&replication_status=enabled"; err != nil || query != want {
		t.Errorf("got  %s, %v\nwant %s", query, err, want)
	}
}

func TestOperationAndSilentServices(t *testing.T) {
	c := serve(t, api("3.71", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Stoker-Operation", "b8b3d0a2")
		if strings.HasSuffix(r.URL.Path, "get-log") {
			answer(w, http.StatusOK, `{"log_levels": [], "unanswered": [{"binary": "cinder-volume", "host": "h@b", "reason": "no answer"}]}`, nil)
		}
	}), client.Options{})
	change, err := c.Thaw(t.Context(), client.Target{Cluster: "c@b"})
	if err != nil || change.Operation != "b8b3d0a2" {
		t.Errorf("got %+v, %v", change, err)
	}
	levels, err := c.GetLog(t.Context(), client.LogFilter{})
	if want := (client.SilentService{Binary: "cinder-volume", Host: "h@b", Why: "no answer"}); err != nil || len(levels.Silent) != 1 || levels.Silent[0] != want {
		t.Errorf("got %+v, %v", levels, err)
	}
}

func TestTimes(t *testing.T) {
	for _, tt := range []struct{ in, out string }{
		{`"2026-11-23T11:56:57.000000"`, `"2026-11-23T11:56:57.000000"`},
		{`"2026-11-23T11:56:57"`, `"2026-11-23T11:56:57.000000"`},
		{`"2026-11-23T11:56:57.25"`, `"2026-11-23T11:56:57.250000"`},
		{`""`, `""`}, // of a cluster that was never changed
	} {
		var parsed client.Time
		if err := json.Unmarshal([]byte(tt.in), &parsed); err != nil {
			t.Error(err)
		}
		if got, err := json.Marshal(parsed); err != nil || string(got) != tt.out {
			t.Errorf("%s: got %s, %v, want %s", tt.in, got, err, tt.out)
		}
		if text, err := parsed.MarshalText(); err != nil || `"`+string(text)+`"` != tt.out {
			t.Errorf("%s: text %s, %v", tt.in, text, err)
		}
	}
}

// TestOperationsOverEmptyPages checks that an empty page may lead to one with
// operations.
func TestOperationsOverEmptyPages(t *testing.T) {
	pages := map[string]string{
		"":   `{"operations": [], "operations_links": [{"rel": "next", "href": "http://x/stoker/v1/operations?limit=5&marker=m1"}]}`,
		"m1": `{"operations": [{"id": "a"}], "operations_links": [{"rel": "next", "href": "http://x/stoker/v1/operations?marker=m2"}]}`,
		"m2": `{"operations": [{"id": "b"}]}`,
	}
	var asked []string
	c := serve(t, api("3.71", func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("limit"))
		answer(w, http.StatusOK, pages[r.URL.Query().Get("marker")], nil)
	}), client.Options{})
	ops, err := c.Operations(t.Context(), client.OperationFilter{Kind: "freeze", Limit: 5})
	if err != nil || len(ops) != 2 || ops[0].ID != "a" || ops[1].ID != "b" {
		t.Errorf("operations %+v, error %v, want a and b", ops, err)
	}
	if want := []string{"5", "5", "4"}; !slices.Equal(asked, want) {
		t.Errorf("limits %v, want %v", asked, want)
	}
}
