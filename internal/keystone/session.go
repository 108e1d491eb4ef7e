package keystone

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"stoker/internal/cinder"
)

const (
	// renewEarly is how long before its expiry our own token is renewed, as in
	// keystoneauth1, so that no validation fails because of it. A short-lived token is
	// renewed when a tenth of its life is left.
	renewEarly = 2 * time.Minute
	// loginHoldOff is the pause after Keystone has refused our credential: it counts
	// failures and locks accounts.
	loginHoldOff = 10 * time.Second
)

// session is a token of our own, the endpoint to use it with, and Keystone's clock at
// that time. It is immutable: a renewal makes another, so gophercloud's own
// reauthentication and its locks stay unused.
type session struct {
	client *gophercloud.ServiceClient
	renew  time.Time
	end    time.Time

	began    time.Time // by our clock
	keystone time.Time // the same moment by Keystone's
}

// clock is Keystone's current time. Expiries are compared with it, so that the
// machines' clocks may differ.
func (s *session) clock() time.Time { return s.keystone.Add(time.Since(s.began)) }

// open authenticates with our credential.
func (a *Authenticator) open(ctx context.Context) (*session, error) {
	credential, err := a.o.Credential.options()
	if err != nil {
		return nil, err
	}
	provider := &gophercloud.ProviderClient{HTTPClient: *a.http}
	provider.UserAgent.Prepend("stoker")
	client := &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: identityBase(a.o.AuthURL), Type: "identity"}
	began := time.Now()
	r := tokens.Create(ctx, client, credential)
	if r.Err != nil {
		return nil, r.Err
	}
	var d description
	catalog, err := r.ExtractServiceCatalog()
	if err != nil || r.ExtractInto(&d) != nil {
		return nil, errors.New("the answer is no description of a token")
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	if id, err := r.ExtractTokenID(); err != nil || id == "" || !d.ExpiresAt.After(d.IssuedAt) {
		return nil, errors.New("the answer brings no token")
	}
	if err := provider.SetTokenAndAuthResult(r); err != nil {
		return nil, err
	}
	if client.Endpoint, err = a.endpoint(ctx, provider, catalog); err != nil {
		return nil, err
	}
	s := &session{client: client, began: began, keystone: d.IssuedAt}
	life := d.ExpiresAt.Sub(d.IssuedAt)
	s.end = began.Add(life)
	s.renew = s.end.Add(-min(renewEarly, life/10))
	return s, nil
}

// endpoint returns the endpoint for validations from the catalog.
func (a *Authenticator) endpoint(ctx context.Context, client *gophercloud.ProviderClient, catalog *tokens.ServiceCatalog) (string, error) {
	o := gophercloud.EndpointOpts{Region: a.o.Region, Availability: gophercloud.Availability(a.o.Interface)}
	o.ApplyDefaults("identity")
	found, err := openstack.V3Endpoint(ctx, client, catalog, o)
	if err != nil {
		return "", fmt.Errorf("no identity endpoint for interface %q and region_name %q in the catalog", a.o.Interface, a.o.Region)
	}
	return identityBase(found), nil
}

// identityBase returns the URL of the v3 API for a URL with any version, or none.
func identityBase(url string) string {
	url = strings.TrimRight(url, "/")
	if at := strings.LastIndexByte(url, '/'); at >= 0 && isVersion(url[at+1:]) {
		url = strings.TrimRight(url[:at], "/")
	}
	return url + "/v3/"
}

// isVersion reports whether a path segment is v2.0, v3 or the like.
func isVersion(s string) bool {
	digits, ok := strings.CutPrefix(s, "v")
	return ok && digits != "" && strings.Trim(digits, "0123456789.") == ""
}

// session returns a valid token of our own other than refused, which Keystone no longer
// accepts. Callers that come while it is being renewed wait for it.
func (a *Authenticator) session(ctx context.Context, refused *session) (*session, error) {
	a.mu.Lock()
	s, held, why := a.current, time.Now().Before(a.loginRetryAt), a.loginErr
	a.mu.Unlock()
	usable := s != nil && s != refused && time.Now().Before(s.end)
	if usable && time.Now().Before(s.renew) {
		return s, nil
	}
	if held {
		if usable {
			return s, nil
		}
		return nil, why
	}
	renewed, err := a.sessions.do(ctx, "own", func(ctx context.Context) (*session, error) { return a.renew(ctx, s) })
	if err != nil && usable { // the current one is still valid
		a.log.WarnContext(ctx, "token renewal failed", "error", err, "left", time.Until(s.end))
		return s, nil
	}
	return renewed, err
}

// renew replaces our token, unless somebody has done so already.
func (a *Authenticator) renew(ctx context.Context, old *session) (*session, error) {
	a.mu.Lock()
	current := a.current
	a.mu.Unlock()
	if current != old {
		return current, nil
	}
	var s *session
	err := a.retry(ctx, func(ctx context.Context) (err error) { s, err = a.open(ctx); return err })
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		unavailable := cinder.Wrap(cinder.KindUnavailable, fmt.Errorf("authenticate as %s: %w", a.o.Credential, redacted(err)), "%s", textAway)
		if status := statusOf(err); status >= 400 && status < 500 {
			a.loginErr, a.loginRetryAt = unavailable, time.Now().Add(loginHoldOff)
		}
		return nil, unavailable
	}
	a.current, a.loginRetryAt = s, time.Time{}
	a.log.InfoContext(ctx, "authenticated with Keystone", "as", a.o.Credential, "endpoint", s.client.Endpoint, "for", time.Until(s.end))
	return s, nil
}
