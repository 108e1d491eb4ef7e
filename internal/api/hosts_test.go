package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/api"
	"stoker/internal/cinder"
)

// Under noauth a name that leads here by DNS rebinding is turned away, whatever is
// asked of it; loopback and what is configured are not, however they are spelled.
func TestHostsUnderNoauth(t *testing.T) {
	r := newRig(t, parts{auth: api.NoAuth{Hosts: []string{"Ctl1.example.", "192.0.2.7", "2001:DB8:0::1"}}})
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8776": 200, "127.1.2.3": 200, "localhost": 200, "localhost:8776": 200, "LocalHost.:8776": 200, "localhost:": 200,
		"[::1]": 200, "[::1]:8776": 200, "[0:0::1]:8776": 200, "[::ffff:127.0.0.1]:8776": 200, "": 200,
		"ctl1.example": 200, "CTL1.Example.:8776": 200, "192.0.2.7:80": 200, "[2001:db8::1]:8776": 200, "[::ffff:192.0.2.7]": 200,
		"evil.example": 403, "evil.example:8776": 403, "evil.example.": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403,
		"evil.example:127.0.0.1": 403, "xlocalhost": 403, "localhost..": 403, "0.0.0.0:8776": 403, "[::]:8776": 403, "10.0.0.1": 403, "192.0.2.70": 403,
		"[2001:db8::2]": 403, "2130706433": 403, "0x7f000001": 403, "127.1": 403, "ctl1": 403, ":8776": 403, ".": 403, "127.0.0.1,evil.example": 403, "lоcalhost": 403,
	} {
		for _, path := range []string{"/v3/extensions", "/v3", "/", "/healthcheck", "/stoker/v1/openapi.yaml", "/nothing"} {
			got := r.raw(t, http.MethodGet, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\nX-Auth-Token: admin\r\n\r\n")
			if got.status == http.StatusBadRequest && want == http.StatusForbidden {
				continue // no host at all, for net/http
			}
			if refused := got.status == http.StatusForbidden; refused != (want == http.StatusForbidden) {
				t.Errorf("%s with the host %q: %d %s", path, host, got.status, got.body)
			}
			if got.status == http.StatusForbidden {
				if name, message := got.fault(t); name != "forbidden" || !strings.Contains(message, "[stoker] noauth_hosts") {
					t.Errorf("%q is told %q", host, message)
				}
			}
		}
	}
	for text, want := range map[string]int{
		"GET /v3/extensions HTTP/1.0\r\nX-Auth-Token: admin\r\n\r\n":                                                                                               200, // no browser
		"GET /v3/extensions HTTP/1.0\r\nHost: evil.example\r\nX-Auth-Token: admin\r\n\r\n":                                                                         403,
		"GET http://evil.example/v3/extensions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Auth-Token: admin\r\n\r\n":                                    403,
		"GET /v3/extensions HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\nConnection: close\r\nX-Auth-Token: admin\r\n\r\n":                     403,
		"GET http://localhost/v3/extensions HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nX-Auth-Token: admin\r\n\r\n":                                    200, // as RFC 9112 has it
		"GET /v3 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n":                                                                                      403, // no token is handed out
		"OPTIONS /v3/os-services HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nAccess-Control-Request-Method: PUT\r\nConnection: close\r\n\r\n": 200,
	} {
		method, _, _ := strings.Cut(text, " ")
		got := r.raw(t, method, text)
		if got.status != want || got.header.Get("Access-Control-Allow-Origin") != "" || got.status == 403 && got.header.Get("X-Auth-Token") != "" {
			t.Errorf("%q: %d %v, want %d", text, got.status, got.header, want)
		}
	}
	if !strings.Contains(r.log.String(), `evil.example`) {
		t.Error("the log does not say which host was asked for")
	}
}

// The name counts in HTTP/2, too.
func TestHostsOverHTTP2(t *testing.T) {
	r := newRig(t, parts{})
	server := httptest.NewUnstartedServer(r.api)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for host, want := range map[string]int{"": 200, "localhost:8776": 200, "[::1]:8776": 200, "evil.example": 403, "EVIL.example.:8776": 403} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v3/extensions", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("X-Auth-Token", "admin")
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		check(t, resp.Body.Close())
		if resp.ProtoMajor != 2 || resp.StatusCode != want {
			t.Errorf("%s with the host %q: %d, want %d", resp.Proto, host, resp.StatusCode, want)
		}
	}
}

// Under noauth a page of another site changes nothing, unless CORS lets it; with
// tokens that mean something, nobody asks where a page is from.
func TestPagesOfOtherSites(t *testing.T) {
	const enable = `{"host": "a@b", "binary": "cinder-volume"}`
	page := []api.CORS{{Origins: []string{"https://console.example"}, Methods: []string{"PUT"}}}
	for _, tt := range []struct {
		name   string
		header []string
		cors   []api.CORS
		want   int
	}{
		{"a program", nil, nil, 200},
		{"a page of ours", []string{"Origin: http://{A}", "Sec-Fetch-Site: same-origin"}, nil, 200},
		{"a page of ours, in an old browser", []string{"Origin: http://{A}"}, nil, 200},
		{"typed in", []string{"Sec-Fetch-Site: none"}, nil, 200},
		{"another site", []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, nil, 403},
		{"another site, in an old browser", []string{"Origin: https://evil.example"}, nil, 403},
		{"another port", []string{"Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site"}, nil, 403},
		{"another site that hides", []string{"Sec-Fetch-Site: cross-site"}, nil, 403},
		{"a file, or a frame in a box", []string{"Origin: null"}, nil, 403},
		{"one that is allowed", []string{"Origin: https://console.example", "Sec-Fetch-Site: cross-site"}, page, 200},
		{"one beside that", []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, page, 403},
		{"hidden, though others are allowed", []string{"Sec-Fetch-Site: cross-site"}, page, 403},
		{"all are allowed", []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, []api.CORS{{Origins: []string{"*"}}}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, parts{cors: tt.cors})
			r.service(t, cinder.BinaryVolume, "a@b", map[string]any{"disabled": true})
			before := r.rows(t)
			var header []string
			for _, h := range tt.header {
				header = append(header, strings.ReplaceAll(h, "{A}", r.address))
			}
			if got := r.do(t, ask{path: "{P}/os-services", header: header}); got.status != 200 {
				t.Errorf("a list: %d %s", got.status, got.body)
			}
			for _, a := range []ask{
				{method: "PUT", path: "{P}/os-services/enable", body: enable},
				{method: "POST", path: "/stoker/v1/operations/x/abort"},
			} {
				a.header = header
				got := r.do(t, a)
				if refused := got.status == 403; refused != (tt.want == 403) {
					t.Errorf("%s %s: %d %s, want %d", a.method, a.path, got.status, got.body, tt.want)
				}
			}
			if diff := cmp.Diff(before, r.rows(t)); (diff == "") != (tt.want == 403) {
				t.Errorf("rows -was +is\n%s", diff)
			}
		})
	}
	r := newRig(t, parts{auth: known{}})
	got := r.raw(t, "PUT", "PUT /v3/os-services/enable HTTP/1.1\r\nHost: public.example\r\nOrigin: https://evil.example\r\nConnection: close\r\nX-Auth-Token: admin\r\n"+
		fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(enable), enable))
	if got.status != http.StatusNotFound {
		t.Errorf("with Keystone: %d %s", got.status, got.body)
	}
}
