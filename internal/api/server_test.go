package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"stoker/internal/api"
	"stoker/internal/cinder"
)

// fault is the fault in an answer: its name and its message.
func (r reply) fault(tb testing.TB) (name, message string) {
	tb.Helper()
	var body map[string]struct {
		Code    int    `json:"code"`
		Title   string `json:"title"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(r.body, &body); err != nil || len(body) != 1 {
		tb.Fatalf("no fault: %d %.300s", r.status, r.body)
	}
	for name, f := range body {
		if f.Code != r.status || f.Message == "" {
			tb.Errorf("status %d, but %s %+v", r.status, name, f)
		}
		return name, f.Message
	}
	return "", ""
}

func TestRequestID(t *testing.T) {
	r := newRig(t, parts{})
	const own = "req-11111111-2222-4333-8444-555555555555"
	made := regexp.MustCompile(`^req-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	tests := []struct {
		name, sent string
		path       string
		want       string // "" for one of ours
	}{
		{name: "none", path: "/"},
		{name: "well formed", sent: own, path: "/", want: own},
		{name: "well formed, on a fault", sent: own, path: "/v3/nothing", want: own},
		{name: "well formed, without a token", sent: own, path: "{P}/os-services", want: own},
		{name: "another word", sent: "bogus", path: "/"},
		{name: "no prefix", sent: own[4:], path: "/"},
		{name: "two prefixes", sent: "req-" + own, path: "/"},
		{name: "braces", sent: "req-{" + own[4:] + "}", path: "/"},
		{name: "no digits", sent: strings.Replace(own, "1", "x", 1), path: "/"},
		{name: "health", path: "/healthcheck"},
		{name: "greeting", path: "/v3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := r.do(t, ask{path: tt.path, token: "-", header: []string{"X-Openstack-Request-Id: " + tt.sent}}).header["X-Openstack-Request-Id"]
			if len(got) != 1 || tt.want != "" && got[0] != tt.want || tt.want == "" && !made.MatchString(got[0]) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Who may come without a token, and what every door says.
func TestDoors(t *testing.T) {
	r := newRig(t, parts{public: "https://stoker.example"})
	const none = "-"
	tests := []struct {
		name   string
		ask    ask
		status int
		header map[string]string
		has    string
	}{
		{name: "versions", ask: ask{path: "/", token: none}, status: 300, has: `"href":"https://stoker.example/v3/"`, header: map[string]string{"Openstack-Api-Version": "volume 3.0", "Vary": "OpenStack-API-Version"}},
		{name: "versions at the newest version", ask: ask{path: "/", token: none, version: "latest"}, status: 300, header: map[string]string{"Openstack-Api-Version": "volume 3.71"}},
		{name: "versions by any method", ask: ask{method: "DELETE", path: "/", token: none}, status: 300, has: "versions"},
		{name: "head of versions", ask: ask{method: "HEAD", path: "/", token: none}, status: 300},
		{name: "versions with a body", ask: ask{method: "POST", path: "/", token: none, body: "{}"}, status: 400, has: "malformed or otherwise incorrect"},
		{name: "health", ask: ask{path: "/healthcheck", token: none}, status: 200, has: "OK", header: map[string]string{"Content-Type": "text/plain; charset=UTF-8", "Vary": ""}},
		{name: "health of a part", ask: ask{path: "/healthcheck/db", token: none}, status: 200, has: "OK"},
		{name: "health as JSON", ask: ask{path: "/healthcheck", token: none, header: []string{"Accept: application/json"}}, status: 200, has: `"reasons": ["OK"]`},
		{name: "head of health", ask: ask{method: "HEAD", path: "/healthcheck", token: none}, status: 204},
		{name: "options of health", ask: ask{method: "OPTIONS", path: "/healthcheck", token: none}, status: 200, has: "OK"},
		{name: "openapi", ask: ask{path: "/stoker/v1/openapi.yaml", token: none}, status: 200, has: "openapi: 3.1.0", header: map[string]string{"Content-Type": "application/yaml"}},
		{name: "options", ask: ask{method: "OPTIONS", path: "{P}/os-services", token: none}, status: 200, header: map[string]string{"Content-Type": ""}},
		{name: "options of the version", ask: ask{method: "OPTIONS", path: "/v3/"}, status: 200, has: `"version":"3.71"`, header: map[string]string{"Openstack-Api-Version": "volume 3.0"}},
		{name: "options of versions", ask: ask{method: "OPTIONS", path: "/", token: none}, status: 200, header: map[string]string{"Content-Type": "", "Openstack-Api-Version": ""}},
		{name: "options of nothing", ask: ask{method: "OPTIONS", path: "/nothing", token: none}, status: 200},
		{name: "options of the root", ask: ask{method: "OPTIONS", path: "/v3"}, status: 200, header: map[string]string{"Location": ""}},
		{name: "options without a version that is one", ask: ask{method: "OPTIONS", path: "/v3/", version: "x"}, status: 200},
		{name: "options greeted", ask: ask{method: "OPTIONS", path: "/v3", token: none}, status: 204},
		{name: "options of all", ask: ask{method: "OPTIONS", path: "*", token: none}, status: 200},

		{name: "greeting", ask: ask{path: "/v3", token: none}, status: 204, header: map[string]string{"X-Auth-Token": "admin:admin", "X-Server-Management-Url": "http://" + r.address + "/v3/admin"}},
		{name: "greeting of somebody", ask: ask{path: "/v3/?a=1", token: none, header: []string{"X-Auth-User: u", "X-Auth-Project-Id: p"}}, status: 204, header: map[string]string{"X-Auth-Token": "u:p", "X-Server-Management-Url": "http://" + r.address + "/v3/p"}},
		{name: "root with a token", ask: ask{path: "/v3", version: "x"}, status: 302, header: map[string]string{"Location": "https://stoker.example/v3/"}},
		{name: "version with a token", ask: ask{path: "/v3/"}, status: 200, has: `"version":"3.71"`},
		{name: "version by any method", ask: ask{method: "PATCH", path: "//v3//"}, status: 200, has: `"version":"3.71"`},

		{name: "no token", ask: ask{path: "{P}/os-services", token: none}, status: 401, has: `{"error":{"code":401,"title":"Unauthorized","message":"The request you have made requires authentication."}}`, header: map[string]string{"Www-Authenticate": "Keystone", "Vary": "OpenStack-API-Version"}},
		{name: "no token for nothing", ask: ask{path: "/v3/nothing", token: none}, status: 401},
		{name: "no token, bad version, bad body", ask: ask{method: "PUT", path: "/v3/os-services/enable", token: none, version: "x", body: "{"}, status: 401},
		{name: "empty token", ask: ask{path: "{P}/os-services", token: none, header: []string{"X-Auth-Token: "}}, status: 401},
		{name: "token of one word", ask: ask{path: "/v3/os-services", token: "bob"}, status: 200},
		{name: "token of one word is no project of a URL", ask: ask{path: "{P}/os-services", token: "bob"}, status: 400, has: "Malformed request url"},
		{name: "token in blanks", ask: ask{path: "{P}/os-services", token: none, header: []string{"X-Auth-Token:  admin:" + project + "  "}}, status: 200},
		{name: "nothing outside the API needs no token", ask: ask{path: "/nothing", token: none}, status: 404},
		{name: "nothing beside the API needs none either", ask: ask{path: "/v30/os-services", token: none}, status: 404},

		{name: "extensions", ask: ask{path: "{P}/extensions"}, status: 200, has: `"alias":"os-extended-services"`},
		{name: "one extension", ask: ask{path: "/v3/extensions/os-services.json"}, status: 200, has: `{"extension":{"name":"Services","alias":"os-services"`},
		{name: "no extension", ask: ask{path: "/v3/extensions/zap"}, status: 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := r.do(t, tt.ask)
			if got.status != tt.status || !strings.Contains(string(got.body), tt.has) {
				t.Errorf("got %d %.300s, want %d with %q", got.status, got.body, tt.status, tt.has)
			}
			if tt.ask.method == http.MethodHead && len(got.body) > 0 {
				t.Errorf("a HEAD has a body: %s", got.body)
			}
			for k, v := range tt.header {
				if have := got.header.Get(k); have != v {
					t.Errorf("%s: got %q, want %q", k, have, v)
				}
			}
		})
	}
}

func TestNoAuthWithoutProject(t *testing.T) {
	r := newRig(t, parts{auth: api.NoAuth{}})
	got := r.do(t, ask{path: "/v3/", token: "-"})
	if url := got.header.Get("X-Server-Management-Url"); got.status != 204 || url != "http://"+r.address+"/v3" {
		t.Errorf("got %d %q", got.status, url)
	}
}

// A path leads where it says or nowhere: there is no redirect.
func TestPaths(t *testing.T) {
	r := newRig(t, parts{auth: api.NoAuth{IncludeProject: true, Hosts: []string{"other.example", "http"}}}) // http: of a CONNECT to http://...
	tests := []struct {
		path string
		want int
	}{
		{"{P}/os-services", 200},
		{"/v3//os-services", 200},
		{"//v3///" + project + "//os-services", 200},
		{"/v3/os%2Dservices", 200},
		{"{P}%2Fos-services", 200},
		{"{P}/os-services?", 200},
		{"{P}/os-services.json?host=x", 200},
		{"{P}/clusters/.json", 404},
		{"{P}/os-services.json.json", 404},
		{"{P}/os-services.JSON", 404},
		{"{P}/os-services.xml", 404},
		{"{P}/os-services/", 404},
		{"{P}/os-services//", 404},
		{"{P}/os-services.json/", 404},
		{"{P}/OS-services", 404},
		{"{P}", 404},
		{"{P}/", 404},
		{"/v3/x/../os-services", 404},
		{"/v3/./os-services", 404},
		{"/v3/..", 404},
		{"/..", 404},
		{"/v3/os-services/../os-services", 404},
		{"/v3/%2e%2e/os-services", 404},
		{"/v3/os-services%00", 404},
		{"/v3/os-services%20", 404},
		{"/v3/os-services;x", 404},
		{"/v3/%FF/os-services", 404},
		{"/V3/os-services", 404},
		{"/v3.json", 404},
		{"/.json", 404},
		{"/v2/" + project + "/os-services", 404},
		{"/v3/-/os-services", 400},
		{"/v3/0/os-services", 400},
		{"/v3/" + strings.ToUpper(project) + "/os-services", 404},
		{"/v3/" + project + "0/os-services", 400},
		{"/v3/{bad}/os-services", 404},
		{"/v3/%D9%A3/os-services", 404},
		{"/stoker/v1/", 404},
		{"/stoker/v1/openapi.yaml.json", 404},
		{"http://other.example/v3/os-services", 200},
	}
	for _, tt := range tests {
		for _, method := range []string{"GET", "HEAD", "PATCH", "TRACE", "CONNECT"} {
			want := tt.want
			if method != "GET" && want != 200 || method != "GET" && want == 200 {
				want = 404
			}
			if method == "CONNECT" && !strings.HasPrefix(tt.path, "http") {
				continue // takes no path
			}
			t.Run(method+" "+tt.path, func(t *testing.T) {
				if got := r.do(t, ask{method: method, path: tt.path, version: "3.7"}); got.status != want {
					t.Errorf("got %d %.200s, want %d", got.status, got.body, want)
				}
			})
		}
	}
}

// Cinder's router knows paths behind which there is nothing: they are not found
// only after the version and the content type were judged.
func TestEmptyRoutes(t *testing.T) {
	r := newRig(t, parts{})
	for _, at := range [][2]string{{"POST", "{P}/os-services"}, {"DELETE", "{P}/os-services/enable"}, {"GET", "{P}/os-services/1/edit"}, {"GET", "{P}/clusters/new"}, {"DELETE", "{P}/clusters/x"}, {"PUT", "{P}/extensions/x"}} {
		t.Run(at[0]+" "+at[1], func(t *testing.T) {
			for _, tt := range []struct {
				ask  ask
				want int
			}{
				{ask{version: "3.7"}, 404},
				{ask{version: "3.7", body: "{"}, 404},
				{ask{version: "3.7", body: "{", bare: true}, 415},
				{ask{version: "3.99"}, 406},
				{ask{version: "3.99", token: "-"}, 401},
				{ask{version: "3.7", token: "admin:ff"}, 404},
			} {
				tt.ask.method, tt.ask.path = at[0], at[1]
				if got := r.do(t, tt.ask); got.status != tt.want {
					t.Errorf("%+v: got %d %.200s, want %d", tt.ask, got.status, got.body, tt.want)
				}
			}
		})
	}
	for _, a := range []ask{{method: "POST", path: "/v3/ff/extensions"}, {method: "DELETE", path: "/v3/ff/extensions/x"}} {
		if got := r.do(t, a); got.status != 400 {
			t.Errorf("%s %s: got %d, want 400: these have a handler that looks at the project", a.method, a.path, got.status)
		}
	}
	if got := r.do(t, ask{method: "DELETE", path: "{P}/extensions/x"}); got.status != 404 {
		t.Errorf("got %d, want 404", got.status)
	}
}

func TestBodiesThatAreTooLarge(t *testing.T) {
	r := newRig(t, parts{})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	const body = `{"host": "a@b", "binary": "cinder-volume"}`
	const limit = 114688
	padded := func(n int) string { return body + strings.Repeat(" ", n-len(body)) }
	chunked := func(text string) string {
		return fmt.Sprintf("PUT /v3/os-services/enable HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Auth-Token: a\r\nContent-Type: application/json\r\n"+
			"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(text), text)
	}
	enable := ask{method: "PUT", path: "{P}/os-services/enable"}
	with := func(a ask, body string) ask { a.body = body; return a }
	tests := []struct {
		name string
		got  func(t *testing.T) reply
		want int
	}{
		{"as large as may be", func(t *testing.T) reply { t.Helper(); return r.do(t, with(enable, padded(limit))) }, 200},
		{"one byte more", func(t *testing.T) reply { t.Helper(); return r.do(t, with(enable, padded(limit+1))) }, 413},
		{"before the token is looked at", func(t *testing.T) reply {
			t.Helper()
			return r.do(t, ask{method: "PUT", path: "/v3", token: "-", body: padded(limit + 1)})
		}, 413},
		{"in chunks", func(t *testing.T) reply { t.Helper(); return r.raw(t, "PUT", chunked(padded(limit))) }, 200},
		{"in chunks, one byte more", func(t *testing.T) reply { t.Helper(); return r.raw(t, "PUT", chunked(padded(limit+1))) }, 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.got(t)
			if got.status != tt.want {
				t.Fatalf("got %d %.200s, want %d", got.status, got.body, tt.want)
			}
			if tt.want == 413 {
				if name, message := got.fault(t); name != "overLimit" || !strings.Contains(message, "114688") {
					t.Errorf("got %s %q", name, message)
				}
			}
		})
	}
}

func TestMediaTypes(t *testing.T) {
	r := newRig(t, parts{})
	const vendor = "application/vnd.openstack.volume+json"
	tests := []struct{ accept, want string }{
		{"", "application/json"},
		{"*/*", "application/json"},
		{"text/html", "application/json"},
		{"garbage;;q=x", "application/json"},
		{vendor, vendor},
		{strings.ToUpper(vendor), vendor},
		{vendor + "; q=0.5", vendor},
		{vendor + ";q=0", "application/json"},
		{vendor + ";q=2", "application/json"},
		{vendor + ";version=3", "application/json"},
		{vendor + ", application/json", "application/json"},
		{"application/json;q=0.5, " + vendor, vendor},
		{"application/*, " + vendor + ";q=0.1", "application/json"},
		{"*/*;q=0.1, " + vendor, vendor},
		{"text/html, " + vendor, vendor},
	}
	for _, tt := range tests {
		t.Run(tt.accept, func(t *testing.T) {
			got := r.do(t, ask{path: "{P}/os-services", header: []string{"Accept: " + tt.accept}})
			if have := got.header.Get("Content-Type"); have != tt.want {
				t.Errorf("got %q, want %q", have, tt.want)
			}
			for _, plain := range []string{"{P}/os-services.json", "{P}/os-services/zap"} {
				got := r.do(t, ask{path: plain, header: []string{"Accept: " + tt.accept}})
				if have := got.header.Get("Content-Type"); have != "application/json" {
					t.Errorf("%s: got %q, want application/json", plain, have)
				}
			}
		})
	}
}
