package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"stoker/internal/api/microversion"
	"stoker/internal/cinder"
)

// The texts of faults that say no more than their status
// (services.json, method/GET-enable, microversion/blank).
const (
	textBadRequest   = "The server could not comply with the request since it is either malformed or otherwise incorrect."
	textUnauthorized = "The request you have made requires authentication."
	textNotFound     = "The resource could not be found."
	textInternal     = "The server has either erred or is incapable of performing the requested operation."
)

// The texts of faults that name what is wrong with the request itself.
const (
	textMalformedBody = "Malformed request body"
	textMalformedURL  = "Malformed request url"
	textUndecodable   = "Error decoding your request. Either the URL or the request body contained characters that could not be decoded by Cinder."
	textContentType   = "Unsupported Content-Type"
	textUnknownAction = "Unknown action"
	textRateLimited   = "This request was rate-limited."
)

// retryAfter is how many seconds a client should wait when something we need is
// away: what is lost by accident is mostly back by then.
const retryAfter = "5"

// statusError is an error that HTTP has a status for and the domain no kind.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

// invalid is a request that makes no sense, for the reason in text.
func invalid(text string) error { return cinder.Errorf(cinder.KindInvalid, "%s", text) }

// invalidInput is the same for what Cinder calls input.
func invalidInput(text string) error { return invalid("Invalid input received: " + text) }

func errNotFound() error { return cinder.Errorf(cinder.KindNotFound, "%s", textNotFound) }

// panicError is a panic. What it says is for the log alone.
type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// panicked makes an error of a panic.
func panicked(p any) *panicError { return &panicError{p, string(debug.Stack())} }

// statusOf is the one place that knows which status a kind of error has.
func statusOf(kind cinder.Kind) int {
	switch kind {
	case cinder.KindInvalid, cinder.KindNotSupported:
		return http.StatusBadRequest
	case cinder.KindUnauthenticated:
		return http.StatusUnauthorized
	case cinder.KindForbidden:
		return http.StatusForbidden
	case cinder.KindNotFound:
		return http.StatusNotFound
	case cinder.KindConflict:
		return http.StatusConflict
	case cinder.KindUndeliverable, cinder.KindUnavailable:
		return http.StatusServiceUnavailable
	case cinder.KindRemote:
		return http.StatusBadGateway
	case cinder.KindTimeout:
		return http.StatusGatewayTimeout
	case cinder.KindInternal:
		return http.StatusInternalServerError
	default:
		return http.StatusInternalServerError
	}
}

// faultName is the key under which a fault of that status stands in an answer.
// A status that OpenStack has no name for is a computeFault, as in Cinder
// (services.json, microversion/volume 3.99).
func faultName(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "badRequest"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "itemNotFound"
	case http.StatusConflict:
		return "conflictingRequest"
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return "overLimit"
	case http.StatusUnsupportedMediaType:
		return "badMediaType"
	case http.StatusServiceUnavailable:
		return "serviceUnavailable"
	default:
		return "computeFault"
	}
}

// fault is the answer to a request that failed, and logs what the caller is not told.
func (s *Server) fault(rq *request, err error) *answer {
	if e, ok := errors.AsType[*limitedError](err); ok {
		s.logFault(rq, http.StatusTooManyRequests, err)
		return e.answer()
	}
	status, text := s.explain(rq, err)
	s.logFault(rq, status, err)
	a := &answer{status: status, body: faultBody(status, text)}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		a.header = http.Header{"Retry-After": {retryAfter}}
	}
	if status == http.StatusUnauthorized {
		a.header = http.Header{"Www-Authenticate": {s.challenge}}
	}
	return a
}

// explain is the status of an error, and what the caller is told of it.
func (s *Server) explain(rq *request, err error) (status int, text string) {
	if e, ok := errors.AsType[*statusError](err); ok {
		status, text = e.status, e.text
	} else if e, ok := errors.AsType[*microversion.RangeError](err); ok {
		status, text = http.StatusNotAcceptable, e.Error()
		rq.versionHeader = e.HeaderValue()
	} else {
		status, text = statusOf(cinder.KindOf(err)), cinder.Message(err)
	}
	switch {
	case status == http.StatusInternalServerError:
		text = textInternal
	case text == "":
		text = http.StatusText(status)
	}
	if status == http.StatusGatewayTimeout && !strings.Contains(text, rq.operation) {
		text += " (operation " + rq.operation + ")"
	}
	return status, text
}

func (s *Server) logFault(rq *request, status int, err error) {
	level := slog.LevelInfo
	_, away := errors.AsType[*awayError](err)
	switch {
	case rq.http.Context().Err() != nil:
		level = slog.LevelDebug // nobody waits for the answer
	case away:
		level = slog.LevelDebug // who found out has said so
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("method", rq.http.Method), slog.String("path", rq.path), slog.Int("status", status),
		slog.String("request_id", rq.caller.RequestID), slog.String("operation", rq.operation), slog.Any("error", err),
	}
	if p, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, slog.String("stack", p.stack))
	}
	s.logFor(rq, status).LogAttrs(rq.ctx, level, "request failed", attrs...)
}

func faultBody(status int, text string) []byte { return faultBodyAfter(status, text, "") }

// faultBodyAfter is the body of a fault that ends by itself after so many seconds.
func faultBodyAfter(status int, text, after string) []byte {
	text = strings.ToValidUTF8(text, "\ufffd")
	var body any
	if status == http.StatusUnauthorized { // by the identity service's middleware, in its own form
		type unauthorized struct {
			Code    int    `json:"code"`
			Title   string `json:"title"`
			Message string `json:"message"`
		}
		body = map[string]unauthorized{"error": {Code: status, Title: http.StatusText(status), Message: text}}
	} else {
		type fault struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			After   string `json:"retryAfter,omitempty"`
		}
		body = map[string]fault{faultName(status): {Code: status, Message: text, After: after}}
	}
	b, err := json.Marshal(body)
	if err != nil { // cannot be: a map of strings and numbers
		return nil
	}
	return b
}
