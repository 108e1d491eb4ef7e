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

// Endpoint is what a server can do.
type Endpoint struct {
	Version string // the newest version of the interface that is served: "3.20"
	Methods map[string]Handler
	// Questions are the methods that change nothing: it does no harm when a message
	// is carried out by two of those it may be given to.
	Questions map[string]bool
}

// Handler carries out one method. The context carries the caller, and ends when
// the caller of a call waits no longer, so that what is not begun by then is not
// done. The result is written as JSON; a Refusal is a result as well. An error
// becomes the failure that FailureOf makes of it; that of a cast is logged only.
type Handler func(ctx context.Context, args json.RawMessage) (result any, err error)

// Refusal is the result of a method that answers true or false: false, and the
// backend's words for why.
type Refusal string

// Method is a handler whose arguments are read into an A. Arguments that A has
// not, and values that do not fit, are a TypeError for the caller
// (doc/cinder/wire.md#messages).
func Method[A any](fn func(ctx context.Context, args A) (result any, err error)) Handler {
	return func(ctx context.Context, raw json.RawMessage) (any, error) {
		var args A
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&args); err != nil {
			return nil, badArguments(err)
		}
		return fn(ctx, args)
	}
}

// badArguments is an error of reading arguments: its own kind when it has one,
// as those of versioned objects have.
func badArguments(err error) error {
	if e, ok := errors.AsType[*cinder.Error](err); ok {
		return e
	}
	return &cinder.Error{Kind: cinder.KindInvalid, Msg: "Bad arguments: " + err.Error(), Err: errArguments}
}

// dispatch carries out a request. Whatever the handler does, it returns.
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
			log.ErrorContext(ctx, "a handler panicked", "panic", p, "stack", string(debug.Stack()))
			result, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	return handler(ctx, r.Args)
}

// Compatible says whether an interface of version own takes requests of version
// asked: same major, and no newer minor (doc/cinder/wire.md#versions).
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
