package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stoker/internal/control"
)

const (
	// headerKey is what a client sends with a change that it may send again.
	headerKey = "Idempotency-Key"
	// headerReplayed is in an answer that was given before.
	headerReplayed = "Idempotency-Replayed"

	maxKey      = 255     // characters
	maxKeptBody = 1 << 16 // bytes
)

// change says whether a route changes anything.
func (r *route) change() bool {
	return (r.method == http.MethodPut || r.method == http.MethodPost) && r.ok != 0 && !strings.HasSuffix(r.pattern, "/get-log")
}

// once carries out a change whose sender gives it a key: the same request with
// the same key gets the first answer again, another one 422.
func (s *Server) once(rq *request, text []byte, serve handler) (*answer, error) {
	key := rq.http.Header.Get(headerKey)
	if len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, invalidInput(headerKey + " must be at most " + strconv.Itoa(maxKey) + " visible ASCII characters")
	}
	id := digest(rq.caller.UserID, rq.caller.ProjectID, rq.caller.DomainID, rq.caller.SystemScope, key)
	kept, op, err := s.o.Control.Once(rq.ctx, control.Key{
		ID: id, Caller: digest(rq.who()), Fingerprint: digest(rq.http.Method, rq.path, rq.version.String(), string(text)),
	})
	rq.operation = op
	full, isFull := errors.AsType[*control.KeysFullError](err)
	switch {
	case isFull:
		text := fmt.Sprintf("You have sent %d changes with an %s within a day, the most that [stoker] idempotency_keys_per_caller allows. "+
			"Wait until the oldest is a day old, or send the change without a key.", full.Most, headerKey)
		return nil, &limitedError{text, time.Until(full.Until)}
	case errors.Is(err, control.ErrOtherRequest):
		return nil, &statusError{http.StatusUnprocessableEntity, "This " + headerKey + " was used for another request."}
	case err != nil:
		return nil, err
	case kept != nil:
		a := &answer{status: kept.Status, header: http.Header{headerReplayed: {"true"}}, body: kept.Body}
		for name, value := range kept.Header {
			a.header.Set(name, value)
		}
		rq.operation = kept.Header[headerOperation]
		return a, nil
	}
	return s.first(rq, id, serve)
}

// first carries out the first request with a key, and keeps its answer when it
// may have changed anything.
func (s *Server) first(rq *request, id string, serve handler) (a *answer, err error) {
	panics := true
	defer func() {
		if panics && rq.operation == "" {
			s.forget(rq, id, s.o.Control.Doubt)
		}
	}()
	a, err = serve(s, rq)
	panics = false
	if err != nil {
		a = s.fault(rq, err)
	}
	switch {
	case rq.operation == "" && a.status == http.StatusGatewayTimeout: // its commit may have been the last that the database did
		s.forget(rq, id, s.o.Control.Doubt)
		return a, nil
	case rq.operation == "", len(a.body) > maxKeptBody:
		s.forget(rq, id, s.o.Control.Forget)
		return a, nil
	}
	header := map[string]string{headerOperation: rq.operation}
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		header[name] = a.header.Get(name)
	}
	if err := s.o.Control.Answered(rq.ctx, id, a.status, header, a.body); err != nil {
		s.log.WarnContext(rq.ctx, "an answer could not be kept for a second request", "operation", rq.operation, "error", err)
	}
	return a, nil
}

func (s *Server) forget(rq *request, id string, forget func(context.Context, string) error) {
	if err := forget(rq.ctx, id); err != nil {
		s.log.WarnContext(rq.ctx, "a key stays taken until its request expires", "request_id", rq.caller.RequestID, "error", err)
	}
}

// digest is a name for texts together.
func digest(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		_, _ = h.Write([]byte(strconv.Itoa(len(t)) + ":" + t)) // never fails
	}
	return hex.EncodeToString(h.Sum(nil))
}
