package api

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"stoker/internal/api/microversion"
	"stoker/internal/api/schema"
	"stoker/internal/cinder"
	"stoker/internal/control"
)

// The headers that the API adds to what HTTP has.
const (
	headerRequestID = "X-Openstack-Request-Id"
	headerOperation = "X-Stoker-Operation" // of every answer to a change: the journal's id of it
	headerWarning   = "X-Stoker-Warning"   // of an answer to a change that may not do what was meant
)

// listTimeout bounds a read of the services that several requests may share.
// The database and the scheduler have tighter bounds of their own.
const listTimeout = 30 * time.Second

// gatherTime is how long a get-log waits for others who ask the same: clients that
// were answered together ask again together. It takes tens of milliseconds anyway.
const gatherTime = 2 * time.Millisecond

// Authenticator finds out who sends a request.
type Authenticator interface {
	// Authenticate returns the caller, without request id and address. It fails
	// with KindUnauthenticated when the request does not prove who sends it, and
	// with KindUnavailable when that cannot be found out now.
	Authenticate(r *http.Request) (cinder.Caller, error)
}

// Policy decides what a caller may do.
type Policy interface {
	// Allow fails with KindForbidden when the caller may not do what the rule stands for.
	Allow(ctx context.Context, caller cinder.Caller, rule string) error
}

// Observer is told of every request that was answered. It is called at once by many.
type Observer interface {
	// Observe gets the pattern of the route ("" when there is none), the method as it
	// was sent, the status, and the time from the request's head to its answer.
	Observe(route, method string, status int, took time.Duration)
}

// Upstream is a cinder-api, which answers what this API does not serve. It is
// called at once by many.
type Upstream interface {
	// Pass sends a request on, with the headers in set in the place of those it has,
	// and the answer back. It fails when nothing was answered: with KindUnavailable,
	// KindRemote when the answer cannot be passed on, or KindInvalid when the
	// request's body breaks off. It panics with http.ErrAbortHandler when an answer
	// breaks off.
	Pass(w http.ResponseWriter, r *http.Request, set http.Header) error
	// Newest is the newest microversion 3.x that it speaks; ok is false when it has
	// never said.
	Newest() (x int, ok bool)
}

// Options are what a Server is made of.
type Options struct {
	Control *control.Control
	Auth    Authenticator
	Policy  Policy
	Log     *slog.Logger

	// Refusals is where records go that callers can cause who may do nothing: it
	// should count those that agree in message and status. nil is Log.
	Refusals *slog.Logger

	// Challenge is what a 401 asks for (WWW-Authenticate). "" is plain Keystone.
	Challenge string
	// PublicURL is what the links in answers begin with, without a slash at the
	// end. "" is the address that the request was sent to.
	PublicURL string
	// ProjectRegex is what the id of a project in a path looks like, as a whole. ""
	// is what Keystone makes: hexadecimal digits and hyphens.
	ProjectRegex string
	// ProxyHeaders says that Forwarded and X-Forwarded-* are a proxy's, and true.
	ProxyHeaders bool
	CORS         []CORS // none: no page of another origin may call the API
	MaxBody      int64  // bytes of a request's body; 0 is 112 KiB

	// Rate is how many requests a caller may send in a second; 0 is any number.
	// Burst is how many of them at once.
	Rate  float64
	Burst int

	// Health says how what the API needs does, for /healthcheck?detailed; nil is
	// not told. It must return soon after ctx ends.
	Health func(ctx context.Context) []Part

	Upstream Upstream // nil: what is not served here is not found
	Requests Observer // nil: nobody counts them
}

// defaultMaxBody is Cinder's: 112 KiB.
const defaultMaxBody = 114688

