package oslo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"

	"stoker/internal/cinder"
)

// Endpoint is the interface that a server implements.
type Endpoint struct {
	Version string // the newest supported version of the interface: "3.20"
	Methods map[string]Handler
	// Questions are the methods that change nothing: two servers may carry out the same
	// message.
	Questions map[string]bool
}

// Handler carries out one method. Its context has the caller, and ends when the caller
// of a call stops waiting. The result is encoded as JSON, or is a Refusal. An error is
// converted by FailureOf; for a cast it is only logged.
type Handler func(ctx context.Context, args json.RawMessage) (result any, err error)

// Refusal is the result false of a method that returns true or false, with the
// backend's message.
type Refusal string

// Method returns a handler that decodes the arguments into an A. Unknown arguments and
// values that do not fit are a TypeError for the caller (doc/cinder/wire.md#messages).
func Method[A any](fn func(ctx context.Context, args A) (result any, err error)) Handler {
	return func(ctx context.Context, raw json.RawMessage) (any, error) {
		var args A
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&args); err != nil {
			return nil, argumentError(err)
		}
		return fn(ctx, args)
	}
}

// argumentError converts an error of decoding arguments. An error with a kind, as from
// versioned objects, keeps it.
func argumentError(err error) error {
	if e, ok := errors.AsType[*cinder.Error](err); ok {
		return e
	}
	return &cinder.Error{Kind: cinder.KindInvalid, Msg: "Bad arguments: " + err.Error(), Err: errArguments}
}

// dispatch carries out a request. It recovers from panics.
func (e *Endpoint) dispatch(ctx context.Context, log *slog.Logger, r *Request) (result any, err error) {
	if r.Namespace != "" || !Compatible(e.Version, r.Version) {
		return nil, &cinder.Error{
			Kind: cinder.KindNotSupported, Err: errUnsupportedVersion,
			Msg: fmt.Sprintf("Endpoint does not support RPC version %s. Attempted method: %s", r.Version, r.Method),
		}
	}
	handler, ok := e.Methods[r.Method]
	if !ok {
		return nil, &cinder.Error{
			Kind: cinder.KindNotSupported, Err: errNoSuchMethod,
			Msg: "Endpoint does not support RPC method " + r.Method,
		}
	}
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "handler panicked", "panic", p, "stack", string(debug.Stack()))
			result, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	return handler(ctx, r.Args)
}

// Compatible reports whether an interface of version own accepts requests of version
// asked: the same major, and no newer minor (doc/cinder/wire.md#versions).
func Compatible(own, asked string) bool {
	ownMajor, ownMinor, ok1 := parseVersion(own)
	major, minor, ok2 := parseVersion(asked)
	return ok1 && ok2 && major == ownMajor && minor <= ownMinor
}

func parseVersion(s string) (major, minor uint64, ok bool) {
	before, after, _ := strings.Cut(s, ".")
	major, err1 := strconv.ParseUint(before, 10, 32)
	minor, err2 := strconv.ParseUint(after, 10, 32)
	return major, minor, err1 == nil && err2 == nil
}
