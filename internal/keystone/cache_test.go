package keystone_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/keystone"
	"stoker/internal/keystone/keystonetest"
)

// TestOneQuestionPerToken checks that a thousand concurrent requests with fifty tokens
// cause fifty validations.
func TestOneQuestionPerToken(t *testing.T) {
	t.Parallel()
	r := newFixture(t, nil)
	const tokens, requests = 50, 1000
	for i := range tokens {
		r.fake.Add(fmt.Sprint("user-", i), "demo-reader")
	}
	var all sync.WaitGroup
	for i := range requests {
		all.Go(func() {
			if _, err := r.requestAs(t, fmt.Sprint("user-", i%tokens)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := r.fake.Validations(""); n != tokens {
		t.Errorf("Keystone was asked %d times, want %d", n, tokens)
	}
	if n := r.fake.Authentications(); n != 1 {
		t.Errorf("we authenticated %d times, want once", n)
	}
}

func TestHowLongAnAnswerIsBelieved(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, c := range []struct {
		name  string
		token string
		cache time.Duration
		after time.Duration // of the second request
		asked int
		want  string
	}{
		{"within token_cache_time", "root-admin", 5 * time.Minute, 5*time.Minute - time.Second, 1, ""},
		{"after token_cache_time", "root-admin", 5 * time.Minute, 5*time.Minute + time.Second, 2, ""},
		{"never past its expiry", "root-admin", 2 * day, day, 2, unauthenticated},
		{"not at all", "root-admin", -1, 0, 2, ""},
		{"not at all, as 0", "root-admin", 0, 0, 2, ""},
		{"a refusal, for a moment", "garbage", 5 * time.Minute, 4 * time.Second, 1, unauthenticated},
		{"a refusal, for no longer", "garbage", 5 * time.Minute, 6 * time.Second, 2, unauthenticated},
		{"a refusal, not at all", "garbage", 0, 0, 2, unauthenticated},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newFixture(t, func(o *keystone.Options) { o.CacheTime = c.cache })
				_, _ = r.requestAs(t, c.token)
				wait(t, c.after)
				if _, err := r.requestAs(t, c.token); kind(err) != c.want {
					t.Errorf("it is %q (%v), want %q", kind(err), err, c.want)
				}
				if n := r.fake.Validations(c.token); n != c.asked {
					t.Errorf("Keystone was asked %d times, want %d", n, c.asked)
				}
			})
		})
	}
}

// TestUntil checks Caller.Until, after which Keystone would be asked again.
func TestUntil(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, c := range []struct {
		name           string
		token, service string
		cache          time.Duration
		before         time.Duration // between two requests; the second counts
		want           time.Duration
	}{
		{name: "token_cache_time", token: "root-admin", cache: 5 * time.Minute, want: 5 * time.Minute},
		{name: "what is left of it", token: "root-admin", cache: 5 * time.Minute, before: time.Minute, want: 4 * time.Minute},
		{name: "what is left of the token", token: "root-admin", cache: 2 * day, want: day},
		{name: "what is left of the token, without a cache", token: "root-admin", before: time.Hour, want: 23 * time.Hour},
		{name: "what is left of the service's", token: "root-admin", service: "cinder", cache: 2 * day, want: day},
		{name: "of an expired token, token_cache_time", token: "expired", service: "cinder", cache: 5 * time.Minute, want: 5 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newFixture(t, func(o *keystone.Options) { o.CacheTime = c.cache })
				headers := []string{"X-Auth-Token", keystonetest.Token(c.token)}
				if c.service != "" {
					headers = append(headers, "X-Service-Token", keystonetest.Token(c.service))
				}
				if _, err := r.request(t, headers...); err != nil {
					t.Fatal(err)
				}
				wait(t, c.before)
				got, err := r.request(t, headers...)
				if err != nil {
					t.Fatal(err)
				}
				if d := time.Until(got.Until); (d - c.want).Abs() > 5*time.Second { // the recorded tokens were some seconds old
					t.Errorf("it is good for %v, want %v", d, c.want)
				}
			})
		})
	}
}

