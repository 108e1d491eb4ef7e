package keystone_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/keystone"
)

func TestOurTokenIsRenewed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		life   time.Duration
		after  time.Duration
		issued int
	}{
		{"not while it is good", time.Hour, 57 * time.Minute, 1},
		{"before it ends", time.Hour, 59 * time.Minute, 2},
		{"after it ended", time.Hour, 3 * time.Hour, 2},
		{"a short one, late", 10 * time.Second, 8 * time.Second, 1},
		{"a short one, before it ends", 10 * time.Second, 9500 * time.Millisecond, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newFixture(t, nil)
				r.fake.SetLife(c.life)
				_, _ = r.requestAs(t, "root-admin")
				wait(t, c.after)
				if _, err := r.requestAs(t, "demo-reader"); err != nil {
					t.Error(err)
				}
				if n := r.fake.Authentications(); n != c.issued {
					t.Errorf("we authenticated %d times, want %d", n, c.issued)
				}
			})
		})
	}
}

// TestOurTokenIsRefused checks that when Keystone forgets our token, for instance after
// a key rotation, all requests share one new token.
func TestOurTokenIsRefused(t *testing.T) {
	t.Parallel()
	r := newFixture(t, nil)
	if _, err := r.requestAs(t, "root-admin"); err != nil {
		t.Fatal(err)
	}
	r.fake.RevokeOwn()
	var all sync.WaitGroup
	for i := range 20 {
		r.fake.Add(fmt.Sprint("user-", i), "demo-reader")
		all.Go(func() {
			if _, err := r.requestAs(t, fmt.Sprint("user-", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := r.fake.Authentications(); n != 2 {
		t.Errorf("we authenticated %d times, want twice", n)
	}
}

// TestARenewalThatFails checks that a Keystone that is away when our token is due for
// renewal does no harm while the token is valid.
func TestARenewalThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newFixture(t, nil)
		r.fake.SetLife(time.Hour)
		_, _ = r.requestAs(t, "root-admin")
		wait(t, 59*time.Minute)
		r.fake.Before(func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method == http.MethodPost {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return req.Method == http.MethodPost
		})
		if _, err := r.requestAs(t, "demo-reader"); err != nil {
			t.Error(err)
		}
	})
}

// TestAWrongPassword checks that a refused credential is retried rarely: Keystone
// counts failures and locks accounts.
func TestAWrongPassword(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newFixture(t, func(o *keystone.Options) { o.Credential.Password = "wrong" })
		tried := 0
		r.fake.Before(func(http.ResponseWriter, *http.Request) bool { tried++; return false })
		for range 20 {
			if _, err := r.requestAs(t, "root-admin"); kind(err) != unavailable {
				t.Errorf("it is %q (%v), want %q", kind(err), err, unavailable)
			}
		}
		if tried != 1 {
			t.Errorf("it was tried %d times, want once", tried)
		}
		wait(t, 11*time.Second)
		_, _ = r.requestAs(t, "root-admin")
		if tried != 2 {
			t.Errorf("it was tried %d times in all, want twice", tried)
		}
	})
}

func TestAnApplicationCredential(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(o *keystone.Options) {
		o.Credential = keystone.Credential{
			Type: keystone.ApplicationCredential, ApplicationCredentialID: "cinder", ApplicationCredentialSecret: o.Credential.Password,
		}
	})
	if _, err := r.requestAs(t, "root-admin"); err != nil {
		t.Error(err)
	}
}

// TestTheEndpoint checks that the endpoint for validations comes from the catalog, by
// region and interface.
func TestTheEndpoint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, url, region, kind, want string }{
		{"any", "http://keystone.test:5000", "", "", ""},
		{"with a version", "http://keystone.test:5000/v3/", "", "admin", ""},
		{"the old spelling", "http://keystone.test:5000/v2.0", "RegionOne", "publicURL", ""},
		{"another region", "http://keystone.test:5000", "RegionTwo", "", unavailable},
		{"no Keystone there", "http://keystone.test:5000/identity", "", "", unavailable},
		{"a path that looks like a version", "http://keystone.test:5000/v3-old", "", "", unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(o *keystone.Options) { o.AuthURL, o.Region, o.Interface, o.MaxRetries = c.url, c.region, c.kind, 0 })
			if _, err := r.requestAs(t, "root-admin"); kind(err) != c.want {
				t.Errorf("it is %q (%v), want %q", kind(err), err, c.want)
			}
		})
	}
}
