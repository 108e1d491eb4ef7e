package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"stoker/internal/api"
	"stoker/internal/keystone"
	"stoker/internal/keystone/keystonetest"
	"stoker/internal/policy"
)

// guarded is what was recorded under one policy.
type guarded struct {
	Policy string     `json:"policy"`
	Cases  []recorded `json:"cases"`
}

// guard is an Authenticator that asks a fake Keystone.
func guard(tb testing.TB) (*keystone.Authenticator, *keystonetest.Keystone) {
	tb.Helper()
	return guardFor(tb, keystone.DefaultCacheTime)
}

// guardFor is one that believes what Keystone said for so long.
func guardFor(tb testing.TB, believed time.Duration) (*keystone.Authenticator, *keystonetest.Keystone) {
	tb.Helper()
	fake := keystonetest.New(tb)
	auth, err := keystone.New(keystone.Options{
		AuthURL: keystonetest.URL,
		Credential: keystone.Credential{
			Type: keystone.Password, Username: keystonetest.User, Password: keystonetest.Secret,
			UserDomainID: "default", ProjectName: "service", ProjectDomainID: "default",
		},
		CacheTime: believed, ServiceRoles: []string{"service"}, Log: slog.New(slog.DiscardHandler), Transport: fake,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(auth.Close)
	return auth, fake
}

func enforcer(tb testing.TB, text string) api.Policy {
	tb.Helper()
	return enforcerOf(tb, filepath.Join(tb.TempDir(), "policy.yaml"), text)
}

// enforcerOf is a policy in that file.
func enforcerOf(tb testing.TB, file, text string) api.Policy {
	tb.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	p, err := policy.New(policy.Options{File: file})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

var blank = regexp.MustCompile(`<(token|project|user):([^>]+)>`)

// filled puts real ids and tokens where a recorded text has <kind:name>.
func filled(text string) string {
	return blank.ReplaceAllStringFunc(text, func(m string) string {
		found := blank.FindStringSubmatch(m)
		if found[1] == "token" {
			return keystonetest.Token(found[2])
		}
		return keystonetest.ID(found[1], found[2])
	})
}

// TestAuthConformance replays what a real Cinder, behind a real Keystone,
// answered to callers of every kind under many policies.
func TestAuthConformance(t *testing.T) {
	auth, _ := guard(t)
	var all []guarded
	readJSON(t, "testdata/auth.json", &all)
	if len(all) == 0 {
		t.Fatal("no cases")
	}
	for i, g := range all {
		t.Run(fmt.Sprint("policy ", i), func(t *testing.T) {
			r := newRig(t, parts{auth: auth, policy: enforcer(t, g.Policy), challenge: auth.Challenge()})
			var loaded time.Time
			for _, c := range g.Cases {
				t.Run(c.Name, func(t *testing.T) {
					if time.Since(loaded) > 20*time.Second {
						r.loadFixture(t)
						loaded = time.Now()
					}
					r.agrees(t, c)
					if c.Method != http.MethodGet && c.Method != http.MethodOptions {
						loaded = time.Time{}
					}
				})
			}
		})
	}
}

// agrees replays a case, names filled in, and compares the answer.
func (r *rig) agrees(t *testing.T, c recorded) {
	t.Helper()
	c.Path = filled(c.Path)
	for k, v := range c.Headers {
		c.Headers[k] = filled(v)
	}
	for k, v := range c.Expect.Headers {
		if v == `Keystone uri="<keystone>"` {
			c.Expect.Headers[k] = `Keystone uri="` + keystonetest.URL + `"`
		}
	}
	got := r.replay(t, c)
	agreesOnStatus(t, c.Expect, got)
	agreesOnHeaders(t, c.Expect, got)
	if c.Expect.Fault != nil {
		agreesOnFault(t, *c.Expect.Fault, got)
	}
	if c.Expect.JSON != nil {
		var want, have any
		check(t, json.Unmarshal([]byte(filled(string(c.Expect.JSON))), &want), json.Unmarshal(got.body, &have))
		if d := differ(want, have, ""); d != "" {
			t.Error(d)
		}
	}
}

// TestAdmissionAllocatesLittle bounds what Keystone and policy add to a request
// with a token that is known.
func TestAdmissionAllocatesLittle(t *testing.T) {
	auth, _ := guard(t)
	allow := enforcer(t, "{}")
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v3/os-services", http.NoBody)
	req.Header.Set("X-Auth-Token", keystonetest.Token("root-admin"))
	n := testing.AllocsPerRun(100, func() {
		c, err := auth.Authenticate(req)
		if err == nil {
			err = allow.Allow(req.Context(), c, "volume_extension:services:index")
		}
		check(t, err)
	})
	if n > 50 {
		t.Errorf("it allocates %v times, want at most 50", n)
	}
}
