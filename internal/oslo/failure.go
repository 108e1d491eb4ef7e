package oslo

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"stoker/internal/cinder"
)

// Failure is an exception on the wire (doc/cinder/wire.md#failures).
type Failure struct {
	Class   string         `json:"class"`
	Module  string         `json:"module"`
	Message string         `json:"message"`
	Trace   []string       `json:"tb"` // always empty from us: Python shows it to the user
	Args    []any          `json:"args"`
	Kwargs  map[string]any `json:"kwargs"`
}

// Modules of exceptions. Python callers rebuild those of the first two.
const (
	moduleCinder     = "cinder.exception"
	moduleBuiltins   = "builtins"
	moduleDispatcher = "oslo_messaging.rpc.dispatcher"
	moduleObjects    = "oslo_versionedobjects.exception"
)

// Causes of errors with an exception of their own on the wire.
var (
	errNoSuchMethod       = errors.New("no such method")
	errUnsupportedVersion = errors.New("unsupported version")
	errArguments          = errors.New("bad arguments")
	errObjectVersion      = errors.New("incompatible object version")
	errObjectType         = errors.New("unsupported object")
)

// decodeFailure decodes a failure, which is JSON in a string.
func decodeFailure(raw json.RawMessage) (*Failure, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, fmt.Errorf("failure: %w", err)
	}
	var f Failure
	if err := json.Unmarshal(standardJSON([]byte(text)), &f); err != nil {
		return nil, fmt.Errorf("failure: %w", err)
	}
	return &f, nil
}

// Err converts the failure to an error: KindNotSupported when the service lacks the
// method or version, else KindRemote with the exception's message, without the
// traceback.
func (f *Failure) Err() error {
	if f.Module == moduleDispatcher {
		switch f.Class {
		case "NoSuchMethod":
			return &cinder.Error{Kind: cinder.KindNotSupported, Msg: f.words(), Err: errNoSuchMethod}
		case "UnsupportedVersion":
			return &cinder.Error{Kind: cinder.KindNotSupported, Msg: f.words(), Err: errUnsupportedVersion}
		}
	}
	return &cinder.Error{Kind: cinder.KindRemote, Msg: f.words(), Err: fmt.Errorf("remote exception %s.%s", f.Module, f.Class)}
}

// words is the message without traceback lines, which a relayed exception has in its
// message too. Never empty.
func (f *Failure) words() string {
	msg := f.Message
	if trace := strings.TrimSpace(strings.Join(f.Trace, "\n")); trace != "" {
		msg = strings.TrimSuffix(strings.TrimSpace(msg), trace)
	}
	if before, _, ok := strings.Cut(msg, "Traceback (most recent call last)"); ok {
		msg = strings.TrimSpace(before)
		for _, quote := range []string{"['", "[u'", `["`} { // oslo's RemoteError ends with a list
			msg = strings.TrimSuffix(msg, quote)
		}
	}
	msg = strings.TrimSpace(msg)
	switch {
	case msg != "":
		return msg
	case f.Class != "":
		return f.Class
	default:
		return "The service raised an exception without a message."
	}
}

// FailureOf converts an error to the exception that a Python caller rebuilds. Internal
// errors become a generic one.
func FailureOf(err error) *Failure {
	msg := cinder.Message(err)
	switch {
	case errors.Is(err, errNoSuchMethod):
		return exception(moduleDispatcher, "NoSuchMethod", msg, nil)
	case errors.Is(err, errUnsupportedVersion):
		return exception(moduleDispatcher, "UnsupportedVersion", msg, nil)
	case errors.Is(err, errArguments):
		return exception(moduleBuiltins, "TypeError", msg, nil)
	case errors.Is(err, errObjectVersion):
		return exception(moduleObjects, "IncompatibleObjectVersion", msg, nil)
	case errors.Is(err, errObjectType):
		return exception(moduleObjects, "UnsupportedObjectError", msg, nil)
	}
	code := func(n int) map[string]any { return map[string]any{"code": n} }
	switch cinder.KindOf(err) {
	case cinder.KindInvalid, cinder.KindConflict:
		reason := strings.TrimPrefix(msg, "Invalid input received: ")
		return exception(moduleCinder, "InvalidInput", msg, map[string]any{"reason": reason, "code": 400})
	case cinder.KindNotFound:
		return exception(moduleCinder, "NotFound", msg, code(404))
	case cinder.KindUnauthenticated, cinder.KindForbidden:
		return exception(moduleCinder, "NotAuthorized", msg, code(403))
	case cinder.KindNotSupported:
		return exception(moduleCinder, "NotSupportedOperation", msg, code(405))
	case cinder.KindUndeliverable, cinder.KindUnavailable:
		return exception(moduleCinder, "ServiceUnavailable", msg, code(400))
	case cinder.KindTimeout:
		return exception(moduleCinder, "RPCTimeout", msg, code(502))
	default: // KindInternal, KindRemote and errors without a kind.
		return exception(moduleCinder, "CinderException",
			"The service could not carry out the request: its log says why.", code(500))
	}
}

func exception(module, class, msg string, kwargs map[string]any) *Failure {
	if kwargs == nil {
		kwargs = map[string]any{}
	}
	return &Failure{Class: class, Module: module, Message: msg, Trace: []string{}, Args: []any{msg}, Kwargs: kwargs}
}
