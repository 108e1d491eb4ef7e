package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// origin is where a client sent a request, and from where.
type origin struct {
	base    string // scheme://host, and the prefix that a proxy takes away
	address string // the client's, without port
}

// originOf reads it off the connection or, when the headers of proxies are
// believed, off those, as oslo.middleware does: Forwarded, or else
// X-Forwarded-*; the first of several. What cannot be a scheme, a host, an
// address or a path is not believed.
func originOf(r *http.Request, believe bool) origin {
	scheme, host, prefix, address := "http", r.Host, "", r.RemoteAddr
	if r.TLS != nil {
		scheme = "https"
	}
	if h, _, err := net.SplitHostPort(address); err == nil {
		address = h
	}
	if believe {
		told := forwarded(r.Header)
		if s := strings.ToLower(told.scheme); s == "http" || s == "https" {
			scheme = s
		}
		if isHost(told.host) {
			host = told.host
		}
		if a, ok := addressIn(told.address); ok {
			address = a
		}
		if p := r.Header.Get("X-Forwarded-Prefix"); isPrefix(p) {
			prefix = strings.TrimRight(p, "/")
		}
	}
	return origin{scheme + "://" + host + prefix, address}
}

// said is what a proxy says of a request.
type said struct{ scheme, host, address string }

func forwarded(h http.Header) said {
	text := strings.Join(h.Values("Forwarded"), ",")
	if text == "" {
		first := func(name string) string {
			v, _, _ := strings.Cut(h.Get(name), ",")
			return strings.TrimSpace(v)
		}
		return said{first("X-Forwarded-Proto"), first("X-Forwarded-Host"), first("X-Forwarded-For")}
	}
	text, _, _ = strings.Cut(text, ",")
	var s said
	for pair := range strings.SplitSeq(text, ";") {
		key, value, _ := strings.Cut(pair, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "proto":
			s.scheme = value
		case "host":
			s.host = value
		case "for":
			s.address = value
		}
	}
	return s
}

// addressIn takes an address apart: 192.0.2.1, 192.0.2.1:80, [2001:db8::1]:80.
// A zone, which may be any text, means nothing on another machine.
func addressIn(s string) (string, bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().WithZone("").String(), true
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.WithZone("").String(), err == nil
}

// isHost says whether a text can be a host with or without a port.
func isHost(s string) bool {
	if s == "" || len(s) > 255 || !only(s, "-._:[]") {
		return false
	}
	u, err := url.Parse("http://" + s + "/")
	return err == nil && u.Host == s && u.Hostname() != ""
}

// isPrefix says whether a text can stand before the paths of the API.
func isPrefix(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.Contains(s, "//") && len(s) <= 255 && only(s, "-._~/")
}

// only says whether a text is letters, digits and the signs.
func only(s, signs string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte(signs, c) < 0 {
			return false
		}
	}
	return true
}
