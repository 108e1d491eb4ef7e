package keystone_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"stoker/internal/keystone"
	"stoker/internal/keystone/keystonetest"
)

// verdict is a case of testdata/access.json; see access.py.
type verdict struct {
	Name        string
	Rules       [][3]string
	Method      string
	Path        string
	ServiceType string `json:"service_type"`
	Service     string
	Want        string
	Ours        string
	Differs     string
}

// credential is Keystone's description of the application credential.
func (v verdict) credential() map[string]any {
	if v.Rules == nil {
		return map[string]any{"id": "1", "restricted": true}
	}
	rules := []any{}
	for _, r := range v.Rules {
		rules = append(rules, map[string]any{"id": "r", "method": r[0], "path": r[1], "service": r[2]})
	}
	return map[string]any{"id": "1", "restricted": true, "access_rules": rules}
}

// judge makes the request with a token of its own.
func (v verdict) judge(t *testing.T, r *fixture) string {
	t.Helper()
	r.fake.Add(v.Name, "root-admin")
	r.fake.Edit(v.Name, func(token map[string]any) { token["application_credential"] = v.credential() })
	req := httptest.NewRequestWithContext(t.Context(), v.Method, v.Path, http.NoBody)
	req.Header.Set("X-Auth-Token", keystonetest.Token(v.Name))
	if v.Service != "" {
		name := map[string]string{"service": "cinder", "other": "demo-reader", "own": v.Name}[v.Service]
		req.Header.Set("X-Service-Token", keystonetest.Token(name))
	}
	_, err := r.Authenticate(req)
	switch kind(err) {
	case "":
		return "allow"
	case unauthenticated:
		return "deny"
	default:
		return err.Error()
	}
}

// TestAccessRules checks which requests access rules allow, compared with
// keystonemiddleware.
func TestAccessRules(t *testing.T) {
	t.Parallel()
	var verdicts []verdict
	text, err := os.ReadFile("testdata/access.json")
	if err == nil {
		err = json.Unmarshal(text, &verdicts)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(verdicts) < 300 {
		t.Errorf("only %d verdicts", len(verdicts))
	}
	rooms := map[string]*fixture{}
	for i, v := range verdicts {
		r := rooms[v.ServiceType]
		if r == nil {
			r = newFixture(t, func(o *keystone.Options) { o.ServiceType = v.ServiceType })
			rooms[v.ServiceType] = r
		}
		want := v.Want
		if v.Ours != "" {
			want = v.Ours
		}
		v.Name = fmt.Sprint(i, ":", strings.ReplaceAll(v.Name, " ", "-"))
		if got := v.judge(t, r); got != want {
			t.Errorf("%s: %s %s with %v: got %s, want %s", v.Name, v.Method, v.Path, v.Rules, got, want)
		}
	}
}

// TestAccessRulesAreRemembered checks that the cache has a token's rules, not their
// verdict on one request.
func TestAccessRulesAreRemembered(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(o *keystone.Options) { o.ServiceType = "block-storage" })
	r.fake.Edit("root-admin", func(token map[string]any) {
		token["application_credential"] = verdict{Rules: [][3]string{{"GET", "/v3/**", "block-storage"}}}.credential()
	})
	for range 2 {
		for _, c := range []struct{ method, path, want string }{
			{"GET", "/v3/os-services", ""},
			{"PUT", "/v3/os-services/enable", unauthenticated},
			{"GET", "/stoker/v1/operations", unauthenticated},
		} {
			req := httptest.NewRequestWithContext(t.Context(), c.method, c.path, http.NoBody)
			req.Header.Set("X-Auth-Token", keystonetest.Token("root-admin"))
			if _, err := r.Authenticate(req); kind(err) != c.want {
				t.Errorf("%s %s is %q (%v), want %q", c.method, c.path, kind(err), err, c.want)
			}
		}
	}
	if n := r.fake.Validations("root-admin"); n != 2 { // once for the catalog
		t.Errorf("Keystone was asked %d times, want 2", n)
	}
}
