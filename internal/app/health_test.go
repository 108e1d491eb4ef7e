package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/keystone/keystonetest"
)

// health is the detailed health: status, and reason or details by part.
func (s *site) health(t *testing.T) (int, map[string]string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/healthcheck?detailed", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body struct {
		Reasons []struct{ Class, Reason, Details string }
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for _, r := range body.Reasons {
		parts[r.Class], _, _ = strings.Cut(r.Reason+"/"+r.Details, " since")
	}
	return res.StatusCode, parts
}

func TestHealthInDetail(t *testing.T) {
	s, _, _ := guarded(t, `{"clusters:get": "role:reader"}`)
	// A changed file is noticed within a tenth of a second.
	want := func(status int, parts map[string]string) {
		t.Helper()
		var got int
		var diff string
		defer func() {
			if got != status || diff != "" {
				t.Logf("status %d, want %d (-want +got):\n%s", got, status, diff)
			}
		}()
		eventually(t, "health is as wanted", func() bool {
			var said map[string]string
			got, said = s.health(t)
			diff = cmp.Diff(parts, said)
			return got == status && diff == ""
		})
	}
	want(http.StatusOK, map[string]string{"database": "OK/", "bus": "OK/", "policy": "OK/"})
	s.policy(t, `{"clusters:get": "role:reader and"}`)
	if status, _, body := s.ask(t, keystonetest.Token("root-admin")); status != http.StatusOK {
		t.Errorf("beside a bad rule: %d %s", status, body)
	}
	want(http.StatusOK, map[string]string{"database": "OK/", "bus": "OK/", "policy": "OK/1 rules will not do what they say"})
	s.policy(t, "- a list of secrets\n")
	want(http.StatusServiceUnavailable, map[string]string{"database": "OK/", "bus": "OK/", "policy": "its files cannot be read: the last good rules are in force"})
	if status, _, body := s.ask(t, keystonetest.Token("root-admin")); status != http.StatusOK {
		t.Errorf("under the last good rules: %d %s", status, body)
	}
	s.policy(t, "")
	want(http.StatusOK, map[string]string{"database": "OK/", "bus": "OK/", "policy": "OK/"})
}

// policy replaces the policy file.
func (s *site) policy(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(s.policyFile+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.policyFile+".new", s.policyFile); err != nil {
		t.Fatal(err)
	}
}
