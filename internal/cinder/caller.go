package cinder

import (
	"context"
	"time"
)

// Caller is the authenticated sender of a request, as the identity service describes
// it.
type Caller struct {
	UserID          string
	UserDomainID    string
	ProjectID       string // "" for a token without a project
	ProjectDomainID string
	DomainID        string // of a domain-scoped token
	SystemScope     string // "all" for a system-scoped token
	Roles           []string
	IsAdmin         bool // set by noauth; with Keystone the policy's context_is_admin decides
	IsAdminProject  bool

	// Until is when the identity service has to be asked again; zero means never.
	Until time.Time

	// Service is the service that forwards the request, according to its service token.
	Service ServiceCaller

	RequestID       string // req-<uuid>, of this request
	GlobalRequestID string // of the original request, if the caller sent it
	Address         string // remote address without port
}

// ServiceCaller is a service that makes a request on behalf of its caller.
type ServiceCaller struct {
	UserID          string
	UserDomainID    string
	ProjectID       string
	ProjectDomainID string
	Roles           []string
}

type callerKey struct{}

// WithCaller returns a context with the caller.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns the caller in ctx: the zero Caller for work that the program does
// on its own.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
