package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
)

// behind is an upstream: it answers with err, or says what it was sent.
type behind struct {
	mu     sync.Mutex
	err    error
	newest int // 0: it has never said
	answer http.Header
	asked  []string // targets
	set    http.Header
}

func (b *behind) Pass(w http.ResponseWriter, r *http.Request, set http.Header) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked, b.set = append(b.asked, r.URL.Path), set
	if b.err != nil {
		return b.err
	}
	maps.Copy(w.Header(), b.answer)
	w.WriteHeader(http.StatusTeapot)
	_, err := io.WriteString(w, "from behind")
	return err
}

func (b *behind) Newest() (int, bool) { return b.newest, b.newest != 0 }

// passedOn says whether the last request got there, and forgets it.
func (b *behind) passedOn() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := len(b.asked) > 0
	b.asked = nil
	return got
}

// What is Stoker's is answered by Stoker, in whatever spelling: no path that any
// server would take for one of these gets to the upstream. What is Cinder's gets
// there, whatever it looks like.
func TestWhoseAPathIs(t *testing.T) {
	b := &behind{}
	r := newRig(t, parts{upstream: b})
	const p = "/v3/" + project
	ours := []string{
		"/", "//", "/v3", "/v3/", "/v3//", p, p + "/", "/healthcheck", "/healthcheck/x", "/stoker", "/stoker/v1/operations", "/stoker/v1/nothing", "/stoker;x/v1", "/STOKER/v1/operations",
		"/v3/os-services", "//v3//os-services", p + "/os-services", p + "//os-services", p + "/os-services/enable", p + "/os-services/x/edit", "/v3/os-services/",
		"/v3/os-services.json", "/v3/os-services.xml", "/v3/os-services.", "/v3/os-services;x=1", "/v3/os-services%0a", "/v3/os-services%0A.json", "/v3/os-services%20", "/v3/os-services%00",
		"/v3/os-services%2F", "/v3%2Fos-services", p + "%2Fos-services", "/v3/os%2Dservices", "/v3/%6fs-services", "/v3/OS-SERVICES", "/V3/os-services", "/v3;x/os-services",
		"/v3/os-services%3Fx", "/v3/os-services%23x", "/v3/os-services%5C", "/v3/os-services%E2%80%8B", p + ";x/../os-services",
		"/v3/./os-services", "/v3/x/../os-services", "/v3/..%2Fos-services", "/v3/%2e%2e/v3/os-services", "/v3/x/..;/os-services", "/v3/volumes/.;x/os-services", "/x/../v3/os-services",
		"/v3/clusters", p + "/clusters/detail", p + "/clusters/a@b", "/v3/clusters.foo", "/v3/Clusters",
		"http://" + r.address + "/v3/os-services",
	}
	theirs := []string{
		"/v3/volumes", p + "/volumes/detail", p + "/volumes/os-services", p + "/volumes/os-services/action", "/v3/volumes/clusters", p + "/types/x/extra_specs/a..b", p + "/volumes/x/metadata/a%2F%2Fos-services",
		"/v3/extensions", p + "/extensions/os-services", "/v3/os-services-x", "/v3/os-servicesx", "/v3/xos-services", "/v3/%20os-services", p + "/os-hosts", p + "/scheduler-stats/get_pools",
		"/v2", "/v1/x", "/v4/os-services", "/favicon.ico", "/.well-known/x", "/healthchecks", "/v30/os-services", "/v3/ABCDEF/os-services", p + "/" + project + "/os-services", "/v3/%C3%A9",
		"http://" + r.address + "/v3/volumes",
	}
	for _, path := range ours {
		for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"} {
			got := r.do(t, ask{method: method, path: path})
			if b.passedOn() || got.status == http.StatusTeapot {
				t.Errorf("%s %s was passed on", method, path)
			}
		}
	}
	for _, path := range theirs {
		for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"} {
			got := r.do(t, ask{method: method, path: path})
			if !b.passedOn() || got.status != http.StatusTeapot {
				t.Errorf("%s %s was not passed on: %d %s", method, path, got.status, got.body)
			}
		}
	}
	for _, method := range []string{"CONNECT /v3/volumes", "CONNECT example.org:80", "OPTIONS *"} {
		r.raw(t, "GET", method+" HTTP/1.1\r\nHost: "+r.address+"\r\nConnection: close\r\n\r\n")
		if b.passedOn() {
			t.Errorf("%s was passed on", method)
		}
	}
}

