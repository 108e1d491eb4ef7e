package upstream_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// What passing on costs, beside the bare handler behind it and the bare
// ReverseProxy that it is made of: a read, a change with a body, and 8 MiB.
func BenchmarkPass(b *testing.B) {
	list := strings.Repeat("x", 8<<10)
	back := serve(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/long" {
			_, _ = io.CopyN(w, endless{}, 8<<20)
			return
		}
		_, _ = io.WriteString(w, list)
	})
	at, err := url.Parse(back.URL)
	if err != nil {
		b.Fatal(err)
	}
	bare := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(at); r.SetXForwarded() },
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	})
	b.Cleanup(bare.Close)
	u, _ := newUpstream(b, nil, back.URL)
	ours := front(b, u, nil)
	for _, who := range []struct{ name, url string }{{"direct", back.URL}, {"bare", bare.URL}, {"ours", ours.URL}} {
		for _, what := range []struct{ name, method, path, body string }{{"read", "GET", "/", ""}, {"change", "POST", "/", list}, {"long", "GET", "/long", ""}} {
			b.Run(what.name+"/"+who.name, func(b *testing.B) {
				client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
				defer client.CloseIdleConnections()
				for b.Loop() {
					if status, _ := discard(b, client, what.method, who.url+what.path, what.body); status != http.StatusOK {
						b.Fatal(status)
					}
				}
			})
		}
	}
}

// discard sends a request and reads the answer away.
func discard(b *testing.B, c *http.Client, method, url, body string) (status int, n int64) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	n, err = io.Copy(io.Discard, resp.Body)
	check(b, err, resp.Body.Close())
	return resp.StatusCode, n
}
