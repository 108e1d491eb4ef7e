package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/client"
	"stoker/internal/config"
	"stoker/internal/keystone/keystonetest"
)

// guarded is a process that asks a fake Keystone, under that policy.
func guarded(t *testing.T, policy string) (*site, *keystonetest.Keystone, string) {
	t.Helper()
	fake, url := keystonetest.Start(t)
	o := standalone(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Config.AuthStrategy = config.AuthKeystone
	o.Config.Policy.File = file
	o.Config.Authtoken = config.Authtoken{
		URL: url, Type: "password", Username: keystonetest.User, Password: keystonetest.Secret,
		UserDomain: config.Domain{ID: "default"}, ProjectName: "service", ProjectDomain: config.Domain{ID: "default"},
		Interface: "internal", CacheTime: 0, ServiceRoles: []string{"service"},
	}
	s := start(t, o)
	s.policyFile = file
	return s, fake, url
}

// ask lists the services with that token.
func (s *site) ask(t *testing.T, token string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr().String()+"/v3/os-services", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

func TestKeystoneAndPolicyDecide(t *testing.T) {
	s, fake, url := guarded(t, `{"volume_extension:services:index": "role:reader and not role:admin"}`)
	for _, c := range []struct {
		name, token string
		want        int
	}{
		{"nobody", "", http.StatusUnauthorized},
		{"somebody", keystonetest.Token("demo-reader"), http.StatusOK},
		{"somebody else", keystonetest.Token("root-admin"), http.StatusForbidden},
	} {
		status, header, body := s.ask(t, c.token)
		if status != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.name, status, c.want, body)
		}
		if want := `Keystone uri="` + url + `"`; status == http.StatusUnauthorized && header.Get("WWW-Authenticate") != want {
			t.Errorf("%s is sent to %q, want %q", c.name, header.Get("WWW-Authenticate"), want)
		}
	}
	fake.Down()
	status, header, body := s.ask(t, keystonetest.Token("demo-reader"))
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("without Keystone: status %d, Retry-After %q, want 503 and a time: %s", status, header.Get("Retry-After"), body)
	}
	for _, secret := range []string{keystonetest.Secret, keystonetest.Token("")} {
		if strings.Contains(s.logs.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// Who is believed to be an administrator may still not do everything, as in Cinder.
func TestNoauthHasAPolicyToo(t *testing.T) {
	o := standalone(t, t.TempDir())
	o.Config.Policy.File = filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(o.Config.Policy.File, []byte(`{"volume_extension:services:update": "!"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, o)
	if status, _, body := s.ask(t, "admin:0123456789abcdef"); status != http.StatusOK {
		t.Errorf("a list: %d %s", status, body)
	}
	if _, err := s.Freeze(t.Context(), client.Target{Host: "stoker@alpha"}); cinder.KindOf(err) != cinder.KindForbidden {
		t.Errorf("a freeze that nobody may do: %v", err)
	}
}

func TestAPolicyThatCannotBeReadStopsTheStart(t *testing.T) {
	o := standalone(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("- a list\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Config.AuthStrategy, o.Config.Policy.File = config.AuthKeystone, file
	o.Config.Authtoken = config.Authtoken{URL: "http://127.0.0.1:1", Type: "password", UserID: "1", Password: "x", ProjectID: "1"}
	a, err := app.New(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "policy.yaml") {
		t.Errorf("it is %v, want an error that names the file", err)
	}
	if a != nil {
		t.Error("there is a process")
	}
}