// TestARevokedTokenIsRefused checks that a revoked token is refused once its cache
// entry expires.
func TestARevokedTokenIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newFixture(t, nil)
		if _, err := r.requestAs(t, "root-admin"); err != nil {
			t.Fatal(err)
		}
		r.fake.Revoke("root-admin")
		wait(t, keystone.DefaultCacheTime)
		if _, err := r.requestAs(t, "root-admin"); kind(err) != unauthenticated {
			t.Errorf("it is %q (%v), want %q", kind(err), err, unauthenticated)
		}
	})
}

// TestClocksThatDisagree checks that expiries follow Keystone's clock, ahead of ours or
// behind.
func TestClocksThatDisagree(t *testing.T) {
	t.Parallel()
	for _, offset := range []time.Duration{-3 * time.Hour, -time.Minute, time.Minute, 3 * time.Hour} {
		t.Run(offset.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newFixture(t, func(o *keystone.Options) { o.CacheTime = 48 * time.Hour })
				r.fake.SetClock(offset)
				left := 24*time.Hour - offset // of the recorded tokens
				wait(t, left-time.Minute)
				if _, err := r.requestAs(t, "root-admin"); err != nil {
					t.Fatalf("a minute before its end: %v", err)
				}
				wait(t, 30*time.Second)
				if _, err := r.requestAs(t, "root-admin"); err != nil {
					t.Fatalf("half a minute before its end: %v", err)
				}
				if n := r.fake.Validations("root-admin"); n != 1 {
					t.Errorf("Keystone was asked %d times, want once", n)
				}
				wait(t, 31*time.Second)
				if _, err := r.requestAs(t, "root-admin"); kind(err) != unauthenticated {
					t.Errorf("after its end it is %q (%v), want %q", kind(err), err, unauthenticated)
				}
			})
		})
	}
}

// TestAnExpiryThatHasPassed checks a token that is valid although it has expired by our
// estimate of Keystone's clock, which was changed since: it is accepted and not cached.
func TestAnExpiryThatHasPassed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newFixture(t, nil)
		r.fake.SetLife(48 * time.Hour)
		if _, err := r.requestAs(t, "demo-reader"); err != nil { // this learns Keystone's time
			t.Fatal(err)
		}
		r.fake.SetClock(-2 * time.Hour)
		wait(t, 25*time.Hour)
		for range 2 {
			if _, err := r.requestAs(t, "root-admin"); err != nil {
				t.Errorf("Keystone vouches for it: %v", err)
			}
		}
		if n := r.fake.Validations("root-admin"); n != 2 {
			t.Errorf("Keystone was asked %d times, want 2", n)
		}
	})
}

// TestWhoGivesUpHarmsNobody checks that a caller that gives up does not cancel the
// validation for others.
func TestWhoGivesUpHarmsNobody(t *testing.T) {
	t.Parallel()
	r := newFixture(t, nil)
	asked, proceed := make(chan struct{}), make(chan struct{})
	r.fake.Before(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodGet {
			close(asked)
			<-proceed
		}
		return false
	})
	ctx, giveUp := context.WithCancel(t.Context())
	impatient := make(chan error, 1)
	go func() {
		req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
		req.Header.Set("X-Auth-Token", keystonetest.Token("root-admin"))
		_, err := r.Authenticate(req)
		impatient <- err
	}()
	<-asked
	patient := make(chan error, 1)
	go func() { _, err := r.requestAs(t, "root-admin"); patient <- err }()
	giveUp()
	if err := <-impatient; kind(err) != unavailable {
		t.Errorf("who gave up is told %v", err)
	}
	close(proceed)
	if err := <-patient; err != nil {
		t.Errorf("who waited is told %v", err)
	}
	if n := r.fake.Validations("root-admin"); n != 1 {
		t.Errorf("Keystone was asked %d times, want once", n)
	}
}

// wait lets time pass in a bubble of synctest.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
