package api

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
)

// Whatever a proxy is said to say, links stay links and an address is one.
func FuzzForwarded(f *testing.F) {
	for _, seed := range [][2]string{
		{"for=192.0.2.60;proto=https;host=a.example, for=b", "/x"},
		{`For="[2001:db8::2]:4711"`, "//evil"},
		{"=;;,=,\"", "/../x"},
		{"host=a@b;for=1.2.3", "/x?y#z"},
		{"for=[fe80::1%\xff]", "/x"},
		{"for=[fe80::1%eth0]:80", "/x"},
		{"proto=HTTPS;host=[::1]:80", "/%2e"},
	} {
		f.Add(seed[0], seed[1], seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, forwarded, prefix, host, address string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Host = "api.example"
		r.Header = http.Header{
			"Forwarded": {forwarded}, "X-Forwarded-Prefix": {prefix}, "X-Forwarded-Host": {host}, "X-Forwarded-For": {address},
		}
		for range 2 {
			o := originOf(r, true)
			u, err := url.Parse(o.base + root + "/")
			if err != nil {
				t.Fatalf("links begin with %q: %v", o.base, err)
			}
			if u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
				t.Errorf("links begin with %q", o.base)
			}
			if a, err := netip.ParseAddr(o.address); err != nil || a.Zone() != "" {
				t.Errorf("the address is %q", o.address)
			}
			r.Header.Del("Forwarded") // the others count now
		}
	})
}
