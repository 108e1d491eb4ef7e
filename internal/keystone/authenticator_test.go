package keystone_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/keystone"
	"stoker/internal/keystone/keystonetest"
)

const (
	unauthenticated = "unauthenticated"
	unavailable     = "unavailable"
)

// of is the caller of a recorded token.
func of(user string, roles ...string) cinder.Caller {
	return cinder.Caller{
		UserID: keystonetest.ID("user", user), UserDomainID: "default", Roles: roles, IsAdminProject: true,
	}
}

func in(project string, c cinder.Caller) cinder.Caller {
	c.ProjectID, c.ProjectDomainID = keystonetest.ID("project", project), "default"
	return c
}

func TestWhoATokenBelongsTo(t *testing.T) {
	t.Parallel()
	system := of("sysadmin", "admin", "member", "reader")
	system.SystemScope = "all"
	domain := of("domadmin", "admin", "member", "reader")
	domain.DomainID = "default"
	for _, c := range []struct {
		token string
		want  cinder.Caller
	}{
		{"root-admin", in("demo", of("root-admin", "admin", "member", "reader"))},
		{"root-admin-other", in("other", of("root-admin", "admin", "member", "reader"))},
		{"demo-reader", in("demo", of("demo-reader", "reader"))},
		{"cinder", in("service", of("cinder", "admin", "member", "reader", "service"))},
		{"sysadmin", system},
		{"domadmin", domain},
		{"unscoped", of("root-admin")},
		{"no-role-unscoped", of("no-role")},
	} {
		t.Run(c.token, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, nil)
			for _, when := range []string{"asked", "remembered"} {
				got, err := r.requestAs(t, c.token)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(c.want, got, timeless()); d != "" {
					t.Errorf("%s (-want +got):\n%s", when, d)
				}
			}
		})
	}
}

func TestOnlyTheAdminProjectIsIt(t *testing.T) {
	t.Parallel()
	r := newFixture(t, nil)
	r.fake.Edit("root-admin", func(token map[string]any) { token["is_admin_project"] = false })
	if c, err := r.requestAs(t, "root-admin"); err != nil || c.IsAdminProject {
		t.Errorf("IsAdminProject is %v (%v), want false", c.IsAdminProject, err)
	}
}

func TestWhoIsRefused(t *testing.T) {
	t.Parallel()
	const good = "X-Auth-Token"
	for _, c := range []struct {
		name    string
		headers []string
		want    string
		asked   int // number of validations
	}{
		{"nobody", nil, unauthenticated, 0},
		{"an empty token", []string{good, ""}, unauthenticated, 0},
		{"an empty token before another", []string{good, "", "X-Storage-Token", keystonetest.Token("root-admin")}, unauthenticated, 0},
		{"Swift's name for it", []string{"X-Storage-Token", keystonetest.Token("root-admin")}, "", 1},
		{"white space around it", []string{good, "  " + keystonetest.Token("root-admin") + " "}, "", 1},
		{"two tokens", []string{good, keystonetest.Token("root-admin"), good, keystonetest.Token("demo-reader")}, unauthenticated, 0},
		{"white space in it", []string{good, "a b"}, unauthenticated, 0},
		{"not ASCII", []string{good, "gAAAAé"}, unauthenticated, 0},
		{"a line break", []string{good, "gAAAA\r\nX-Auth-Token: b"}, unauthenticated, 0},
		{"longer than any token", []string{good, strings.Repeat("g", 8001)}, unauthenticated, 0},
		{"garbage", []string{good, keystonetest.Token("garbage")}, unauthenticated, 1},
		{"unknown", []string{good, "nobody's"}, unauthenticated, 1},
		{"expired", []string{good, keystonetest.Token("expired")}, unauthenticated, 1},
		{"revoked", []string{good, keystonetest.Token("revoked")}, unauthenticated, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, nil)
			got, err := r.request(t, c.headers...)
			if kind(err) != c.want {
				t.Errorf("it is %q (%v), want %q", kind(err), err, c.want)
			}
			if err != nil && !cmp.Equal(got, cinder.Caller{}) {
				t.Errorf("the error comes with a caller: %v", got)
			}
			if err != nil && cinder.Message(err) != "The request you have made requires authentication." {
				t.Errorf("the caller is told %q", cinder.Message(err))
			}
			if n := r.fake.Validations(""); n != c.asked {
				t.Errorf("Keystone was asked %d times, want %d", n, c.asked)
			}
		})
	}
}

func TestServiceTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		user, service string
		required      bool
		want          string
	}{
		{"a service passes on a request", "demo-reader", "cinder", false, ""},
		{"that has expired", "expired", "cinder", false, ""},
		{"that has expired too long ago", "expired-long", "cinder", false, unauthenticated},
		{"that was revoked", "revoked", "cinder", false, unauthenticated},
		{"somebody without the role", "demo-reader", "root-admin", false, ""},
		{"somebody without the role passes on an expired one", "expired", "root-admin", false, unauthenticated},
		{"somebody without the role where it is required", "demo-reader", "root-admin", true, unauthenticated},
		{"a service where the role is required", "expired", "cinder", true, ""},
		{"an expired service token", "demo-reader", "expired", false, unauthenticated},
		{"garbage", "demo-reader", "garbage", false, unauthenticated},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(o *keystone.Options) { o.ServiceRolesRequired = c.required })
			for range 2 {
				got, err := r.request(t, "X-Auth-Token", keystonetest.Token(c.user), "X-Service-Token", keystonetest.Token(c.service))
				if kind(err) != c.want {
					t.Fatalf("it is %q (%v), want %q", kind(err), err, c.want)
				}
				if err == nil && got.Service.UserID == "" {
					t.Errorf("who passes it on is not known: %v", got)
				}
			}
		})
	}
}

// TestAnExpiredTokenNeedsItsService checks that an expired token accepted with a
// service token is refused without it.
func TestAnExpiredTokenNeedsItsService(t *testing.T) {
	t.Parallel()
	r := newFixture(t, nil)
	if _, err := r.request(t, "X-Auth-Token", keystonetest.Token("expired"), "X-Service-Token", keystonetest.Token("cinder")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.requestAs(t, "expired"); kind(err) != unauthenticated {
		t.Errorf("alone it is %q (%v), want %q", kind(err), err, unauthenticated)
	}
}

func TestWhatAServiceTokenSays(t *testing.T) {
	t.Parallel()
	r := newFixture(t, nil)
	got, err := r.request(t, "X-Auth-Token", keystonetest.Token("demo-reader"), "X-Service-Token", keystonetest.Token("cinder"))
	if err != nil {
		t.Fatal(err)
	}
	want := in("demo", of("demo-reader", "reader"))
	want.Service = cinder.ServiceCaller{
		UserID: keystonetest.ID("user", "cinder"), UserDomainID: "default",
		ProjectID: keystonetest.ID("project", "service"), ProjectDomainID: "default",
		Roles: []string{"admin", "member", "reader", "service"},
	}
	if d := cmp.Diff(want, got, timeless()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestIdentityHeadersAreNotRead sends the headers that keystonemiddleware passes to
// Cinder.
func TestIdentityHeadersAreNotRead(t *testing.T) {
	t.Parallel()
	r := newFixture(t, nil)
	forged := []string{"X-Auth-Token", keystonetest.Token("demo-reader")}
	for _, h := range []string{
		"X-Roles", "X-Role", "X-User-Id", "X-User", "X-User-Domain-Id", "X-Project-Id", "X-Tenant-Id", "X-Tenant", "X-Domain-Id",
		"X-Service-Roles", "X-Service-User-Id", "X-Service-Project-Id", "OpenStack-System-Scope", "X-Is-Admin-Project", "X-Identity-Status",
		"X-Service-Identity-Status", "X-Auth-User", "X-Auth-Project-Id", "X-Forwarded-User", "Remote-User",
	} {
		forged = append(forged, h, "admin")
	}
	got, err := r.request(t, forged...)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in("demo", of("demo-reader", "reader")), got, timeless()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if _, err := r.request(t, forged[2:]...); kind(err) != unauthenticated {
		t.Errorf("without a token it is %q, want %q", kind(err), unauthenticated)
	}
}

// TestRestrictedTokensAreRefused checks tokens that are restricted to certain requests
// or connections.
func TestRestrictedTokensAreRefused(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(map[string]any){
		"access rules, without service_type": func(token map[string]any) {
			token["application_credential"] = map[string]any{"id": "1", "restricted": true, "access_rules": []any{}}
		},
		"bound to a ticket": func(token map[string]any) { token["bind"] = map[string]any{"kerberos": "somebody"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, nil)
			r.fake.Edit("root-admin", edit)
			if _, err := r.requestAs(t, "root-admin"); kind(err) != unauthenticated {
				t.Errorf("it is %q (%v), want %q", kind(err), err, unauthenticated)
			}
		})
	}
	r := newFixture(t, nil)
	r.fake.Edit("root-admin", func(token map[string]any) {
		token["application_credential"] = map[string]any{"id": "1", "restricted": true}
	})
	if _, err := r.requestAs(t, "root-admin"); err != nil {
		t.Errorf("an application credential without rules: %v", err)
	}
}

func TestTheChallenge(t *testing.T) {
	t.Parallel()
	r := newFixture(t, nil)
	if got, want := r.Challenge(), `Keystone uri="http://keystone.test:5000"`; got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
	r = newFixture(t, func(o *keystone.Options) { o.WWWAuthenticateURI = "https://public/identity" })
	if got, want := r.Challenge(), `Keystone uri="https://public/identity"`; got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
}
