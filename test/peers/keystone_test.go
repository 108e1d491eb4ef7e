package peers

import (
	"net/http"
	"testing"
)

func TestKeystone(t *testing.T) {
	engines.Each(t, func(t *testing.T, engines *Shared) {
		t.Helper()
		k := StartKeystone(t, KeystoneOptions{Release: engines.Release()})
		t.Run("whom it lets in", func(t *testing.T) { letsIn(t, k) })
		t.Run("a Cinder asks it", func(t *testing.T) { cinderAsks(t, engines, k) })
	})
}

func letsIn(t *testing.T, k *Keystone) {
	t.Helper()
	// lets reports whether Keystone takes a token for what it says.
	lets := func(token string) bool {
		_, err := k.call(t.Context(), http.MethodGet, "/auth/tokens", map[string]string{"X-Subject-Token": token}, nil, nil)
		return err == nil
	}
	for _, g := range grants() {
		scope := g.project
		switch g.path {
		case "/system":
			scope = "system"
		case "/domains/default":
			scope = "domain"
		}
		if !lets(k.Token(t, g.user, scope)) {
			t.Errorf("a token of %s for %q is not valid", g.user, scope)
		}
	}
	if _, err := k.authenticate(t.Context(), "demo-member", "service"); err == nil {
		t.Error("demo-member has a token for a project in which it has no role")
	}

	revoked, disabled := k.Token(t, "demo-reader", "demo"), k.Token(t, "other-admin", "other")
	k.Revoke(t, revoked)
	if lets(revoked) {
		t.Error("a revoked token is valid")
	}
	k.Enable(t, "other-admin", false)
	if lets(disabled) {
		t.Error("a disabled user's token is valid")
	}
	k.Enable(t, "other-admin", true)
	k.Stop(t)
	if lets(k.token) {
		t.Error("it answers though it was stopped")
	}
	k.Start(t)
	if !lets(k.Token(t, "other-admin", "other")) {
		t.Error("after the start, an enabled user's token is not valid")
	}
}

// What cinder-api makes of its tokens shows that the settings for it are right.
func cinderAsks(t *testing.T, engines *Shared, k *Keystone) {
	t.Helper()
	c := StartCinder(t, CinderOptions{
		Release:  engines.Release(),
		Database: engines.MariaDB(t).Cinder(t), Transport: engines.RabbitMQ(t).URL(t),
		Services: []string{"api"}, Auth: "keystone", More: k.AuthToken(),
	})
	for name, tc := range map[string]struct {
		token string
		want  int
	}{
		"administrator": {k.Token(t, "root-admin", "demo"), http.StatusOK},
		"reader":        {k.Token(t, "demo-reader", "demo"), http.StatusForbidden},
		"nobody":        {"garbage", http.StatusUnauthorized},
	} {
		if status, text := ask(t, c, tc.token, http.MethodGet, "/v3/"+k.Projects["demo"]+"/os-services", ""); status != tc.want {
			t.Errorf("%s: %d, want %d: %s", name, status, tc.want, text)
		}
	}
}
