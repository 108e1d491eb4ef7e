package keystone_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/keystone"
	"stoker/internal/keystone/keystonetest"
)

// TestKeystoneIsAway checks that while Keystone is away cached tokens still work and
// others fail, and that everything works once it is back.
func TestKeystoneIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newFixture(t, nil)
		if _, err := r.requestAs(t, "root-admin"); err != nil {
			t.Fatal(err)
		}
		r.fake.Down()
		if _, err := r.requestAs(t, "root-admin"); err != nil {
			t.Errorf("who is known: %v", err)
		}
		began := time.Now()
		_, err := r.requestAs(t, "demo-reader")
		if kind(err) != unavailable {
			t.Errorf("who is not: %q (%v), want %q", kind(err), err, unavailable)
		}
		if took := time.Since(began); took < time.Second || took > 5*time.Second {
			t.Errorf("it was tried for %v, want the pauses of three more tries", took)
		}
		if _, err := r.request(t); kind(err) != unauthenticated {
			t.Errorf("nobody is told %v", err)
		}
		r.fake.Before(nil)
		if _, err := r.requestAs(t, "demo-reader"); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	})
}

func TestKeystoneComesBackBetweenTries(t *testing.T) {
	t.Parallel()
	for name, miss := range map[string]func(http.ResponseWriter){
		"503": func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"502": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newFixture(t, nil)
				missed := 0
				r.fake.Before(func(w http.ResponseWriter, _ *http.Request) bool {
					if missed++; missed > 3 {
						return false
					}
					miss(w)
					return true
				})
				if _, err := r.requestAs(t, "root-admin"); err != nil {
					t.Errorf("after three misses: %v", err)
				}
			})
		})
	}
}

// refusing is a network that refuses every connection.
type refusing struct{ tries int }

func (n *refusing) RoundTrip(*http.Request) (*http.Response, error) {
	n.tries++
	return nil, errors.New("connection refused")
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &refusing{}
		r := newFixture(t, func(o *keystone.Options) { o.Transport, o.MaxRetries = n, 2 })
		if _, err := r.requestAs(t, "root-admin"); kind(err) != unavailable {
			t.Errorf("it is %q (%v), want %q", kind(err), err, unavailable)
		}
		if n.tries != 3 {
			t.Errorf("it was tried %d times, want 3", n.tries)
		}
	})
}

// TestKeystoneHangs checks that a hanging Keystone delays a request by one timeout, not
// one per attempt.
func TestKeystoneHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newFixture(t, func(o *keystone.Options) { o.Timeout = 7 * time.Second })
		r.fake.Before(func(_ http.ResponseWriter, req *http.Request) bool {
			<-req.Context().Done()
			return true
		})
		began := time.Now()
		if _, err := r.requestAs(t, "root-admin"); kind(err) != unavailable {
			t.Errorf("it is %q (%v), want %q", kind(err), err, unavailable)
		}
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("it took %v, want 7s", took)
		}
	})
}

