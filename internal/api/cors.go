package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS says of some origins what their web pages may do, as oslo.middleware does;
// testdata/cors.json holds what that answers.
type CORS struct {
	Origins     []string // scheme://host[:port]; "*" is every one
	Credentials bool
	Expose      []string // headers of answers that a page may read
	MaxAge      time.Duration
	Methods     []string
	Headers     []string // of requests, besides those that every page may send
}

// simpleHeaders are those that every page may send.
func simpleHeaders() []string {
	return []string{"Accept", "Accept-Language", "Content-Type", "Cache-Control", "Content-Language", "Expires", "Last-Modified", "Pragma"}
}

// origins are what is allowed to whom. Of two that name an origin the first counts.
type origins []CORS

// of is what is allowed to the page that sends a request, and the origin by which
// it is: the page's own, or *. nil when nothing is.
func (o origins) of(r *http.Request) (*CORS, string) {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return nil, ""
	}
	for _, origin := range []string{strings.Join(values, ","), "*"} {
		for i := range o {
			if slices.Contains(o[i].Origins, origin) {
				return &o[i], origin
			}
		}
	}
	return nil, ""
}

// allow says whether the page that sends a request may call the API.
func (o origins) allow(r *http.Request) bool { c, _ := o.of(r); return c != nil }

// add puts into the header of an answer what a page's request needs there.
func (o origins) add(h http.Header, r *http.Request) {
	c, origin := o.of(r)
	if c == nil {
		return
	}
	if r.Method == http.MethodOptions {
		c.preflight(h, r, origin)
		return
	}
	if vary := h.Get("Vary"); vary != "" {
		h["Vary"] = []string{vary + ",Origin"}
	} else {
		h["Vary"] = []string{"Origin"}
	}
	c.allow(h, origin)
	if len(c.Expose) > 0 {
		h["Access-Control-Expose-Headers"] = []string{strings.Join(c.Expose, ",")}
	}
}

func (c *CORS) allow(h http.Header, origin string) {
	h["Access-Control-Allow-Origin"] = []string{origin}
	if c.Credentials {
		h["Access-Control-Allow-Credentials"] = []string{"true"}
	}
}

// preflight answers a browser that asks before it sends the page's request.
func (c *CORS) preflight(h http.Header, r *http.Request, origin string) {
	method := r.Header.Values("Access-Control-Request-Method")
	if len(method) == 0 || !slices.Contains(c.Methods, strings.Join(method, ",")) {
		return
	}
	var asked []string
	for name := range strings.SplitSeq(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ","), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		same := func(s string) bool { return strings.EqualFold(s, name) }
		if !slices.ContainsFunc(c.Headers, same) && !slices.ContainsFunc(simpleHeaders(), same) {
			return
		}
		asked = append(asked, name)
	}
	h["Vary"] = []string{"Origin"}
	c.allow(h, origin)
	if c.MaxAge > 0 {
		h["Access-Control-Max-Age"] = []string{strconv.Itoa(int(c.MaxAge / time.Second))}
	}
	h["Access-Control-Allow-Methods"] = method[:1]
	if len(asked) > 0 {
		h["Access-Control-Allow-Headers"] = []string{strings.Join(asked, ",")}
	}
}
