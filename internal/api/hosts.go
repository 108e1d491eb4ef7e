package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"stoker/internal/cinder"
)

// admit refuses what a page in a browser of this machine may have sent: a request
// to a name that somebody else gives out, which DNS rebinding makes lead here, and
// a change that a page of another site asks for. KindForbidden. allowed says
// whether pages of an origin may call the API.
//
// Only NoAuth needs it. Elsewhere a request is worth what its token is worth, which
// a browser does not send by itself.
func (n NoAuth) admit(r *http.Request, allowed func(*http.Request) bool) error {
	if !n.knows(r.Host) {
		return cinder.Wrap(cinder.KindForbidden, fmt.Errorf("it is for the host %q", r.Host),
			"With auth_strategy = noauth, requests must be for a loopback name or address, or for one of [stoker] noauth_hosts.")
	}
	if err := http.NewCrossOriginProtection().Check(r); err != nil && !allowed(r) {
		return cinder.Wrap(cinder.KindForbidden, fmt.Errorf("%w, of %q", err, r.Header.Get("Origin")),
			"With auth_strategy = noauth, pages of other sites may change nothing, unless [cors] allowed_origin has theirs.")
	}
	return nil
}

// knows says whether a request for that host is for us. Browsers always name one.
func (n NoAuth) knows(host string) bool {
	if host == "" {
		return true
	}
	name := canonical(host)
	if a, err := netip.ParseAddr(name); err == nil && a.IsLoopback() || name == "localhost" {
		return true
	}
	return slices.ContainsFunc(n.Hosts, func(h string) bool { return canonical(h) == name })
}

// canonical is a host in its one spelling, without port.
func canonical(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if bare, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(bare, "]")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
