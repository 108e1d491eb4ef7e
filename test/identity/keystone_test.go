package identity

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/internal/cinder"
	"stoker/internal/keystone"
	"stoker/test/peers"
)

// What comes of a token that does not let in.
var (
	unauthenticated = cinder.KindUnauthenticated.String()
	unavailable     = cinder.KindUnavailable.String()
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is by when everything has happened that happens at all, on a machine that
// has much else to do.
const patience = 5 * time.Minute

// kind is what came of a request: "" when it was let in.
func kind(err error) string {
	if err == nil {
		return ""
	}
	return cinder.KindOf(err).String()
}

// long is a test that takes minutes on a busy machine: it runs where peers must
// be there, as in the pipeline.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv("STOKER_REQUIRE_PEERS") != "1" {
		t.Skip("NOT RUN: it takes minutes; STOKER_REQUIRE_PEERS=1 runs it")
	}
}

// counted is the way to Keystone, with a count of those who went it.
type counted struct {
	http.RoundTripper
	validations atomic.Int64
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		c.validations.Add(1)
	}
	return c.RoundTripper.RoundTrip(r)
}

// asker is an Authenticator that asks a real Keystone.
type asker struct {
	*keystone.Authenticator
	way *counted
}

func newReal(t *testing.T, k *peers.Keystone, change func(*keystone.Options)) *asker {
	t.Helper()
	r := &asker{way: &counted{RoundTripper: &http.Transport{DisableKeepAlives: true}}}
	o := keystone.Options{
		AuthURL: k.URL, CacheTime: keystone.DefaultCacheTime, MaxRetries: 1, Timeout: patience, ServiceRoles: []string{"service"},
		Credential: keystone.Credential{
			Type: keystone.Password, Username: "cinder", Password: peers.KeystonePassword,
			UserDomainID: "default", ProjectName: "service", ProjectDomainID: "default",
		},
		Log: slog.New(slog.DiscardHandler), Transport: r.way,
	}
	if change != nil {
		change(&o)
	}
	a, err := keystone.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	r.Authenticator = a
	return r
}

func uncached(o *keystone.Options) { o.CacheTime = 0 }

func (r *asker) come(ctx context.Context, token, service string) (cinder.Caller, error) {
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v3/os-services", http.NoBody)
	req.Header.Set("X-Auth-Token", token)
	if service != "" {
		req.Header.Set("X-Service-Token", service)
	}
	return r.Authenticate(req)
}

// is checks what comes of a token: "" when it lets in.
func (r *asker) is(t *testing.T, when, token, want string) {
	t.Helper()
	if _, err := r.come(t.Context(), token, ""); kind(err) != want {
		t.Errorf("%s it is %q (%v), want %q", when, kind(err), err, want)
	}
}

func TestRealKeystone(t *testing.T) {
	for _, r := range peers.Releases() {
		t.Run(string(r), func(t *testing.T) {
			t.Parallel()
			realKeystone(t, peers.StartKeystone(t, peers.KeystoneOptions{Release: r}))
		})
	}
}

