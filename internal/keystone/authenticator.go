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
	headerStorage = "X-Storage-Token" // Swift's name for it, which keystonemiddleware reads too
	headerService = "X-Service-Token" // of the service that passes a user's request on
)

// maxToken is the length of the longest token that is asked about, in bytes:
// what fits a header line of Apache, before Keystone.
const maxToken = 8000

// tries bounds one validation or authentication, the wait for others and the
// pauses included: so many times http_connect_timeout.
const tries = 2

// The texts that callers are told.
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
	questions   *semaphore.Weighted // under way
	validations *flights[grant]
	sessions    *flights[*session]

	mu        sync.Mutex // guards what follows
	own       *session   // nil before the first validation
	held      error      // why our credential was refused
	holdUntil time.Time  // when it is tried again
}

// New makes an Authenticator. Keystone is first asked when the first token
// comes. It fails when an option is wrong or a file cannot be read, with an
// error that names the options.
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
		o: o, log: o.Log, http: client, cache: c, questions: semaphore.NewWeighted(maxQuestions),
		validations: newFlights[grant](tries * o.Timeout),
		sessions:    newFlights[*session](tries * o.Timeout),
	}, nil
}

// Close ends what is still asked of Keystone. It is called after the last
// request was answered.
func (a *Authenticator) Close() {
	a.validations.close()
	a.sessions.close()
	a.http.CloseIdleConnections()
}

// Challenge is what a 401 tells its client (WWW-Authenticate).
func (a *Authenticator) Challenge() string {
	return fmt.Sprintf("Keystone uri=%q", a.o.WWWAuthenticateURI)
}

// Authenticate implements api.Authenticator: who the token in X-Auth-Token, or
// else in X-Storage-Token, belongs to. A token in X-Service-Token must be valid
// too; when it has a role that services have, the user's may have expired, for
// as long as Keystone allows (auth.json, headers/service-token-ok). It fails with
// KindUnauthenticated when a token is missing or refused, and with
// KindUnavailable when Keystone cannot be asked.
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
		return a.may(r, user, false)
	}
	by, err := a.may(r, service, false)
	if err != nil {
		return cinder.Caller{}, fmt.Errorf("service token: %w", err)
	}
	trusted := slices.ContainsFunc(by.Roles, func(role string) bool { return slices.Contains(a.o.ServiceRoles, role) })
	if a.o.ServiceRolesRequired && !trusted {
		return cinder.Caller{}, unauthenticated("the service token has none of service_token_roles")
	}
	c, err := a.may(r, user, trusted)
	c.Service = serviceOf(by)
	if by.Until.Before(c.Until) {
		c.Until = by.Until
	}
	return c, err
}

// may is who a token belongs to that may be used for the request. A trusted
// service passes on what its user has asked of another API: the token may have
// expired since, and its access rules are about what the user may ask himself.
func (a *Authenticator) may(r *http.Request, token string, trusted bool) (cinder.Caller, error) {
	g, err := a.who(r.Context(), token, trusted)
	if err != nil {
		return cinder.Caller{}, err
	}
	if !trusted && !g.rules.allow(r) {
		return cinder.Caller{}, unauthenticated("the token's access rules do not allow the request")
	}
	return g.caller, nil
}

// token is what the first of those headers that is there says. It is not ok when
// there is more than one, or when it says what no token can be: then Keystone
// need not be asked.
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

// unauthenticated is a request that does not say who sends it. Why is for the log.
func unauthenticated(why string) error {
	return cinder.Wrap(cinder.KindUnauthenticated, errors.New(why), "%s", textUnauthorized)
}

// who is who a token belongs to, by what is remembered or else by Keystone.
func (a *Authenticator) who(ctx context.Context, token string, expiredToo bool) (grant, error) {
	d := a.cache.digest(token, expiredToo)
	if g, ok := a.cache.grant(d); ok {
		return g, nil
	}
	if a.cache.isRefused(d) {
		return grant{}, unauthenticated("Keystone refused the token a moment ago")
	}
	return a.validations.do(ctx, string(d[:]), func(ctx context.Context) (grant, error) {
		if g, ok := a.cache.grant(d); ok { // validated since we looked
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

// remember keeps what Keystone said, for as long as the token is good or for
// token_cache_time, whichever is less.
func (a *Authenticator) remember(d digest, g grant, err error) {
	switch {
	case a.o.CacheTime <= 0:
	case err == nil:
		a.cache.grants.Add(d, g)
	case cinder.KindOf(err) == cinder.KindUnauthenticated:
		a.cache.refused.Add(d, time.Now().Add(min(refusedFor, a.o.CacheTime)))
	}
}
