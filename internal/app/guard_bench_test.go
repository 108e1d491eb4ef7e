package app_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stoker/internal/keystone"
	"stoker/internal/keystone/keystonetest"
	"stoker/internal/policy"
)

// BenchmarkGuard is what authentication, with a token that is remembered, and the
// policy add to a request: Authenticate and Allow.
func BenchmarkGuard(b *testing.B) {
	_, url := keystonetest.Start(b)
	auth, err := keystone.New(keystone.Options{
		AuthURL:    url,
		Credential: keystone.Credential{Type: "password", Username: keystonetest.User, Password: keystonetest.Secret, UserDomainID: "default", ProjectName: "service", ProjectDomainID: "default"},
		Timeout:    time.Minute, CacheTime: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer auth.Close()
	file := filepath.Join(b.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("'ours': 'role:storage'\n'admin_api': 'rule:ours or is_admin:True'\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	rules, err := policy.New(policy.Options{File: file, Dirs: []string{filepath.Join(b.TempDir(), "policy.d")}, DefaultRule: "default"})
	if err != nil {
		b.Fatal(err)
	}
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://api/v3/os-services", http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", keystonetest.Token("root-admin"))
	b.ReportAllocs()
	for b.Loop() {
		caller, err := auth.Authenticate(req)
		if err != nil {
			b.Fatal(err)
		}
		if err := rules.Allow(b.Context(), caller, "volume_extension:services:index"); err != nil {
			b.Fatal(err)
		}
	}
}