// Server answers requests. It is safe for concurrent use, and knows nothing that
// another one would need.
type Server struct {
	o         Options
	log       *slog.Logger
	challenge string
	mux       *http.ServeMux
	paths     locator
	schemas   schema.Set
	lists     *coalescer[listing, []byte]
	levels    *coalescer[control.LogQuery, []byte]
	kept      kept
	rates     *rates
	streams   streams
	parts     *coalescer[struct{}, []Part]

	ending <-chan struct{} // closed by End
	end    func()
}

// New makes a Server. It fails when a route asks for a schema that is not there.
func New(o Options) (*Server, error) {
	schemas, err := schema.Compile()
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, log: o.Log, challenge: o.Challenge, schemas: schemas}
	if s.challenge == "" {
		s.challenge = "Keystone"
	}
	if s.o.Refusals == nil {
		s.o.Refusals = o.Log
	}
	if s.o.MaxBody == 0 {
		s.o.MaxBody = defaultMaxBody
	}
	s.lists = newCoalescer(listTimeout, s.list)
	s.levels = newCoalescer(listTimeout, s.levelsOf)
	s.levels.gather = gatherTime
	s.parts = newCoalescer(healthTimeout, s.lookAt)
	ending, end := context.WithCancel(context.Background())
	s.ending, s.end = ending.Done(), end
	s.rates = newRates(o.Rate, o.Burst)
	table := routes()
	for i := range table {
		if name := table[i].schema; name != "" && schemas[name] == nil {
			return nil, fmt.Errorf("route %s %s: no schema %s", table[i].method, table[i].pattern, name)
		}
	}
	if s.paths, err = newLocator(cmp.Or(o.ProjectRegex, defaultProject), table); err != nil {
		return nil, fmt.Errorf("project_id_regex: %w", err)
	}
	s.mux = newMux(table)
	return s, nil
}

// Close ends what the server still does for requests that nobody waits for. It
// is called after the last request was answered.
func (s *Server) Close() {
	s.end()
	s.lists.close()
	s.levels.close()
	s.parts.close()
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	rq, found := s.newRequest(r)
	if s.PassesOn(r) {
		s.pass(w, rq, began)
		return
	}
	a := s.answer(rq, found)
	s.observe(s.patternOf(rq, found), rq, a.status, began)
	s.send(w, rq, a)
	s.logAnswer(rq, a, began)
}

// send writes an answer.
func (s *Server) send(w http.ResponseWriter, rq *request, a *answer) {
	r := rq.http
	h := w.Header()
	maps.Copy(h, a.header)
	h[headerRequestID] = []string{rq.caller.RequestID}
	if rq.operation != "" {
		h[headerOperation] = []string{rq.operation}
	}
	if rq.versioned() || rq.versionHeader != "" {
		h["Vary"] = []string{microversion.Header}
	}
	if rq.versionHeader != "" {
		h[http.CanonicalHeaderKey(microversion.Header)] = []string{rq.versionHeader}
	}
	if _, said := h["Content-Type"]; !said {
		h["Content-Type"] = []string{rq.mediaType(a.status)}
	}
	if !strings.HasPrefix(rq.path, healthPath) {
		origins(s.o.CORS).add(h, r)
	}
	if len(r.TransferEncoding) > 0 && r.ProtoMajor == 1 {
		// What follows a body in chunks is another request to a proxy that went by
		// a Content-Length beside it: it is not read.
		h["Connection"] = []string{"close"}
	}
	if a.status != http.StatusNoContent && a.stream == nil {
		h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	}
	w.WriteHeader(a.status)
	switch {
	case a.stream != nil:
		if err := a.stream(rq.ctx, w); err != nil {
			s.logFor(rq, a.status).DebugContext(rq.ctx, "the client has stopped to listen", "request_id", rq.caller.RequestID, "error", err)
		}
	case r.Method != http.MethodHead:
		if _, err := w.Write(a.body); err != nil {
			s.logFor(rq, a.status).DebugContext(rq.ctx, "the client did not wait for the answer", "request_id", rq.caller.RequestID, "error", err)
		}
	}
}

