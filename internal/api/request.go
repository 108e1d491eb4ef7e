package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"stoker/internal/api/microversion"
	"stoker/internal/api/schema"
	"stoker/internal/cinder"
)

// request is what is known of a request, the more the further it got.
type request struct {
	http *http.Request
	ctx  context.Context //nolint:containedctx // it lives as long as the request, and carries the caller
	location
	origin origin

	caller    cinder.Caller
	permitted bool // the policy has let the caller through
	route     *route
	version   microversion.Version
	body      map[string]any // nil when the route takes none

	versionHeader string // of the answer; "" before a version is known
	operation     string // the change that the request began
}

// The two names that JSON goes by.
const (
	mediaJSON   = "application/json"
	mediaVendor = "application/vnd.openstack.volume+json"
)

// answer is what a request is answered with.
type answer struct {
	status int
	header http.Header // beyond those that every answer has
	body   []byte

	// stream writes a body that has no end yet, in place of body.
	stream func(context.Context, http.ResponseWriter) error
}

// asJSON is the answer to what went well.
func asJSON(body []byte) *answer { return &answer{status: http.StatusOK, body: body} }

// newRequest begins a request: it gets its id, and the caller an address.
func (s *Server) newRequest(r *http.Request) (*request, bool) {
	l, ok := s.paths.locate(r.URL.Path)
	rq := &request{http: r, location: l, origin: originOf(r, s.o.ProxyHeaders)}
	rq.caller.RequestID = r.Header.Get(headerRequestID)
	if !wellFormedID(rq.caller.RequestID) {
		rq.caller.RequestID = "req-" + uuid.NewString()
	} else {
		rq.caller.GlobalRequestID = rq.caller.RequestID
	}
	rq.caller.Address = rq.origin.address
	rq.ctx = cinder.WithCaller(r.Context(), rq.caller)
	return rq, ok
}

// wellFormedID says whether an id that a client sends is one: req-<uuid>, in small
// letters, as Cinder has it.
func wellFormedID(id string) bool {
	bare, ok := strings.CutPrefix(id, "req-")
	if !ok || len(bare) != len("00000000-0000-0000-0000-000000000000") {
		return false
	}
	return uuid.Validate(bare) == nil && id == strings.ToLower(id)
}

// identify finds out who asks, and whether he asks too often.
func (s *Server) identify(rq *request) error {
	c, err := s.o.Auth.Authenticate(rq.http)
	if err != nil {
		return err
	}
	c.RequestID, c.GlobalRequestID, c.Address = rq.caller.RequestID, rq.caller.GlobalRequestID, rq.caller.Address
	rq.caller = c
	rq.ctx = cinder.WithCaller(rq.ctx, c)
	return s.limit(rq)
}

// process takes a request that has found its route through the checks that
// stand before the handler, in Cinder's order, and then to the handler.
func (s *Server) process(rq *request) (*answer, error) {
	rt := rq.route
	if rt.bare {
		return rt.serve(s, rq)
	}
	if !rt.own {
		if err := rq.negotiate(s.newest()); err != nil {
			return nil, err
		}
	}
	text, err := s.readBody(rq)
	if err != nil {
		return nil, err
	}
	if len(text) > 0 && !isJSON(rq.http.Header.Get("Content-Type")) {
		return nil, &statusError{http.StatusUnsupportedMediaType, textContentType}
	}
	if rt.serve == nil {
		return nil, errNotFound()
	}
	var body any
	if len(text) > 0 {
		if body, err = schema.Decode(text); err != nil {
			return nil, invalid(textMalformedBody)
		}
	}
	if rq.project != "" && rq.project != rq.caller.ProjectID {
		return nil, invalid(textMalformedURL)
	}
	serve, check := rt.serve, rt.schema
	if !rt.own && rq.version < rt.since {
		if rt.before == nil {
			return nil, errNotFound()
		}
		serve, check = rt.before, ""
	}
	if (len(text) > 0) != rt.body {
		return nil, invalid(textBadRequest)
	}
	if err := s.allow(rq, rt.policy); err != nil {
		return nil, err
	}
	rq.permitted = rt.policy != ""
	if check != "" {
		if err := s.schemas[check].Validate(body); err != nil {
			return nil, err
		}
		rq.body, _ = body.(map[string]any)
	}
	if rt.change() && rq.http.Header.Get(headerKey) != "" {
		return s.once(rq, text, serve)
	}
	return serve(s, rq)
}

// allow asks the policy whether the caller may do what the rule stands for.
func (s *Server) allow(rq *request, rule string) error {
	if rule == "" {
		return nil
	}
	return s.o.Policy.Allow(rq.ctx, rq.caller, rule)
}

// negotiate finds out which version the request speaks, newest at most.
func (rq *request) negotiate(newest microversion.Version) error {
	v, err := microversion.Parse(rq.http.Header.Values(microversion.Header), newest)
	if err == nil {
		rq.version, rq.versionHeader = v, v.HeaderValue()
		return nil
	}
	if e, ok := errors.AsType[*microversion.FormatError](err); ok {
		return invalid(e.Error())
	}
	if errors.Is(err, microversion.ErrUnnamed) {
		return invalid(textBadRequest)
	}
	return err
}

func (s *Server) readBody(rq *request) ([]byte, error) {
	if rq.http.Body == nil || rq.http.Body == http.NoBody {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(rq.http.Body, s.o.MaxBody+1))
	if err != nil {
		return nil, cinder.Wrap(cinder.KindInvalid, err, "%s", textMalformedBody)
	}
	if int64(len(text)) > s.o.MaxBody {
		return nil, s.errTooLarge()
	}
	return text, nil
}

func (s *Server) errTooLarge() error {
	return &statusError{
		http.StatusRequestEntityTooLarge,
		fmt.Sprintf("Request is too large. Larger than max_request_body_size (%d).", s.o.MaxBody),
	}
}

// isJSON says whether a body of that content type is read. Case counts, as in
// Cinder (services.json, content-type/APPLICATION/JSON).
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return media == mediaJSON || media == mediaVendor
}

// text is a text of the body; "" when it is null or not there.
func (rq *request) text(field string) string {
	s, _ := rq.body[field].(string)
	return s
}

// textOrNil is a text of the body; nil when it is null or not there.
func (rq *request) textOrNil(field string) *string {
	if s, ok := rq.body[field].(string); ok {
		return &s
	}
	return nil
}

// began notes the change that the request began, for the answer's header.
func (rq *request) began(op cinder.Operation) { rq.operation = op.ID }
