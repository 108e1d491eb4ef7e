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

// The pauses between tries to reach Keystone.
const (
	firstPause = 500 * time.Millisecond
	maxPause   = 5 * time.Second
)

// validate asks Keystone what the token is good for, and for how long. What is
// left of a token that may have expired, and has, is not bounded here. When
// Keystone refuses our own token, it is renewed, once.
func (a *Authenticator) validate(ctx context.Context, token string, expiredToo bool) (g grant, left time.Duration, err error) {
	if err := a.questions.Acquire(ctx, 1); err != nil {
		return grant{}, 0, cinder.Wrap(cinder.KindUnavailable, fmt.Errorf("wait for other validations: %w", err), "%s", textAway)
	}
	defer a.questions.Release(1)
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
		return grant{}, 0, cinder.Wrap(cinder.KindUnavailable, fmt.Errorf("validate a token as %s: %w", a.o.Credential, plain(err)), "%s", textAway)
	}
	if g, err = a.judge(&d); err != nil {
		return grant{}, 0, err
	}
	left = d.ExpiresAt.Sub(s.clock())
	if left <= 0 && expiredToo {
		left = a.o.CacheTime
	}
	return g, left, nil
}

// describe has Keystone describe a token: with the catalog where its access
// rules are to be judged, which takes a second question.
func (a *Authenticator) describe(ctx context.Context, s *session, token string, expiredToo bool) (d description, err error) {
	catalog := false
	try := func(ctx context.Context) (err error) {
		d, err = ask(ctx, s.client, token, expiredToo, catalog)
		return err
	}
	if err := a.persist(ctx, try); err != nil || !d.restricted() || a.o.ServiceType == "" {
		return d, err
	}
	catalog = true
	err = a.persist(ctx, try)
	return d, err
}

// judge says what a token is good for, or why for nothing. As keystonemiddleware
// does, it refuses tokens that are bound to a connection, and access rules where
// service_type does not say which of them are about this API, or where the
// user's catalog has no such API.
func (a *Authenticator) judge(d *description) (grant, error) {
	g := grant{caller: d.caller()}
	switch {
	case len(d.Bind) > 0:
		return grant{}, unauthenticated("the token is bound to a connection that cannot be told here")
	case !d.restricted():
		return g, nil
	case a.o.ServiceType == "":
		return grant{}, unauthenticated("the token has access rules, and service_type in [keystone_authtoken] does not say which of them are about this API")
	case !d.offers(a.o.ServiceType):
		return grant{}, unauthenticated("the token has access rules, and its catalog has nothing of service_type in [keystone_authtoken]")
	}
	g.rules = newAccessRules(*d.ApplicationCredential.AccessRules, a.o.ServiceType)
	return g, nil
}

// ask has Keystone describe a token. tokens.Get cannot say whether the catalog is
// wanted, that the token may have expired and that we know of access rules, without
// which Keystone refuses tokens that have any: so its request is made here.
func ask(ctx context.Context, client *gophercloud.ServiceClient, token string, expiredToo, catalog bool) (description, error) {
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
	// Keystone's Vary does not name the subject: a proxy between us may mix answers up.
	if of := r.Header.Get("X-Subject-Token"); of != "" && of != token {
		return description{}, errors.New("the answer describes another token")
	}
	var d description
	if err := r.ExtractInto(&d); err != nil {
		return description{}, errors.New("the answer is no description of a token")
	}
	return d, d.check()
}

// persist tries again, after a pause that grows, while Keystone cannot be
// reached or says that it cannot answer now, http_request_max_retries times at
// most. A try that took all the time there is for one is the last.
func (a *Authenticator) persist(ctx context.Context, try func(context.Context) error) error {
	pause := firstPause
	for left := a.o.MaxRetries; ; left-- {
		err := try(ctx)
		if err == nil || left <= 0 || !isPassing(err) || ctx.Err() != nil {
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

// isPassing says whether another try may go better.
func isPassing(err error) bool {
	switch statusOf(err) {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	e, ok := errors.AsType[*url.Error](err)
	return ok && !e.Timeout()
}

// statusOf is the status that Keystone answered when it was not the one wanted; 0 of other errors.
func statusOf(err error) int {
	if e, ok := errors.AsType[gophercloud.ErrUnexpectedResponseCode](err); ok {
		return e.Actual
	}
	return 0
}

// isUnknown says whether Keystone knows no such token: not whether something
// before it knows no such path.
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

// plain is an error as a log may have it: gophercloud's prints what Keystone
// answered, and an answer may repeat what it was sent.
func plain(err error) error {
	if status := statusOf(err); status != 0 {
		return fmt.Errorf("Keystone answered %d", status) //nolint:staticcheck // a name
	}
	return err
}
