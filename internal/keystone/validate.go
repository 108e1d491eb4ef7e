package keystone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"stoker/internal/cinder"
)

// Pauses between attempts to reach Keystone.
const (
	firstPause = 500 * time.Millisecond
	maxPause   = 5 * time.Second
)

// validate asks Keystone for a token's grant, and for how long it is valid. An already
// expired token is valid for CacheTime. When Keystone refuses our own token, it is
// renewed, once.
func (a *Authenticator) validate(ctx context.Context, token string, expiredToo bool) (g grant, left time.Duration, err error) {
	if err := a.validating.Acquire(ctx, 1); err != nil {
		return grant{}, 0, cinder.Wrap(cinder.KindUnavailable, fmt.Errorf("wait for other validations: %w", err), "%s", textAway)
	}
	defer a.validating.Release(1)
	var s *session
	var d description
	for range 2 {
		if s, err = a.session(ctx, s); err != nil {
			return grant{}, 0, err
		}
		d, err = a.describe(ctx, s, token, expiredToo)
		if statusOf(err) != http.StatusUnauthorized {
			break
		}
	}
	switch {
	case isUnknown(err):
		return grant{}, 0, unauthenticated("Keystone does not know the token")
	case err != nil:
		return grant{}, 0, cinder.Wrap(cinder.KindUnavailable, fmt.Errorf("validate a token as %s: %w", a.o.Credential, redacted(err)), "%s", textAway)
	}
	if g, err = a.grantFor(&d); err != nil {
		return grant{}, 0, err
	}
	left = d.ExpiresAt.Sub(s.clock())
	if left <= 0 && expiredToo {
		left = a.o.CacheTime
	}
	return g, left, nil
}

// describe gets the description of a token. If its access rules must be checked, a
// second request gets it with the catalog.
func (a *Authenticator) describe(ctx context.Context, s *session, token string, expiredToo bool) (d description, err error) {
	catalog := false
	try := func(ctx context.Context) (err error) {
		d, err = getToken(ctx, s.client, token, expiredToo, catalog)
		return err
	}
	if err := a.retry(ctx, try); err != nil || !d.restricted() || a.o.ServiceType == "" {
		return d, err
	}
	catalog = true
	err = a.retry(ctx, try)
	return d, err
}

// grantFor converts a description to a grant, or refuses the token. Like
// keystonemiddleware, it refuses tokens that are bound to a connection, and tokens with
// access rules when service_type is not set or the user's catalog has no such service.
func (a *Authenticator) grantFor(d *description) (grant, error) {
	g := grant{caller: d.caller()}
	switch {
	case len(d.Bind) > 0:
		return grant{}, unauthenticated("the token is bound to a connection that cannot be verified here")
	case !d.restricted():
		return g, nil
	case a.o.ServiceType == "":
		return grant{}, unauthenticated("the token has access rules, and service_type in [keystone_authtoken] does not say which of them are about this API")
	case !d.hasService(a.o.ServiceType):
		return grant{}, unauthenticated("the token has access rules, and its catalog has nothing of service_type in [keystone_authtoken]")
	}
	g.rules = newAccessRules(*d.ApplicationCredential.AccessRules, a.o.ServiceType)
	return g, nil
}

// getToken requests the description of a token. tokens.Get cannot request nocatalog or
// allow_expired, nor declare that we know access rules, without which Keystone refuses
// tokens that have them.
func getToken(ctx context.Context, client *gophercloud.ServiceClient, token string, expiredToo, catalog bool) (description, error) {
	query := url.Values{}
	if !catalog {
		query.Set("nocatalog", "1")
	}
	if expiredToo {
		query.Set("allow_expired", "1")
	}
	var r tokens.GetResult
	resp, err := client.Get(ctx, client.ServiceURL("auth", "tokens")+"?"+query.Encode(), &r.Body, &gophercloud.RequestOpts{ //nolint:bodyclose // gophercloud reads and closes it
		MoreHeaders: map[string]string{"X-Subject-Token": token, "OpenStack-Identity-Access-Rules": "1"}, OkCodes: []int{http.StatusOK},
	})
	if _, r.Header, r.Err = gophercloud.ParseResponse(resp, err); r.Err != nil {
		return description{}, r.Err
	}
	// Keystone's Vary does not name X-Subject-Token: a proxy in between may mix up
	// answers.
	if of := r.Header.Get("X-Subject-Token"); of != "" && of != token {
		return description{}, errors.New("the answer describes another token")
	}
	var d description
	if err := r.ExtractInto(&d); err != nil {
		return description{}, errors.New("the answer is no description of a token")
	}
	return d, d.check()
}

// retry repeats try, with growing pauses, while Keystone cannot be reached or is
// temporarily unavailable, up to http_request_max_retries times. An attempt that timed
// out is the last.
func (a *Authenticator) retry(ctx context.Context, try func(context.Context) error) error {
	pause := firstPause
	for left := a.o.MaxRetries; ; left-- {
		err := try(ctx)
		if err == nil || left <= 0 || !isTransient(err) || ctx.Err() != nil {
			return err
		}
		t := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

// isTransient reports whether another attempt may succeed.
func isTransient(err error) bool {
	switch statusOf(err) {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	e, ok := errors.AsType[*url.Error](err)
	return ok && !e.Timeout()
}

// statusOf is Keystone's unexpected response status; 0 for other errors.
func statusOf(err error) int {
	if e, ok := errors.AsType[gophercloud.ErrUnexpectedResponseCode](err); ok {
		return e.Actual
	}
	return 0
}

// isUnknown reports whether Keystone does not know the token: its own 404, not one from
// a proxy or for an unknown path.
func isUnknown(err error) bool {
	e, ok := errors.AsType[gophercloud.ErrUnexpectedResponseCode](err)
	if !ok || e.Actual != http.StatusNotFound {
		return false
	}
	var fault struct {
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	return json.Unmarshal(e.Body, &fault) == nil && fault.Error.Code == http.StatusNotFound
}

// redacted is an error fit for the log: gophercloud's includes Keystone's answer, which
// may repeat what it was sent.
func redacted(err error) error {
	if status := statusOf(err); status != 0 {
		return fmt.Errorf("Keystone answered %d", status) //nolint:staticcheck // a name
	}
	return err
}
