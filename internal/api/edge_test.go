package api_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"stoker/internal/api"
	"stoker/internal/cinder"
)

// What proxies say is believed when they are there, and never else.
func TestProxyHeaders(t *testing.T) {
	tests := []struct {
		name   string
		header []string
		base   string // "" is the address that was asked
		from   string // "" is ours
	}{
		{name: "none"},
		{name: "scheme", header: []string{"X-Forwarded-Proto: https"}, base: "https://{A}"},
		{name: "scheme in capitals", header: []string{"X-Forwarded-Proto: HTTPS"}, base: "https://{A}"},
		{name: "host", header: []string{"X-Forwarded-Host: cloud.example:8776"}, base: "http://cloud.example:8776"},
		{name: "prefix", header: []string{"X-Forwarded-Prefix: /volume"}, base: "http://{A}/volume"},
		{name: "address", header: []string{"X-Forwarded-For: 192.0.2.7"}, from: "192.0.2.7"},
		{name: "address with a port", header: []string{"X-Forwarded-For: 192.0.2.7:1234"}, from: "192.0.2.7"},
		{name: "the first of several", header: []string{"X-Forwarded-For: 2001:db8::1, 192.0.2.7", "X-Forwarded-Proto: https, http"}, base: "https://{A}", from: "2001:db8::1"},
		{name: "all", header: []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: c.example", "X-Forwarded-Prefix: /volume/", "X-Forwarded-For: 192.0.2.7"}, base: "https://c.example/volume", from: "192.0.2.7"},
		{name: "forwarded", header: []string{`Forwarded: for=192.0.2.60;proto=https;host=c.example, for=198.51.100.1;host=evil.example`}, base: "https://c.example", from: "192.0.2.60"},
		{name: "forwarded, quoted", header: []string{`Forwarded: For="[2001:db8::2]:4711"; Proto=https`}, base: "https://{A}", from: "2001:db8::2"},
		{name: "forwarded before the others", header: []string{"Forwarded: proto=https", "X-Forwarded-Host: c.example", "X-Forwarded-For: 192.0.2.7"}, base: "https://{A}"},
		{name: "forwarded by somebody unknown", header: []string{"Forwarded: for=_hidden;by=unknown"}},
		{name: "another scheme", header: []string{"X-Forwarded-Proto: javascript"}},
		{name: "a host that is none", header: []string{`X-Forwarded-Host: a"><script>`}},
		{name: "a host with a path", header: []string{"X-Forwarded-Host: evil.example/x"}},
		{name: "an address that is none", header: []string{"X-Forwarded-For: root level=ERROR"}},
		{name: "a prefix that leads away", header: []string{"X-Forwarded-Prefix: //evil.example"}},
		{name: "a prefix that is none", header: []string{"X-Forwarded-Prefix: x"}},
	}
	f := &fleet{}
	believing, not := newRig(t, parts{proxy: true, fleet: withFleet(f).fleet}), newRig(t, withFleet(f))
	for _, r := range []*rig{believing, not} {
		r.service(t, cinder.BinaryVolume, "a@b", nil)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []*rig{believing, not} {
				base, from := "http://"+r.address, "127.0.0.1"
				if r == believing && tt.base != "" {
					base = strings.ReplaceAll(tt.base, "{A}", r.address)
				}
				if r == believing && tt.from != "" {
					from = tt.from
				}
				if got := string(r.do(t, ask{path: "/", token: "-", header: tt.header}).body); !strings.Contains(got, `"href":"`+base+`/v3/"`) {
					t.Errorf("links to %s, want %s", got, base)
				}
				f.callers = nil
				r.do(t, ask{method: "PUT", path: "/v3/os-services/freeze", version: "3.26", body: `{"host": "a@b"}`, header: tt.header})
				if len(f.callers) != 1 || f.callers[0].Address != from {
					t.Errorf("the caller is %+v, want him at %s", f.callers, from)
				}
				r.do(t, ask{method: "PUT", path: "/v3/os-services/thaw", version: "3.26", body: `{"host": "a@b"}`})
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	r := newRig(t, parts{rate: 0.001, burst: 3})
	as := func(user string) reply { return r.do(t, ask{path: "/v3/os-services", token: user + ":" + project}) }
	for i := range 3 {
		if got := as("ann"); got.status != http.StatusOK {
			t.Fatalf("request %d: %d %s", i, got.status, got.body)
		}
	}
	got := as("ann")
	if name, message := got.fault(t); got.status != 429 || name != "overLimit" || message != "This request was rate-limited." {
		t.Errorf("got %d %s %q", got.status, name, message)
	}
	after := got.header.Get("Retry-After") // 1,000 s, but for what these requests took
	if n, err := strconv.Atoi(after); err != nil || n <= 900 || n > 1000 || !strings.Contains(string(got.body), `"retryAfter":"`+after+`"`) {
		t.Errorf("Retry-After %q, body %s", after, got.body)
	}
	if got := r.do(t, ask{path: "/stoker/v1/operations", token: "ann:" + project}); got.status != 429 {
		t.Errorf("our own part of the API: %d %s", got.status, got.body)
	}
	if got := as("bob"); got.status != http.StatusOK {
		t.Errorf("another caller: %d %s", got.status, got.body)
	}
	if got := r.do(t, ask{path: "/", token: "-"}); got.status != http.StatusMultipleChoices {
		t.Errorf("what is open to all: %d", got.status)
	}
}

func TestNoRateLimit(t *testing.T) {
	r := newRig(t, parts{})
	for range 50 {
		if got := r.do(t, ask{path: "/v3/extensions"}); got.status != http.StatusOK {
			t.Fatalf("got %d %s", got.status, got.body)
		}
	}
}

func TestBodiesAsLargeAsConfigured(t *testing.T) {
	r := newRig(t, parts{maxBody: 100})
	body := `{"name": "` + strings.Repeat("x", 100) + `"}`
	got := r.do(t, ask{method: "PUT", path: "/v3/clusters/enable", version: "3.7", body: body})
	if _, message := got.fault(t); got.status != 413 || !strings.Contains(message, "(100)") {
		t.Errorf("got %d %q", got.status, message)
	}
}

// A page's browser is told on every answer, a 401 too, but not by /healthcheck.
func TestCORSOnAnswers(t *testing.T) {
	r := newRig(t, parts{cors: []api.CORS{{Origins: []string{"https://a.example"}, Methods: []string{"GET"}}}})
	const page = "Origin: https://a.example"
	for _, tt := range []struct {
		ask    ask
		status int
		want   string
	}{
		{ask{path: "/v3/os-services", header: []string{page}}, 200, "https://a.example"},
		{ask{path: "/v3/os-services", token: "-", header: []string{page}}, 401, "https://a.example"},
		{ask{path: "/nothing", token: "-", header: []string{page}}, 404, "https://a.example"},
		{ask{method: "OPTIONS", path: "/v3/os-services", token: "-", header: []string{page, "Access-Control-Request-Method: GET"}}, 200, "https://a.example"},
		{ask{path: "/v3/os-services", header: []string{"Origin: https://evil.example"}}, 200, ""},
		{ask{path: "/healthcheck", token: "-", header: []string{page}}, 200, ""},
	} {
		got := r.do(t, tt.ask)
		if allowed := got.header.Get("Access-Control-Allow-Origin"); got.status != tt.status || allowed != tt.want {
			t.Errorf("%s %s: %d, allowed %q, want %d, %q", tt.ask.method, tt.ask.path, got.status, allowed, tt.status, tt.want)
		}
	}
}

func TestHealthInDetail(t *testing.T) {
	var looks atomic.Int32
	var mu sync.Mutex
	state := []api.Part{{Name: "database", OK: true}, {Name: "policy", OK: true, Reason: "3 rules"}}
	r := newRig(t, parts{health: func(ctx context.Context) []api.Part {
		looks.Add(1)
		mu.Lock()
		defer mu.Unlock()
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("a look without a bound")
		}
		return state
	}})
	detailed := ask{path: "/healthcheck?detailed", token: "-"}
	got := r.do(t, detailed)
	if want := `{"detailed":true,"reasons":[{"class":"database","reason":"OK","details":""},{"class":"policy","reason":"OK","details":"3 rules"}]}`; got.status != 200 || string(got.body) != want {
		t.Errorf("got %d %s, want 200 %s", got.status, got.body, want)
	}
	mu.Lock()
	state = []api.Part{{Name: "database", Reason: "away"}}
	mu.Unlock()
	if got := r.do(t, detailed); got.status != 503 || !strings.Contains(string(got.body), `"reason":"away"`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	before := looks.Load()
	if got := r.do(t, ask{path: "/healthcheck", token: "-"}); got.status != 200 || string(got.body) != "OK" || looks.Load() != before {
		t.Errorf("without details: %d %s", got.status, got.body)
	}
}
