package keystone

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"stoker/internal/cinder"
)

// accessRule is a request that an application credential allows, as Keystone describes
// it.
type accessRule struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Service string `json:"service"` // service type in the catalog
}

// grant is what a valid token allows.
type grant struct {
	caller cinder.Caller
	rules  *accessRules // nil allows every request
}

// accessRules are a token's rules for this API.
type accessRules struct{ allowed []allowed }

type allowed struct {
	method string
	path   *regexp.Regexp
}

// newAccessRules selects a token's rules for a service type.
func newAccessRules(rules []accessRule, service string) *accessRules {
	a := &accessRules{}
	for _, r := range rules {
		if r.Service == service {
			a.allowed = append(a.allowed, allowed{r.Method, pathPattern(r.Path)})
		}
	}
	return a
}

// allow reports whether the token may be used for the request.
func (a *accessRules) allow(r *http.Request) bool {
	if a == nil {
		return true
	}
	path := quoted(r.URL.Path)
	return slices.ContainsFunc(a.allowed, func(rule allowed) bool { return rule.method == r.Method && rule.path.MatchString(path) })
}

// pathPart matches the parts of a rule's path: {anything} and * stand for one segment
// or the rest of one, ** for any text. An unmatched brace is ignored.
var pathPart = regexp.MustCompile(`(\{[^}]*\})|(\*\*)|(\*)|([^{}*]+)`)

// pathPattern compiles a rule's path. Of three stars in a row the first two are **.
func pathPattern(path string) *regexp.Regexp {
	var b strings.Builder
	for _, part := range pathPart.FindAllStringSubmatch(path, -1) {
		switch {
		case part[1] != "" || part[3] != "":
			b.WriteString("[^/]+")
		case part[2] != "":
			b.WriteString(".*")
		default:
			b.WriteString(regexp.QuoteMeta(part[4]))
		}
	}
	return regexp.MustCompile("^" + b.String() + "$") // cannot fail: all parts are quoted or constant
}

// quoted is a path as rules see it: decoded once, then percent-encoded, except for the
// characters that WebOb leaves, which produces Cinder's paths.
func quoted(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~/!$&'()*+,;=:@", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
