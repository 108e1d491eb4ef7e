package interop

import (
	"net/http"
	"testing"

	"stoker/test/cloud"
	"stoker/test/peers"
)

// A real Keystone says who asks, and both APIs let the same callers do the same.
func TestKeystone(t *testing.T) {
	t.Parallel()
	engines.Each(t, sameCallers)
}

func sameCallers(t *testing.T, engines *peers.Shared) {
	t.Helper()
	k := peers.StartKeystone(t, peers.KeystoneOptions{Release: engines.Release()})
	d := cloud.New(t, engines)
	d.Options.Auth, d.Options.More = "keystone", k.AuthToken()
	python := d.Python(t, "host1", "api")
	d.Sync(t)
	own := d.Stoker(t, "host1", "api")
	ours, cinder := cloud.API{Name: "stoker", URL: own.URL}, cloud.API{Name: "cinder-api", URL: python.URL}
	as := func(a cloud.API, token string) cloud.API {
		a.Token, a.Project = token, k.Projects["demo"]
		return a
	}
	status := func(a cloud.API, method, path string, body any) int {
		t.Helper()
		got, err := a.Ask(t.Context(), method, path, "3.7", body)
		if err != nil {
			t.Fatalf("%s: %v", a.Name, err)
		}
		return got.Status
	}
	disable := map[string]any{"host": "nowhere", "binary": "cinder-volume"}
	for _, who := range []struct{ user, scope string }{
		{"root-admin", "demo"},
		{"demo-member", "demo"},
		{"demo-reader", "demo"},
		{"demo-member", "other"},
		{"other-admin", "other"},
		{"sysadmin", "system"},
		{"sysreader", "system"},
		{"domadmin", "domain"},
		{"no-role", ""},
	} {
		token := k.Token(t, who.user, who.scope)
		for _, r := range []struct {
			method, path string
			body         any
		}{
			{http.MethodGet, "os-services", nil},
			{http.MethodGet, "clusters", nil},
			{http.MethodPut, "os-services/disable", disable},
			{http.MethodPut, "os-services/freeze", map[string]any{"host": "nowhere"}},
		} {
			if got, want := status(as(ours, token), r.method, r.path, r.body), status(as(cinder, token), r.method, r.path, r.body); got != want {
				t.Errorf("%s of %q: %s %s: %d, and %d by Cinder's", who.user, who.scope, r.method, r.path, got, want)
			}
		}
	}

	revoked, disabled, later := k.Token(t, "root-admin", "demo"), k.Token(t, "root-admin", "demo"), k.Token(t, "demo-member", "demo")
	k.Revoke(t, revoked)
	k.Enable(t, "root-admin", false)
	for name, token := range map[string]string{"garbage": "garbage", "revoked": revoked, "of a disabled user": disabled} {
		if got := status(as(ours, token), http.MethodGet, "os-services", nil); got != http.StatusUnauthorized {
			t.Errorf("a token that is %s: %d, want 401", name, got)
		}
	}
	k.Enable(t, "root-admin", true)
	k.Stop(t)
	if got := status(as(ours, later), http.MethodGet, "os-services", nil); got != http.StatusServiceUnavailable {
		t.Errorf("Keystone is away: %d, want 503", got)
	}
	k.Start(t)
	again := k.Token(t, "root-admin", "demo")
	cloud.Eventually(t, "it is asked again when it is back", func() bool { return status(as(ours, again), http.MethodGet, "os-services", nil) == http.StatusOK })
}
