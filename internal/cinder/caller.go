package cinder

import (
	"context"
	"time"
)

// Caller is who asks, as the identity service vouches for it, and from where.
type Caller struct {
	UserID          string
	UserDomainID    string
	ProjectID       string // "" of a token without a project
	ProjectDomainID string
	DomainID        string // of a token for a domain
	SystemScope     string // "all" of a token for the system
	Roles           []string
	IsAdmin         bool // by noauth; behind Keystone the policy's context_is_admin decides
	IsAdminProject  bool

	// Until is when the identity service has to be asked again; zero is never.
	Until time.Time

	// Service is who passes the request on, when a service token says so.
	Service ServiceCaller

	RequestID       string // req-<uuid>, of this request
	GlobalRequestID string // of the request that led to it, when the caller says
	Address         string // remote address without port
}

// ServiceCaller is the service that makes a request on behalf of its caller.
type ServiceCaller struct {
	UserID          string
	UserDomainID    string
	ProjectID       string
	ProjectDomainID string
	Roles           []string
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
