package config

import (
	"net"
	"net/netip"
	neturl "net/url"
	"strconv"
	"strings"
)

// upstreams are the addresses of cinder-apis. A user and password, which have no
// place in one, are not printed.
func upstreams(o option[Config], at func(*Config) *[]string) option[Config] {
	o = list(o, "http or https URLs with a host and at most a port, each once, separated by commas", validUpstream, at)
	set := o.set
	o.set = func(c *Config, s string) bool {
		ok := set(c, s)
		for i, item := range *at(c) {
			(*at(c))[i] = strings.TrimRight(item, "/")
		}
		return ok
	}
	o.redact = func(s string) string {
		items := strings.Split(s, ",")
		for i, item := range items {
			if strings.ContainsAny(item, "@?#") {
				items[i] = "***"
			}
		}
		return strings.Join(items, ",")
	}
	o.show = func(c *Config) string { return o.redact(strings.Join(*at(c), ",")) }
	return o
}

func validUpstream(s string) bool {
	u, err := neturl.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") {
		return false
	}
	if u.Port() != "" {
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
			return false
		}
	}
	return u.User == nil && u.Path == "" && u.Opaque == "" && u.RawQuery == "" && !u.ForceQuery && u.Fragment == "" && !strings.Contains(s, "#")
}

// upstream finds an address that is this API's own.
func (v *validator) upstream() {
	for _, s := range v.c.Upstream {
		u, err := neturl.Parse(s)
		if err != nil || u.Port() != strconv.Itoa(v.c.ListenPort) {
			continue
		}
		everywhere := v.c.Listen == "" || unspecified(v.c.Listen)
		if host := u.Hostname(); host == v.c.Listen || everywhere && (loopback(host) || onThisMachine(host)) || loopback(host) && loopback(v.c.Listen) {
			v.rule("stoker", "upstream", "is where this API itself listens (osapi_volume_listen, osapi_volume_listen_port): let one of the two listen on another port")
		}
	}
}

func unspecified(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsUnspecified()
}

// onThisMachine says whether an IP address is one of this machine's.
func onThisMachine(host string) bool {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, o := range own {
		if p, err := netip.ParsePrefix(o.String()); err == nil && p.Addr().Unmap() == a.Unmap() {
			return true
		}
	}
	return false
}

// Alone is a note for who checks a configuration: what has to stand beside an API
// that passes nothing on. It is "" when there is nothing to say.
func (c Config) Alone(use Use) string {
	if len(c.Upstream) > 0 || use != ForAll && use != ForAPI {
		return ""
	}
	return "[stoker] upstream is not set: what Stoker does not serve is answered with 404. The catalog must not lead to Stoker alone, but to a proxy that sends the rest to cinder-api."
}