// Where projects may be called as anything, what may be a resource is Cinder's.
func TestWhoseAPathIsWhereProjectsAreCalledAsAnything(t *testing.T) {
	b := &behind{}
	r := newRig(t, parts{upstream: b, projects: "[^/]+"})
	for path, ours := range map[string]bool{
		"/v3/volumes": false, "/v3/volumes/": false, "/v3/volumes/detail": false, "/v3/extensions": false, "/v3/Acme/volumes": false,
		"/v3/Acme/os-services": true, "/v3/Acme/clusters/detail": true, "/v3/os-services": true, "/v3/os-services;x": true, "/v3/" + project: true,
	} {
		r.do(t, ask{path: path})
		if b.passedOn() == ours {
			t.Errorf("%s is ours: %v", path, !ours)
		}
	}
}

// Neither token nor version nor body of what is passed on is looked at, and the
// bounds on bodies are not ours.
func TestNothingIsJudgedThatIsPassedOn(t *testing.T) {
	b := &behind{}
	r := newRig(t, parts{upstream: b, maxBody: 10})
	for name, a := range map[string]ask{
		"no token":         {path: "/v3/volumes", token: "-"},
		"a bad version":    {path: "/v3/volumes", version: "9.99"},
		"no JSON":          {method: "POST", path: "/v3/volumes", body: "<xml/>", bare: true},
		"a long body":      {method: "POST", path: "/v3/volumes", body: strings.Repeat("x", 1000)},
		"another project":  {path: "/v3/abcdef/volumes"},
		"a path in Latin1": {path: "/v3/\xe9"},
	} {
		if got := r.do(t, a); got.status != http.StatusTeapot || string(got.body) != "from behind" {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
	}
}

// An answer has one id, which both logs have: the upstream's own, which is logged
// here too, or else ours, which the upstream was sent.
func TestTheIDOfARequestThatIsPassedOn(t *testing.T) {
	const theirs, ours = "req-11111111-2222-4333-8444-555555555555", "req-66666666-7777-4888-9999-aaaaaaaaaaaa"
	b := &behind{answer: http.Header{"X-Openstack-Request-Id": {theirs}}}
	r := newRig(t, parts{upstream: b, level: slog.LevelDebug})
	got := r.do(t, ask{path: "/v3/volumes", header: []string{"X-OpenStack-Request-ID: " + ours}})
	if id := got.header.Values("X-Openstack-Request-Id"); !cmp.Equal(id, []string{theirs}) || b.set.Get("X-Openstack-Request-Id") != ours {
		t.Errorf("the client got %v, the upstream %v", id, b.set)
	}
	if log := r.log.String(); !strings.Contains(log, "request_id="+ours) || !strings.Contains(log, "upstream_request_id="+theirs) {
		t.Errorf("the log has not both: %s", log)
	}
	b.answer = nil
	for _, sent := range []string{"", "nonsense", strings.ToUpper(ours)} {
		got = r.do(t, ask{path: "/v3/volumes", header: []string{"X-OpenStack-Request-ID: " + sent}})
		if id := got.header.Get("X-Openstack-Request-Id"); len(id) != len(ours) || id == sent || id != b.set.Get("X-Openstack-Request-Id") {
			t.Errorf("sent %q: the client got %q, the upstream %v", sent, id, b.set)
		}
	}
	b.err = cinder.Errorf(cinder.KindUnavailable, "away")
	got = r.do(t, ask{path: "/v3/volumes"})
	if id := got.header.Get("X-Openstack-Request-Id"); id == "" || id != b.set.Get("X-Openstack-Request-Id") {
		t.Errorf("of a fault the client got %q, the upstream %v", id, b.set)
	}
}

// The upstream is told of proxies what is believed here, and nothing else.
func TestWhatTheUpstreamIsTold(t *testing.T) {
	headers := []string{"X-Forwarded-For: 192.0.2.1, 192.0.2.2", "X-Forwarded-Proto: https", "X-Forwarded-Host: cloud.example:8776", "X-Forwarded-Prefix: /volume/", "X-Forwarded-Port: 1"}
	tests := []struct {
		name    string
		believe bool
		header  []string
		want    map[string]string // HOST, PORT: where it was sent to
	}{
		{"nothing said", true, nil, map[string]string{"For": "127.0.0.1", "Proto": "http", "Host": "HOST", "Port": "PORT"}},
		{"not believed", false, headers, map[string]string{"For": "127.0.0.1", "Proto": "http", "Host": "HOST", "Port": "PORT"}},
		{"not believed, though it begins with who sends it", false, []string{"X-Forwarded-For: 127.0.0.1, 192.0.2.9"}, map[string]string{"For": "127.0.0.1", "Proto": "http", "Host": "HOST", "Port": "PORT"}},
		{"believed", true, headers, map[string]string{"For": "192.0.2.1, 192.0.2.2, 127.0.0.1", "Proto": "https", "Host": "cloud.example:8776", "Port": "8776", "Prefix": "/volume"}},
		{"https without a port", true, []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: a"}, map[string]string{"For": "127.0.0.1", "Proto": "https", "Host": "a", "Port": "443"}},
		{"Forwarded", true, append([]string{`Forwarded: for="[2001:db8::1]:5";proto=https;host="b"`}, headers[:3]...), map[string]string{"For": "2001:db8::1, 127.0.0.1", "Proto": "https", "Host": "b", "Port": "443"}},
		{"nonsense", true, []string{"X-Forwarded-For: me<script>", "X-Forwarded-Proto: gopher", "X-Forwarded-Host: a/b", "X-Forwarded-Prefix: //evil"}, map[string]string{"For": "127.0.0.1", "Proto": "http", "Host": "HOST", "Port": "PORT"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &behind{}
			r := newRig(t, parts{upstream: b, proxy: tt.believe})
			r.do(t, ask{path: "/v3/volumes", header: tt.header})
			_, port, _ := strings.Cut(r.address, ":")
			got := map[string]string{}
			for name, values := range b.set {
				if short, ok := strings.CutPrefix(name, "X-Forwarded-"); ok {
					got[short] = strings.NewReplacer(r.address, "HOST", port, "PORT").Replace(strings.Join(values, "|"))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What fails behind is a fault in Cinder's form, and no line in the log for each
// request when it is away; what is served here is served all the same.
func TestTheUpstreamFails(t *testing.T) {
	b := &behind{}
	r := newRig(t, parts{upstream: b})
	r.service(t, cinder.BinaryVolume, "h@a", nil)
	for _, tt := range []struct {
		err    error
		status int
		name   string
	}{
		{cinder.Errorf(cinder.KindUnavailable, "Not there."), http.StatusServiceUnavailable, "serviceUnavailable"},
		{cinder.Errorf(cinder.KindRemote, "Nonsense."), http.StatusBadGateway, "computeFault"},
		{cinder.Errorf(cinder.KindInvalid, "Half."), http.StatusBadRequest, "badRequest"},
	} {
		b.err = tt.err
		got := r.do(t, ask{method: "POST", path: "/v3/volumes", body: "{}"})
		var fault map[string]struct {
			Code    int
			Message string
		}
		if err := json.Unmarshal(got.body, &fault); err != nil || got.status != tt.status || fault[tt.name].Code != tt.status || fault[tt.name].Message != cinder.Message(tt.err) {
			t.Errorf("got %d %s, %v", got.status, got.body, err)
		}
		if (got.header.Get("Retry-After") != "") != (tt.status == http.StatusServiceUnavailable) {
			t.Errorf("%d: Retry-After is %q", tt.status, got.header.Get("Retry-After"))
		}
		if tt.status == http.StatusServiceUnavailable && r.log.String() != "" {
			t.Errorf("one that is away is logged for each request: %s", r.log.String())
		}
	}
	b.err = cinder.Errorf(cinder.KindUnavailable, "Not there.")
	for path, want := range map[string]int{"/": 300, "/v3/": 200, "/v3/os-services": 200, "/v3/clusters": 200, "/healthcheck": 200, "/stoker/v1/operations": 200} {
		if got := r.do(t, ask{path: path, version: "3.7"}); got.status != want {
			t.Errorf("%s without the upstream: %d %s", path, got.status, got.body)
		}
	}
}

// What every client has to get past stands before what is passed on, too.
func TestDoorsBeforeTheUpstream(t *testing.T) {
	b := &behind{}
	r := newRig(t, parts{upstream: b, rate: 0.001, burst: 2})
	if got := r.raw(t, "GET", "GET /v3/volumes HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"); got.status != http.StatusForbidden || b.passedOn() {
		t.Errorf("another host under noauth: %d", got.status)
	}
	for i, want := range []int{http.StatusTeapot, http.StatusTeapot, http.StatusTooManyRequests} {
		if got := r.do(t, ask{path: "/v3/volumes", token: "one"}); got.status != want || b.passedOn() != (want == http.StatusTeapot) {
			t.Errorf("request %d: got %d, want %d", i+1, got.status, want)
		}
	}
	if got := r.do(t, ask{path: "/v3/volumes", token: "two"}); got.status != http.StatusTeapot {
		t.Errorf("another caller: %d", got.status)
	}
}

// Discovery is true of both: what one of them does not speak is not there, neither
// in what is said nor in what is answered.
func TestTheNewestVersionOfBoth(t *testing.T) {
	for _, tt := range []struct {
		theirs int
		newest string
		next   string
	}{{0, "3.71", "3.72"}, {70, "3.70", "3.71"}, {71, "3.71", "3.72"}, {72, "3.71", "3.72"}} {
		r := newRig(t, parts{upstream: &behind{newest: tt.theirs}})
		for _, path := range []string{"/", "/v3/"} {
			if got := r.do(t, ask{path: path}); !strings.Contains(string(got.body), `"version":"`+tt.newest+`"`) {
				t.Errorf("theirs is 3.%d: %s says %s", tt.theirs, path, got.body)
			}
		}
		if got := r.do(t, ask{path: "/v3/os-services", version: "latest"}); got.header.Get("OpenStack-API-Version") != "volume "+tt.newest {
			t.Errorf("theirs is 3.%d: latest is %q", tt.theirs, got.header.Get("OpenStack-API-Version"))
		}
		if got := r.do(t, ask{path: "/v3/os-services", version: tt.newest}); got.status != http.StatusOK {
			t.Errorf("theirs is 3.%d: %s is %d", tt.theirs, tt.newest, got.status)
		}
		got := r.do(t, ask{path: "/v3/os-services", version: tt.next})
		if got.status != http.StatusNotAcceptable || !strings.Contains(string(got.body), "maximum is "+tt.newest) {
			t.Errorf("theirs is 3.%d: %s is %d %s", tt.theirs, tt.next, got.status, got.body)
		}
	}
}

// Requests that are passed on are counted, all under one route.
func TestRequestsPassedOnAreCounted(t *testing.T) {
	var counted observed
	b := &behind{}
	r := newRig(t, parts{upstream: b, requests: &counted})
	r.do(t, ask{path: "/v3/volumes"})
	b.err = cinder.Errorf(cinder.KindUnavailable, "Not there.")
	r.do(t, ask{method: "DELETE", path: "/v3/volumes/x"})
	b.err = context.Canceled
	r.do(t, ask{path: "/v3/volumes"})
	if want := []string{"upstream GET 418", "upstream DELETE 503", "upstream GET 499"}; !cmp.Equal(want, counted.seen) {
		t.Errorf("got %q, want %q", counted.seen, want)
	}
}

// Without an upstream, what is not served is not found, as ever.
func TestWithoutAnUpstream(t *testing.T) {
	r := newRig(t, parts{})
	if got := r.do(t, ask{path: "/v3/volumes"}); got.status != http.StatusNotFound {
		t.Errorf("got %d", got.status)
	}
	if got := r.do(t, ask{path: "/v3/extensions"}); got.status != http.StatusOK {
		t.Errorf("extensions: got %d", got.status)
	}
}

// observed keeps what it is told.
type observed struct{ seen []string }

func (o *observed) Observe(route, method string, status int, _ time.Duration) {
	o.seen = append(o.seen, fmt.Sprint(route, " ", method, " ", status))
}
