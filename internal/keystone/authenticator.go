package keystone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"stoker/internal/cinder"
)

// The headers that carry tokens.
const (
	headerToken   = "X-Auth-Token"
	headerStorage = "X-Storage-Token" // Swift's header, which keystonemiddleware reads too
	headerService = "X-Service-Token" // of the service that forwards a user's request
)

// maxToken is the length of the longest token that is validated, in bytes: what fits a
// header line of the Apache before Keystone.
const maxToken = 8000

// timeouts bounds one validation or authentication, with its waits and pauses, as a
// multiple of http_connect_timeout.
const timeouts = 2

// Messages to callers.
const (
	textUnauthorized = "The request you have made requires authentication."
	textAway         = "The Keystone service is temporarily unavailable."
)

// Authenticator asks Keystone who a token belongs to. It is safe for concurrent use.
type Authenticator struct {
	o    Options
	log  *slog.Logger
	http *http.Client

	cache       *cache
	validating  *semaphore.Weighted // bounds concurrent validations
	validations *flights[grant]
	sessions    *flights[*session]

	mu           sync.Mutex // guards the fields below
	current      *session   // nil before the first validation
	loginErr     error      // why Keystone refused our credential
	loginRetryAt time.Time  // when to try the credential again
}

// New returns an Authenticator. It contacts Keystone when the first token comes. It
// fails when an option is wrong or a file cannot be read, with an error that names the
// option.
func New(o Options) (*Authenticator, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, cinder.Wrap(cinder.KindInvalid, err, "[keystone_authtoken] is not usable")
	}
	client, err := newHTTPClient(o)
	if err != nil {
		return nil, cinder.Wrap(cinder.KindInvalid, err, "[keystone_authtoken] is not usable")
	}
	c, err := newCache()
	if err != nil {
		return nil, err
	}
	return &Authenticator{
		o: o, log: o.Log, http: client, cache: c, validating: semaphore.NewWeighted(maxValidations),
		validations: newFlights[grant](timeouts * o.Timeout),
		sessions:    newFlights[*session](timeouts * o.Timeout),
	}, nil
}

// Close cancels pending requests to Keystone. Call it after the last request was
// answered.
func (a *Authenticator) Close() {
	a.validations.close()
	a.sessions.close()
	a.http.CloseIdleConnections()
}

// Challenge is the WWW-Authenticate header of a 401.
func (a *Authenticator) Challenge() string {
	return fmt.Sprintf("Keystone uri=%q", a.o.WWWAuthenticateURI)
}

// Authenticate implements api.Authenticator: it returns the owner of the token in
// X-Auth-Token, or else in X-Storage-Token. A token in X-Service-Token must be valid
// too; when it has a service role, the user's token may have expired, as far as
// Keystone allows (auth.json, headers/service-token-ok). KindUnauthenticated when a
// token is missing or refused; KindUnavailable when Keystone cannot be asked.
func (a *Authenticator) Authenticate(r *http.Request) (cinder.Caller, error) {
	user, ok := token(r.Header, headerToken, headerStorage)
	if !ok || user == "" {
		return cinder.Caller{}, unauthenticated("no token")
	}
	service, ok := token(r.Header, headerService)
	if !ok {
		return cinder.Caller{}, unauthenticated("no usable service token")
	}
	if service == "" {
		return a.identify(r, user, false)
	}
	by, err := a.identify(r, service, false)
	if err != nil {
		return cinder.Caller{}, fmt.Errorf("service token: %w", err)
	}
	trusted := slices.ContainsFunc(by.Roles, func(role string) bool { return slices.Contains(a.o.ServiceRoles, role) })
	if a.o.ServiceRolesRequired && !trusted {
		return cinder.Caller{}, unauthenticated("the service token has none of service_token_roles")
	}
	c, err := a.identify(r, user, trusted)
	c.Service = serviceOf(by)
	if by.Until.Before(c.Until) {
		c.Until = by.Until
	}
	return c, err
}

// identify returns the owner of a token that may be used for the request. A trusted
// service forwards what its user requested of another API: the token may have expired
// since, and its access rules apply to the user's own requests only.
func (a *Authenticator) identify(r *http.Request, token string, trusted bool) (cinder.Caller, error) {
	g, err := a.lookup(r.Context(), token, trusted)
	if err != nil {
		return cinder.Caller{}, err
	}
	if !trusted && !g.rules.allow(r) {
		return cinder.Caller{}, unauthenticated("the token's access rules do not allow the request")
	}
	return g.caller, nil
}

// token returns the value of the first of these headers that is present. ok is false
// when the header is repeated or its value cannot be a token: then Keystone need not be
// asked.
func token(h http.Header, names ...string) (string, bool) {
	for _, name := range names {
		values := h.Values(name)
		if len(values) == 0 {
			continue
		}
		s := strings.TrimSpace(values[0])
		wellFormed := len(s) <= maxToken && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
		return s, len(values) == 1 && wellFormed
	}
	return "", true
}

// unauthenticated is the error for a request without a valid token. why is for the log.
func unauthenticated(why string) error {
	return cinder.Wrap(cinder.KindUnauthenticated, errors.New(why), "%s", textUnauthorized)
}

// lookup returns a token's grant, from the cache or else from Keystone.
func (a *Authenticator) lookup(ctx context.Context, token string, expiredToo bool) (grant, error) {
	d := a.cache.digest(token, expiredToo)
	if g, ok := a.cache.grant(d); ok {
		return g, nil
	}
	if a.cache.isRefused(d) {
		return grant{}, unauthenticated("Keystone refused the token a moment ago")
	}
	return a.validations.do(ctx, string(d[:]), func(ctx context.Context) (grant, error) {
		if g, ok := a.cache.grant(d); ok { // validated since the check above
			return g, nil
		}
		g, left, err := a.validate(ctx, token, expiredToo)
		if a.o.CacheTime > 0 {
			left = min(left, a.o.CacheTime)
		}
		g.caller.Until = time.Now().Add(left)
		a.remember(d, g, err)
		return g, err
	})
}

// remember caches Keystone's answer until the token expires, at most for
// token_cache_time.
func (a *Authenticator) remember(d digest, g grant, err error) {
	switch {
	case a.o.CacheTime <= 0:
	case err == nil:
		a.cache.grants.Add(d, g)
	case cinder.KindOf(err) == cinder.KindUnauthenticated:
		a.cache.refused.Add(d, time.Now().Add(min(refusedFor, a.o.CacheTime)))
	}
}
