package cinder

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what went wrong. The set is closed: the API maps each kind to one
// fault, the bus to one remote exception, and a new kind is added in all places
// at once.
type Kind int

// The kinds of error.
const (
	KindInternal        Kind = iota // ours to mend; details are logged, never sent
	KindInvalid                     // the request asks for something that makes no sense
	KindUnauthenticated             // nobody we know
	KindForbidden                   // somebody we know, who may not
	KindNotFound                    // no such service, cluster or operation
	KindConflict                    // refused by the backend, or the row changed under us
	KindUndeliverable               // nobody consumes the queue of the command
	KindUnavailable                 // the database, the bus or the identity service is away
	KindTimeout                     // no answer by the deadline; the outcome is not known yet
	KindRemote                      // the service raised an exception
	KindNotSupported                // the service does not know the command, or is too old for it
)

// String names the kind.
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

// Error is the one error type of the domain. Msg is written for the caller and
// may be sent to it; Err is the cause, for the log alone.
type Error struct {
	Kind Kind
	Msg  string
	Err  error
}

// Errorf makes an error of a kind with a message for the caller.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// Wrap makes an error of a kind with a message for the caller and a cause for the log.
func Wrap(kind Kind, err error, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...), Err: err}
}

// Error is the message and, behind it, the cause: text for a log.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Msg
	}
	return strings.TrimSuffix(e.Msg, ".") + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the first *Error in err's chain; KindInternal when there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// Message is what may be told to the caller: the message of the first *Error in
// the chain, or "" for errors that are ours alone.
func Message(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != KindInternal {
		return e.Msg
	}
	return ""
}
