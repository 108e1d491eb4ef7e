package app_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

// The process itself answers to loopback alone, and to what is configured; the
// requests that net/http would answer by itself are no exception.
func TestWhatAStandaloneProcessAnswersTo(t *testing.T) {
	o := standalone(t, t.TempDir())
	o.Config.NoauthHosts, o.Config.PublicEndpoint = []string{"lab1"}, "https://public.example:8776/volume"
	s := start(t, o)
	for request, want := range map[string]int{
		"GET /v3/extensions HTTP/1.1\r\nHost: localhost:8776\r\n":       200,
		"GET /v3/extensions HTTP/1.1\r\nHost: lab1\r\n":                 200,
		"GET /v3/extensions HTTP/1.1\r\nHost: public.example\r\n":       200,
		"GET /v3/extensions HTTP/1.1\r\nHost: evil.example\r\n":         403,
		"PUT /v3/os-services/enable HTTP/1.1\r\nHost: evil.example\r\n": 403,
		"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n":                     200,
	} {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, request+"X-Auth-Token: admin\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		got, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.StatusCode != want || got.Header.Get("X-Openstack-Request-Id") == "" {
			t.Errorf("%q: %d %v, want %d from the API", request, got.StatusCode, got.Header, want)
		}
		_ = got.Body.Close()
		_ = c.Close()
	}
}
