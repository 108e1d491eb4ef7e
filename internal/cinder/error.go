package cinder

import (
	"errors"
	"fmt"
	"strings"
)

// Kind classifies an error. The set is closed: the API maps each kind to one fault, the
// bus to one remote exception, and a new kind is added everywhere at once.
type Kind int

// Kinds of errors.
const (
	KindInternal        Kind = iota // a bug of ours; details are logged, never sent
	KindInvalid                     // the request makes no sense
	KindUnauthenticated             // not authenticated
	KindForbidden                   // authenticated, not permitted
	KindNotFound                    // no such service, cluster or operation
	KindConflict                    // refused by the backend, or changed concurrently
	KindUndeliverable               // nobody consumes the command's queue
	KindUnavailable                 // the database, the bus or the identity service is away
	KindTimeout                     // no answer by the deadline; the outcome is unknown so far
	KindRemote                      // the service raised an exception
	KindNotSupported                // the service does not know the command
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case KindInternal:
		return "internal"
	case KindInvalid:
		return "invalid"
	case KindUnauthenticated:
		return "unauthenticated"
	case KindForbidden:
		return "forbidden"
	case KindNotFound:
		return "not found"
	case KindConflict:
		return "conflict"
	case KindUndeliverable:
		return "undeliverable"
	case KindUnavailable:
		return "unavailable"
	case KindTimeout:
		return "timeout"
	case KindRemote:
		return "remote"
	case KindNotSupported:
		return "not supported"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// Error is the only error type of the domain. Msg may be sent to the caller; Err is the
// cause, for the log only.
type Error struct {
	Kind Kind
	Msg  string
	Err  error
}

// Errorf returns an error with a message for the caller.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// Wrap returns an error with a message for the caller and a cause for the log.
func Wrap(kind Kind, err error, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...), Err: err}
}

// Error returns the message and the cause, for the log.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Msg
	}
	return strings.TrimSuffix(e.Msg, ".") + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first *Error in err's chain; KindInternal when there
// is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// Message returns the text that may be sent to the caller: the message of the first
// *Error in the chain, "" for internal errors.
func Message(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != KindInternal {
		return e.Msg
	}
	return ""
}
