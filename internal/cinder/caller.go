package cinder

import "context"

// Caller is who asks, as the identity service vouches for it, and from where.
type Caller struct {
	UserID    string
	ProjectID string
	Roles     []string
	IsAdmin   bool

	RequestID       string // req-<uuid>, of this request
	GlobalRequestID string // of the request that led to it, when the caller says
	Address         string // remote address without port
}

type callerKey struct{}

// WithCaller returns a context that carries the caller.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom is the caller that ctx carries: the zero Caller for work the
// program does on its own account.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
