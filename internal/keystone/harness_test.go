package keystone_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/internal/cinder"
	"stoker/internal/keystone"
	"stoker/internal/keystone/keystonetest"
)

// fixture is an Authenticator connected to its Keystone without a network.
type fixture struct {
	*keystone.Authenticator
	fake *keystonetest.Keystone
	log  *syncBuffer
}

func credential() keystone.Credential {
	return keystone.Credential{
		Type: keystone.Password, Username: keystonetest.User, Password: keystonetest.Secret,
		UserDomainID: "default", ProjectName: "service", ProjectDomainID: "default",
	}
}

func newFixture(t *testing.T, change func(*keystone.Options)) *fixture {
	t.Helper()
	r := &fixture{fake: keystonetest.New(t), log: &syncBuffer{}}
	o := keystone.Options{
		AuthURL: keystonetest.URL, Credential: credential(), CacheTime: keystone.DefaultCacheTime,
		MaxRetries: keystone.DefaultMaxRetries, ServiceRoles: []string{"service"},
		Log: slog.New(slog.NewTextHandler(r.log, nil)), Transport: r.fake,
	}
	if change != nil {
		change(&o)
	}
	a, err := keystone.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Authenticator = a
	t.Cleanup(func() {
		a.Close()
		if s := r.log.String(); strings.Contains(s, keystonetest.Secret) || strings.Contains(s, keystonetest.Token("")) || strings.Contains(s, "own-") {
			t.Errorf("a secret is in the log:\n%s", s)
		}
	})
	return r
}

// request sends a request with these headers, given as pairs of name and value.
func (r *fixture) request(t *testing.T, headers ...string) (cinder.Caller, error) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v3/os-services", http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	c, err := r.Authenticate(req)
	if err != nil {
		if s := err.Error(); strings.Contains(s, keystonetest.Secret) || strings.Contains(s, keystonetest.Token("")) || strings.Contains(s, "own-") {
			t.Errorf("a secret is in the error: %s", s)
		}
	}
	return c, err
}

// requestAs sends a request with the recorded token of that name.
func (r *fixture) requestAs(t *testing.T, name string) (cinder.Caller, error) {
	t.Helper()
	return r.request(t, "X-Auth-Token", keystonetest.Token(name))
}

// timeless ignores Caller.Until, which TestUntil checks.
func timeless() cmp.Option { return cmpopts.IgnoreFields(cinder.Caller{}, "Until") }

// kind is the kind of a request's error; "" when it was authenticated.
func kind(err error) string {
	if err == nil {
		return ""
	}
	return cinder.KindOf(err).String()
}

// syncBuffer is a buffer for concurrent writers.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