func realKeystone(t *testing.T, k *peers.Keystone) {
	t.Helper()
	t.Run("who a token belongs to", func(t *testing.T) {
		r := newReal(t, k, nil)
		for _, c := range []struct{ user, scope, project, domain, system, role string }{
			{"root-admin", "demo", k.Projects["demo"], "", "", "admin"},
			{"demo-reader", "demo", k.Projects["demo"], "", "", "reader"},
			{"sysadmin", "system", "", "", "all", "admin"},
			{"domadmin", "domain", "", "default", "", "admin"},
			{"no-role", "", "", "", "", ""},
		} {
			got, err := r.come(t.Context(), k.Token(t, c.user, c.scope), "")
			if err != nil {
				t.Errorf("%s: %v", c.user, err)
				continue
			}
			role := ""
			if len(got.Roles) > 0 {
				role = got.Roles[0]
			}
			if got.UserID != k.Users[c.user] || got.ProjectID != c.project || got.DomainID != c.domain || got.SystemScope != c.system || len(got.Roles) == 0 != (c.role == "") {
				t.Errorf("%s of %q is %+v (first role %q)", c.user, c.scope, got, role)
			}
		}
		r.is(t, "garbage:", "garbage", unauthenticated)
	})

	t.Run("revoked", func(t *testing.T) {
		r, token := newReal(t, k, uncached), k.Token(t, "root-admin", "demo")
		r.is(t, "before,", token, "")
		k.Revoke(t, token)
		r.is(t, "revoked,", token, unauthenticated)
	})

	t.Run("revoked and remembered", func(t *testing.T) {
		r, token := newReal(t, k, func(o *keystone.Options) { o.CacheTime = 2 * time.Second }), k.Token(t, "root-admin", "demo")
		r.is(t, "before,", token, "")
		k.Revoke(t, token)
		eventually(t, "it is refused", func() bool {
			_, err := r.come(t.Context(), token, "")
			return kind(err) == unauthenticated
		})
	})

	t.Run("a user is disabled", func(t *testing.T) {
		r, token := newReal(t, k, uncached), k.Token(t, "other-admin", "other")
		r.is(t, "before,", token, "")
		k.Enable(t, "other-admin", false)
		r.is(t, "disabled,", token, unauthenticated)
		k.Enable(t, "other-admin", true)
		// Keystone tells what it revoked from what it issued since by the second.
		eventually(t, "a new token of an enabled user is good", func() bool {
			_, err := r.come(t.Context(), k.Token(t, "other-admin", "other"), "")
			return err == nil
		})
	})

	t.Run("a role is removed", func(t *testing.T) {
		r, token := newReal(t, k, uncached), k.Token(t, "demo-member", "other")
		r.is(t, "before,", token, "")
		k.Withdraw(t, "demo-member", "member", "other")
		r.is(t, "without a role there,", token, unauthenticated)
	})

	t.Run("access rules", func(t *testing.T) {
		rules := []peers.AccessRule{{Service: "block-storage", Method: http.MethodGet, Path: "/v3/**"}, {Service: "volumev3", Method: http.MethodGet, Path: "/v3/*/os-services"}}
		token, end := k.RestrictedToken(t, "root-admin", "demo", rules...)
		newReal(t, k, nil).is(t, "without service_type,", token, unauthenticated)
		newReal(t, k, func(o *keystone.Options) { o.ServiceType = "share" }).is(t, "with a service_type that the catalog has not,", token, unauthenticated)
		newReal(t, k, func(o *keystone.Options) { o.ServiceType = "volumev3" }).is(t, "for another service,", token, unauthenticated) // /v3/os-services names no project
		r := newReal(t, k, func(o *keystone.Options) { o.ServiceType = "block-storage" })
		r.is(t, "as its rules say,", token, "")
		end()
		r = newReal(t, k, func(o *keystone.Options) { o.ServiceType = "block-storage" })
		r.is(t, "whose credential is gone,", token, unauthenticated)
	})

	t.Run("our password is wrong", func(t *testing.T) {
		r := newReal(t, k, func(o *keystone.Options) { o.Credential.Password = "wrong" })
		r.is(t, "whose ever it is,", k.Token(t, "root-admin", "demo"), unavailable)
	})

	t.Run("it hangs", func(t *testing.T) {
		long(t)
		r := newReal(t, k, func(o *keystone.Options) { o.Timeout = 2 * time.Second })
		known, unknown := k.Token(t, "root-admin", "demo"), k.Token(t, "demo-reader", "demo")
		eventually(t, "who is known", func() bool { _, err := r.come(t.Context(), known, ""); return err == nil })
		k.Pause(t)
		r.is(t, "hanging, who is known:", known, "")
		r.is(t, "hanging, who is not:", unknown, unavailable)
		k.Resume(t)
		eventually(t, "it is believed again", func() bool { _, err := r.come(t.Context(), unknown, ""); return err == nil })
	})

	t.Run("many requests, few questions", func(t *testing.T) {
		long(t)
		const tokens, requests = 50, 1000
		r := newReal(t, k, nil)
		var of [tokens]string
		for i := range of {
			of[i] = k.Token(t, "demo-reader", "demo")
		}
		var all sync.WaitGroup
		var failed atomic.Int64
		for i := range requests {
			all.Go(func() {
				if _, err := r.come(t.Context(), of[i%tokens], ""); err != nil && failed.Add(1) == 1 {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := failed.Load(); n > 0 {
			t.Errorf("%d of %d requests failed", n, requests)
		}
		if n := r.way.validations.Load(); n > tokens {
			t.Errorf("Keystone was asked %d times, want at most %d", n, tokens)
		}
	})

	t.Run("it restarts under load", func(t *testing.T) { restartsUnderLoad(t, k) })

	t.Run("it has another time", func(t *testing.T) { hasAnotherTime(t, k) }) // the last: its clock is not set back
}

// Under load, Keystone is stopped and started: who is known is let in all the
// time, and nobody who is not known before it is back.
func restartsUnderLoad(t *testing.T, k *peers.Keystone) {
	t.Helper()
	long(t)
	r, asking := newReal(t, k, nil), newReal(t, k, func(o *keystone.Options) { o.CacheTime, o.MaxRetries = 0, 0 })
	token := k.Token(t, "root-admin", "demo")
	r.is(t, "before,", token, "")
	asking.is(t, "before,", token, "")

	var outcomes sync.Map
	load, end := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for load.Err() == nil {
				if _, err := r.come(t.Context(), token, ""); err != nil {
					t.Errorf("who is known: %v", err)
				}
				_, err := asking.come(t.Context(), token, "")
				outcomes.Store(kind(err), true)
				_, err = asking.come(t.Context(), fmt.Sprint("garbage-", time.Now().UnixNano()), "")
				if err == nil {
					t.Error("garbage was let in")
				}
			}
		})
	}
	k.Stop(t)
	asking.is(t, "stopped,", token, unavailable)
	eventually(t, "those who ask notice", func() bool { _, away := outcomes.Load(unavailable); return away })
	k.Start(t)
	eventually(t, "it is asked again", func() bool { _, err := asking.come(t.Context(), token, ""); return err == nil })
	end()
	workers.Wait()
	if _, refused := outcomes.Load(unauthenticated); refused {
		t.Error("a good token was refused for want of a Keystone")
	}
}

// What counts is Keystone's clock, wherever it stands.
func hasAnotherTime(t *testing.T, k *peers.Keystone) {
	t.Helper()
	long(t)
	const life = 24 * time.Hour // of a token
	old := k.Token(t, "root-admin", "demo")

	k.SetClock(t, 2*life) // what has time left by our clock has none
	r := newReal(t, k, nil)
	r.is(t, "ahead, what Keystone calls expired:", old, unauthenticated)
	c, err := r.come(t.Context(), old, k.Token(t, "cinder", "service"))
	if err != nil || c.Service.UserID != k.Users["cinder"] || c.UserID != k.Users["root-admin"] {
		t.Errorf("ahead, passed on by a service it is %+v (%v)", c, err)
	}
	r.is(t, "ahead, what is new:", k.Token(t, "demo-reader", "demo"), "")

	k.SetClock(t, -2*life) // what has none by our clock has time left
	r = newReal(t, k, nil)
	token := k.Token(t, "root-admin", "demo")
	r.is(t, "behind, what is new:", token, "")
	r.is(t, "behind, what is remembered:", token, "")
	if n := r.way.validations.Load(); n != 1 {
		t.Errorf("Keystone was asked %d times, want once", n)
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("in %v it did not come to pass that %s", patience, what)
		case <-tick.C:
		}
	}
}