// observe tells who counts.
func (s *Server) observe(pattern string, rq *request, status int, began time.Time) {
	if s.o.Requests != nil {
		s.o.Requests.Observe(pattern, rq.http.Method, status, time.Since(began))
	}
}

// patternOf is the pattern of a request's route; "" when there is none. One that
// was turned away before its route was looked up counts for that all the same.
func (s *Server) patternOf(rq *request, found bool) string {
	route := rq.route
	if route == nil && found {
		at := *rq
		s.find(&at)
		route = at.route
	}
	if route == nil {
		return ""
	}
	return route.pattern
}

// logFor is where a request is logged that is answered with that status: records
// that anybody can cause, or somebody who asks too often, are counted.
func (s *Server) logFor(rq *request, status int) *slog.Logger {
	if rq.operation == "" && (!rq.permitted || status == http.StatusTooManyRequests) {
		return s.o.Refusals
	}
	return s.log
}

func (s *Server) logAnswer(rq *request, a *answer, began time.Time) {
	level := slog.LevelDebug
	if rq.operation != "" {
		level = slog.LevelInfo
	}
	log := s.logFor(rq, a.status)
	if !log.Enabled(rq.ctx, level) {
		return
	}
	log.LogAttrs(rq.ctx, level, "request answered",
		slog.String("method", rq.http.Method), slog.String("path", rq.path), slog.Int("status", a.status),
		slog.Int("bytes", len(a.body)), slog.Duration("took", time.Since(began)), slog.String("user", rq.caller.UserID),
		slog.String("address", rq.caller.Address), slog.String("request_id", rq.caller.RequestID), slog.String("operation", rq.operation))
}

// answer is the answer to a request, whatever happens.
func (s *Server) answer(rq *request, found bool) (a *answer) {
	defer func() {
		if p := recover(); p != nil {
			a = s.fault(rq, panicked(p))
		}
	}()
	a, err := s.handle(rq, found)
	if rq.http.Method == http.MethodOptions && (err != nil || a.status >= http.StatusMultipleChoices) {
		// Whoever asks what he may do is not told off (auth.json, open-method/OPTIONS/*).
		rq.versionHeader = ""
		return &answer{status: http.StatusOK, header: http.Header{"Content-Type": nil}}
	}
	if err != nil {
		return s.fault(rq, err)
	}
	return a
}

// handle takes a request to its route: what is too large goes nowhere, nothing
// under /v3 is told to who is nobody, and what leads nowhere is not found.
func (s *Server) handle(rq *request, found bool) (*answer, error) {
	if rq.http.ContentLength > s.o.MaxBody {
		return nil, s.errTooLarge()
	}
	if d, ok := s.o.Auth.(doorkeeper); ok {
		if err := d.admit(rq.http, origins(s.o.CORS).allow); err != nil {
			return nil, err
		}
	}
	if a := s.greet(rq); a != nil {
		return a, nil
	}
	if rq.versioned() {
		if err := s.identify(rq); err != nil {
			return nil, err
		}
	}
	if !found || !s.find(rq) {
		return nil, errNotFound()
	}
	if rq.route.own {
		if err := s.identify(rq); err != nil {
			return nil, err
		}
	}
	return s.process(rq)
}

// doorkeeper is an Authenticator that turns some requests away before anything
// else, and answers who comes to the door of the API without a token, as noauth does.
type doorkeeper interface {
	admit(r *http.Request, allowed func(*http.Request) bool) error
	greet(r *http.Request, base string) http.Header
}

// greet answers such a visitor (services.json, versions//v3); nil for everybody else.
func (s *Server) greet(rq *request) *answer {
	g, ok := s.o.Auth.(doorkeeper)
	if !ok || rq.path != root && rq.path != root+"/" {
		return nil
	}
	h := g.greet(rq.http, rq.origin.base)
	if h == nil {
		return nil
	}
	return &answer{status: http.StatusNoContent, header: h}
}
