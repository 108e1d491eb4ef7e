package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/keystone"
	"stoker/internal/keystone/keystonetest"
)

// listener is a client of the stream of events, without a network.
type listener struct {
	*httptest.ResponseRecorder
	mu    sync.Mutex // guards the recorder
	ended chan struct{}
}

// listen opens a stream with the token of that name.
func (r *rig) listen(ctx context.Context, token string) *listener {
	l := &listener{ResponseRecorder: httptest.NewRecorder(), ended: make(chan struct{})}
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/stoker/v1/events", http.NoBody)
	req.Header.Set("X-Auth-Token", keystonetest.Token(token))
	go func() { defer close(l.ended); r.handler.ServeHTTP(l, req) }()
	synctest.Wait()
	return l
}

func (l *listener) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ResponseRecorder.Write(b)
}

// heard is what has come so far.
func (l *listener) heard() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Body.String()
}

// over says whether the stream has ended.
func (l *listener) over() bool {
	synctest.Wait()
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// A stream lasts as long as a new request of its client would be let in, and says
// why it ends.
func TestAStreamEndsWhenItsClientWouldBeRefused(t *testing.T) {
	const (
		day      = 24 * time.Hour
		look     = 15 * time.Second // how often the policy is asked
		gone     = `"code":401,"message":"The request you have made requires authentication."`
		denied   = `"code":403,"message":"Policy doesn't allow stoker:events:index to be performed."`
		away     = `"code":503,"message":"The Keystone service is temporarily unavailable."`
		readers  = `{"stoker:events:index": "role:reader"}`
		nobody   = `{"stoker:events:index": "!"}`
		remember = keystone.DefaultCacheTime // 5 minutes
	)
	tests := []struct {
		name  string
		token string
		cache time.Duration
		then  func(t *testing.T, k *keystonetest.Keystone, file string) // a good minute after the stream began
		lasts time.Duration                                             // at least
		over  time.Duration                                             // by then
		want  string
	}{
		{name: "a token that stays good", token: "demo-reader", cache: remember, lasts: 20 * time.Hour},
		{name: "revoked", token: "demo-reader", cache: remember, lasts: remember - time.Second, over: remember, want: gone, then: func(_ *testing.T, k *keystonetest.Keystone, _ string) { k.Revoke("demo-reader") }},
		{name: "revoked, and nothing is remembered", token: "demo-reader", lasts: time.Minute, over: time.Minute + time.Second + look, want: gone, then: func(_ *testing.T, k *keystonetest.Keystone, _ string) { k.Revoke("demo-reader") }},
		{name: "expired", token: "demo-reader", cache: remember, lasts: day - 5*time.Second, over: day, want: gone},
		{name: "expired, and nothing is remembered", token: "demo-reader", lasts: day - 5*time.Second, over: day, want: gone},
		{name: "a role less", token: "demo-reader", cache: remember, lasts: remember - time.Second, over: remember, want: denied, then: func(_ *testing.T, k *keystonetest.Keystone, _ string) {
			k.Edit("demo-reader", func(token map[string]any) { token["roles"] = []any{map[string]any{"id": "1", "name": "other"}} })
		}},
		{name: "another policy", token: "demo-reader", cache: remember, lasts: time.Minute, over: time.Minute + time.Second + look, want: denied, then: func(t *testing.T, _ *keystonetest.Keystone, file string) {
			t.Helper()
			if err := os.WriteFile(file, []byte(nobody), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "Keystone is away, shorter than it is remembered", token: "demo-reader", cache: remember, lasts: time.Hour, then: func(t *testing.T, k *keystonetest.Keystone, _ string) {
			t.Helper()
			k.Down()
			time.AfterFunc(3*time.Minute, func() { k.Before(nil) })
		}},
		{name: "Keystone is away for long", token: "demo-reader", cache: remember, lasts: remember - time.Second, over: remember + 2*keystone.DefaultTimeout, want: away, then: func(_ *testing.T, k *keystonetest.Keystone, _ string) { k.Down() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				auth, fake := guardFor(t, tt.cache)
				file := filepath.Join(t.TempDir(), "policy.yaml")
				r := newQuietRig(t, parts{auth: auth, policy: enforcerOf(t, file, readers)})
				ctx, cancel := context.WithCancel(t.Context())
				began := time.Now()
				l := r.listen(ctx, tt.token)
				defer func() { cancel(); <-l.ended }()
				wait := func(until time.Duration) { <-time.After(until - time.Since(began)) }
				wait(time.Minute + time.Second)
				if tt.then != nil {
					tt.then(t, fake, file)
				}
				wait(tt.lasts)
				if l.over() {
					t.Fatalf("it is over after %v at most:\n%s", tt.lasts, l.heard())
				}
				if tt.over == 0 {
					return
				}
				wait(tt.over)
				if !l.over() {
					t.Fatalf("it goes on after %v", tt.over)
				}
				if last := "event: end\ndata: {" + tt.want + "}\n\n"; !strings.HasSuffix(l.heard(), last) {
					t.Errorf("it ends with %q, want %q", l.heard()[max(0, len(l.heard())-300):], last)
				}
			})
		})
	}
}

// While Keystone is asked again, nothing goes out that a refused client must not
// hear; who is let in hears it then.
func TestEventsWaitForTheVerdict(t *testing.T) {
	for _, welcome := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			auth, fake := guardFor(t, time.Minute)
			r := newQuietRig(t, parts{auth: auth})
			ctx, cancel := context.WithCancel(t.Context())
			published := make(chan struct{})
			go func() { defer close(published); r.control.Publish(ctx) }()
			l := r.listen(ctx, "demo-reader")
			defer func() { cancel(); <-l.ended; <-published }()

			const asked = 10 * time.Second // how long Keystone takes
			fake.Before(func(_ http.ResponseWriter, q *http.Request) bool {
				<-time.After(asked)
				return false
			})
			if !welcome {
				fake.Revoke("demo-reader")
			}
			<-time.After(time.Minute + time.Second)
			r.service(t, cinder.BinaryVolume, "new@b", nil)
			<-time.After(asked - 2*time.Second)
			if l.over() || strings.Contains(l.heard(), "new@b") {
				t.Errorf("before the verdict:\n%s", l.heard())
			}
			<-time.After(5 * time.Second)
			if l.over() == welcome || strings.Contains(l.heard(), "new@b") != welcome {
				t.Errorf("after the verdict, welcome %v:\n%s", welcome, l.heard())
			}
		})
	}
}