// TestNonsenseLetsNobodyIn checks that an answer which is not a token's description
// authenticates nobody.
func TestNonsenseLetsNobodyIn(t *testing.T) {
	t.Parallel()
	say := func(status int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	const whole = `"expires_at": "2100-01-01T00:00:00.000000Z", "user": {"id": "1", "domain": {"id": "default"}}`
	for name, answer := range map[string]func(http.ResponseWriter){
		"nothing":                 say(200, ""),
		"no JSON":                 say(200, "<html>Welcome</html>"),
		"null":                    say(200, "null"),
		"a list":                  say(200, "[]"),
		"a text":                  say(200, `"token"`),
		"an empty object":         say(200, "{}"),
		"no token":                say(200, `{"token": null}`),
		"an empty token":          say(200, `{"token": {}}`),
		"a token that is a list":  say(200, `{"token": [1]}`),
		"half a token":            say(200, `{"token": {`+whole),
		"an error":                say(200, `{"error": {"code": 401}}`),
		"no user":                 say(200, `{"token": {"expires_at": "2100-01-01T00:00:00.000000Z", "roles": [{"name": "admin"}]}}`),
		"no expiry":               say(200, `{"token": {"user": {"id": "1"}, "roles": [{"name": "admin"}]}}`),
		"an expiry of no time":    say(200, `{"token": {"user": {"id": "1"}, "expires_at": "tomorrow"}}`),
		"a user that is a number": say(200, `{"token": {"user": 1, "expires_at": "2100-01-01T00:00:00.000000Z"}}`),
		"roles that are texts":    say(200, `{"token": {`+whole+`, "roles": ["admin"]}}`),
		"a role without a name":   say(200, `{"token": {`+whole+`, "roles": [{"id": "1"}]}}`),
		"two scopes":              say(200, `{"token": {`+whole+`, "project": {"id": "1"}, "system": {"all": true}}}`),
		"a project without an id": say(200, `{"token": {`+whole+`, "project": {"name": "demo"}}}`),
		"a domain without an id":  say(200, `{"token": {`+whole+`, "domain": {"name": "demo"}}}`),
		"another token's": func(w http.ResponseWriter) {
			w.Header().Set("X-Subject-Token", "another")
			say(200, `{"token": {`+whole+`}}`)(w)
		},
		"a long answer": say(200, `{"token": {`+whole+`, "x": "`+strings.Repeat("x", 5<<20)+`"}}`),
		"203":           say(203, `{"token": {`+whole+`}}`),
		"204":           say(204, ""),
		"201":           say(201, `{"token": {`+whole+`}}`),
		"300":           say(300, `{"versions": {}}`),
		"302": func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://elsewhere/")
			w.WriteHeader(http.StatusFound)
		},
		"400":                  say(400, `{"error": {"code": 400}}`),
		"401":                  say(401, `{"error": {"code": 401}}`),
		"403":                  say(403, `{"error": {"code": 403}}`),
		"404 of a path":        say(404, `<h1>Not Found</h1>`),
		"404 of another error": say(404, `{"error": {"code": 500}}`),
		"429":                  say(429, ""),
		"500":                  say(500, `{"error": {"code": 500}}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(o *keystone.Options) { o.MaxRetries = 0 })
			r.fake.Before(func(w http.ResponseWriter, req *http.Request) bool {
				if req.Method == http.MethodGet {
					answer(w)
				}
				return req.Method == http.MethodGet
			})
			got, err := r.requestAs(t, "root-admin")
			if kind(err) != unavailable {
				t.Errorf("it is %q (%v), want %q: %v", kind(err), err, unavailable, got)
			}
			if err != nil && cinder.Message(err) != "The Keystone service is temporarily unavailable." {
				t.Errorf("the caller is told %q", cinder.Message(err))
			}
			r.fake.Before(nil)
			if _, err := r.requestAs(t, "root-admin"); err != nil {
				t.Errorf("when it makes sense again: %v", err)
			}
		})
	}
}

// FuzzAnswers checks that any answer of Keystone yields either a caller with an id or
// an error.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"token": {"expires_at": "2100-01-01T00:00:00.000000Z", "user": {"id": "1"}}}`,
		`{"token": {"expires_at": "2100-01-01T00:00:00.000000Z", "user": {"id": ""}, "roles": null}}`,
		`{"token": {"system": {"all": "true"}}}`, `{"Token": {}}`, `{"token": {"token": {}}}`, "null", `{"token": [[[[`, "\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := newFixture(t, func(o *keystone.Options) { o.MaxRetries = 0 })
		r.fake.Before(func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method == http.MethodGet {
				_, _ = w.Write([]byte(body))
			}
			return req.Method == http.MethodGet
		})
		c, err := r.request(t, "X-Auth-Token", keystonetest.Token("x"))
		switch {
		case err == nil && c.UserID == "":
			t.Errorf("nobody was let in as %v", c)
		case err != nil && kind(err) != unavailable && kind(err) != unauthenticated:
			t.Errorf("it is %q: %v", kind(err), err)
		}
	})
}
