package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"stoker/internal/cinder"
)

// routeUpstream is what requests that are passed on are counted under.
const routeUpstream = "upstream"

// statusGone is what the log says of a client that did not wait for an answer,
// which nobody gets.
const statusGone = 499

// PassesOn says whether a request is answered by the upstream. It goes by the path
// alone, so that nobody's token or version makes a difference.
func (s *Server) PassesOn(r *http.Request) bool {
	return s.o.Upstream != nil && r.Method != http.MethodConnect && strings.HasPrefix(r.URL.Path, "/") && !s.paths.own(r.URL.Path)
}

// own says whether a decoded path is of what Stoker serves, or would be to a server
// that reads paths in another way than ours: one that follows dots, cuts off what
// stands behind a semicolon, or ignores case. Cinder's own takes os-services%0A for
// os-services, and a web server may stand before it. Such a path is not found here,
// and goes to nobody.
func (at locator) own(path string) bool {
	segments := strings.Split(squeeze(path), "/")[1:]
	for _, s := range segments {
		if name, _, _ := strings.Cut(s, ";"); name == "." || name == ".." {
			return true
		}
	}
	switch stem(segments[0]) {
	case "stoker", "healthcheck":
		return true
	case "v3":
	default:
		return segments[0] == ""
	}
	rest := segments[1:]
	if len(rest) == 0 || rest[0] == "" || isOwnResource(rest[0]) {
		return true // of them, /v3 and /v3/ are discovery
	}
	if !at.isProject(rest[0]) {
		return false
	}
	if len(rest) == 1 || rest[1] == "" {
		// Discovery as well, unless projects may be called as anything: then it may
		// be a resource.
		return strings.Trim(rest[0], "0123456789abcdef-") == ""
	}
	return isOwnResource(rest[1])
}

func isOwnResource(segment string) bool {
	name := stem(segment)
	return name == "os-services" || name == "clusters"
}

// stem is what a segment of a path begins with, in small letters: all up to what no
// name of the API has.
func stem(segment string) string {
	end := strings.IndexFunc(segment, func(c rune) bool {
		return (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
	if end < 0 {
		end = len(segment)
	}
	return strings.ToLower(segment[:end])
}

// pass has a request answered by the upstream. What every client has to get past
// stands before it; who he is and what he may do is the upstream's to judge.
func (s *Server) pass(w http.ResponseWriter, rq *request, began time.Time) {
	p := &passed{ResponseWriter: w, rq: rq, answered: func(status int) { s.observe(routeUpstream, rq, status, began) }}
	err := s.admit(rq)
	if err == nil {
		err = s.o.Upstream.Pass(p, rq.http, s.forwards(rq))
	}
	if err != nil && p.status == 0 {
		a := s.unanswered(rq, err)
		s.observe(routeUpstream, rq, a.status, began)
		s.send(w, rq, a)
		p.status = a.status
	}
	s.o.Log.LogAttrs(rq.ctx, slog.LevelDebug, "request passed on",
		slog.String("method", rq.http.Method), slog.String("path", rq.http.URL.Path), slog.Int("status", p.status),
		slog.Duration("took", time.Since(began)), slog.String("address", rq.caller.Address),
		slog.String("request_id", rq.caller.RequestID), slog.String("upstream_request_id", p.id))
}

// admit is what every client has to get past: under noauth the host that he asks
// for, and how much he may ask. His token counts, since nobody has said whose it is.
func (s *Server) admit(rq *request) error {
	if d, ok := s.o.Auth.(doorkeeper); ok {
		if err := d.admit(rq.http, origins(s.o.CORS).allow); err != nil {
			return err
		}
	}
	who := rq.caller.Address
	if token := rq.http.Header.Get(headerToken); token != "" {
		sum := sha256.Sum256([]byte(token))
		who = string(sum[:])
	}
	if wait := s.rates.take(who); wait > 0 {
		return &limitedError{textRateLimited, wait}
	}
	return nil
}

// unanswered is the answer to a request that the upstream did not answer. One line
// in the log says that it is away, not one for each request.
func (s *Server) unanswered(rq *request, err error) *answer {
	if errors.Is(err, context.Canceled) {
		return &answer{status: statusGone}
	}
	if cinder.KindOf(err) == cinder.KindUnavailable {
		err = &awayError{err}
	}
	return s.fault(rq, err)
}

// awayError is that the upstream is away.
type awayError struct{ err error }

func (e *awayError) Error() string { return e.err.Error() }
func (e *awayError) Unwrap() error { return e.err }

// forwards are the headers that tell the upstream what this API knows of a request,
// and no more than it believes.
func (s *Server) forwards(rq *request) http.Header {
	r, o := rq.http, rq.origin
	h := http.Header{headerRequestID: {rq.caller.RequestID}}
	at, err := url.Parse(o.base)
	if err != nil { // a Host that is none: the upstream sees it, too
		at = &url.URL{Scheme: "http", Host: r.Host}
	}
	h["X-Forwarded-Proto"] = []string{at.Scheme}
	h["X-Forwarded-Host"] = []string{at.Host}
	h["X-Forwarded-Port"] = []string{cmp.Or(at.Port(), map[string]string{"https": "443"}[at.Scheme], "80")}
	if at.Path != "" {
		h["X-Forwarded-Prefix"] = []string{at.Path}
	}
	h["X-Forwarded-For"] = []string{forwardedFor(r, o, s.o.ProxyHeaders)}
	return h
}

// forwardedFor is the way that a request took: what the proxies before say, as far
// as that is believed, and who the connection is from.
func forwardedFor(r *http.Request, o origin, believe bool) string {
	peer := r.RemoteAddr
	if host, _, err := net.SplitHostPort(peer); err == nil {
		peer = host
	}
	if !believe {
		return peer
	}
	chain := strings.Join(r.Header.Values("X-Forwarded-For"), ", ")
	first, _, _ := strings.Cut(chain, ",")
	if a, ok := addressIn(strings.TrimSpace(first)); ok && a == o.address {
		return chain + ", " + peer
	}
	if o.address != peer { // Forwarded says so
		return o.address + ", " + peer
	}
	return peer
}

// passed is where the upstream's answer goes.
type passed struct {
	http.ResponseWriter
	rq       *request
	answered func(status int)

	status int    // 0 until the answer begins
	id     string // the upstream's id of the request
}

// Unwrap is what http.ResponseController looks for.
func (p *passed) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// WriteHeader sees to it that an answer has an id and nothing that the upstream did
// not say.
func (p *passed) WriteHeader(status int) {
	if status >= http.StatusOK && p.status == 0 {
		p.status = status
		h := p.Header()
		if p.id = h.Get(headerRequestID); p.id == "" {
			h[headerRequestID] = []string{p.rq.caller.RequestID}
		}
		for _, guessed := range []string{"Content-Type", "Date"} {
			if h[guessed] == nil {
				h[guessed] = nil
			}
		}
		if len(p.rq.http.TransferEncoding) > 0 && p.rq.http.ProtoMajor == 1 {
			h["Connection"] = []string{"close"} // as for answers of ours
		}
		p.answered(status)
	}
	p.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (p *passed) Write(b []byte) (int, error) {
	if p.status == 0 {
		p.WriteHeader(http.StatusOK)
	}
	return p.ResponseWriter.Write(b)
}
