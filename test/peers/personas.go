package peers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"testing"
)

// grant is a role that a user has somewhere: in a project by its name, or
// where a path says.
type grant struct{ user, role, project, path string }

func grants() []grant {
	const system, domain = "/system", "/domains/default"
	return []grant{
		{user: "admin", role: "admin", path: system},
		{user: "cinder", role: "admin", project: "service"},
		{user: "cinder", role: "service", project: "service"},
		{user: "root-admin", role: "admin", project: "demo"},
		{user: "root-admin", role: "admin", project: "other"},
		{user: "demo-member", role: "member", project: "demo"},
		{user: "demo-member", role: "member", project: "other"},
		{user: "demo-reader", role: "reader", project: "demo"},
		{user: "other-admin", role: "admin", project: "other"},
		{user: "sysadmin", role: "admin", path: system},
		{user: "sysreader", role: "reader", path: system},
		{user: "domadmin", role: "admin", path: domain},
		{user: "no-role"},
	}
}

// populate makes the users, their roles and the catalog.
func (k *Keystone) populate(ctx context.Context, cinder string) error {
	var err error
	if k.token, err = k.authenticate(ctx, "admin", "admin"); err != nil {
		return err
	}
	if err := k.list(ctx, "projects", k.Projects); err != nil {
		return err
	}
	if err := k.list(ctx, "users", k.Users); err != nil {
		return err
	}
	if err := k.list(ctx, "roles", k.roles); err != nil {
		return err
	}
	for _, g := range grants() {
		if err := k.grant(ctx, g); err != nil {
			return err
		}
	}
	for name, kind := range map[string]string{"cinderv3": "volumev3", "cinder": "block-storage"} {
		services := map[string]string{}
		if err := k.ensure(ctx, "service", name, services, map[string]any{"name": name, "type": kind}); err != nil {
			return err
		}
		for _, face := range []string{"public", "internal", "admin"} {
			endpoint := map[string]any{"service_id": services[name], "interface": face, "url": cinder, "region_id": "RegionOne"}
			if _, err := k.call(ctx, http.MethodPost, "/endpoints", nil, map[string]any{"endpoint": endpoint}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// grant gives a role, and makes user, role and project where they are missing.
func (k *Keystone) grant(ctx context.Context, g grant) error {
	if err := k.ensure(ctx, "user", g.user, k.Users, map[string]any{"name": g.user, "domain_id": "default", "password": KeystonePassword}); err != nil || g.role == "" {
		return err
	}
	if err := k.ensure(ctx, "role", g.role, k.roles, map[string]any{"name": g.role}); err != nil {
		return err
	}
	if g.project != "" {
		if err := k.ensure(ctx, "project", g.project, k.Projects, map[string]any{"name": g.project, "domain_id": "default"}); err != nil {
			return err
		}
		g.path = "/projects/" + k.Projects[g.project]
	}
	_, err := k.call(ctx, http.MethodPut, g.path+"/users/"+k.Users[g.user]+"/roles/"+k.roles[g.role], nil, nil, nil)
	return err
}

// list fills in the ids of what there is, by name.
func (k *Keystone) list(ctx context.Context, kinds string, ids map[string]string) error {
	found := map[string]json.RawMessage{}
	if _, err := k.call(ctx, http.MethodGet, "/"+kinds, nil, nil, &found); err != nil {
		return err
	}
	var things []struct{ ID, Name string }
	if err := json.Unmarshal(found[kinds], &things); err != nil {
		return err
	}
	for _, t := range things {
		ids[t.Name] = t.ID
	}
	return nil
}

// ensure makes a thing whose id is not known yet.
func (k *Keystone) ensure(ctx context.Context, kind, name string, ids map[string]string, thing map[string]any) error {
	if ids[name] != "" {
		return nil
	}
	made := map[string]struct{ ID string }{}
	_, err := k.call(ctx, http.MethodPost, "/"+kind+"s", nil, map[string]any{kind: thing}, &made)
	ids[name] = made[kind].ID
	return err
}

// Token returns a user's new token for a project, given by name, or for
// "system", or for "domain", or for "" nothing.
func (k *Keystone) Token(tb testing.TB, user, scope string) string {
	tb.Helper()
	token, err := k.authenticate(tb.Context(), user, scope)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// AccessRule is a request that an application credential may be used for.
type AccessRule struct {
	Service string `json:"service"` // a type of the catalog
	Method  string `json:"method"`
	Path    string `json:"path"`
}

// RestrictedToken returns a user's new token for a project, given by name, of an
// application credential with access rules. end removes the credential, and with it
// the token, which Keystone does not let anybody revoke: it hides it from itself.
func (k *Keystone) RestrictedToken(tb testing.TB, user, project string, rules ...AccessRule) (token string, end func()) {
	tb.Helper()
	const secret = "of the credential"
	made := map[string]struct{ ID string }{}
	body := map[string]any{"application_credential": map[string]any{"name": user + " " + rand.Text(), "secret": secret, "access_rules": rules}}
	own := map[string]string{"X-Auth-Token": k.Token(tb, user, project)}
	path := "/users/" + k.Users[user] + "/application_credentials"
	if _, err := k.call(tb.Context(), http.MethodPost, path, own, body, &made); err != nil {
		tb.Fatal(err)
	}
	identity := map[string]any{
		"methods": []string{"application_credential"}, "application_credential": map[string]any{"id": made["application_credential"].ID, "secret": secret},
	}
	header, err := rest(tb.Context(), http.MethodPost, k.URL+"/v3/auth/tokens", http.Header{}, map[string]any{"auth": map[string]any{"identity": identity}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return header.Get("X-Subject-Token"), func() {
		tb.Helper()
		if _, err := k.call(tb.Context(), http.MethodDelete, path+"/"+made["application_credential"].ID, own, nil, nil); err != nil {
			tb.Fatal(err)
		}
	}
}

// Revoke ends a token.
func (k *Keystone) Revoke(tb testing.TB, token string) {
	tb.Helper()
	if _, err := k.call(tb.Context(), http.MethodDelete, "/auth/tokens", map[string]string{"X-Subject-Token": token}, nil, nil); err != nil {
		tb.Fatal(err)
	}
}

// Enable lets a user in or, with false, keeps them out and ends their tokens.
func (k *Keystone) Enable(tb testing.TB, user string, enabled bool) {
	tb.Helper()
	body := map[string]any{"user": map[string]any{"enabled": enabled}}
	if _, err := k.call(tb.Context(), http.MethodPatch, "/users/"+k.Users[user], nil, body, nil); err != nil {
		tb.Fatal(err)
	}
}

// Withdraw takes a role in a project, by their names, from a user.
func (k *Keystone) Withdraw(tb testing.TB, user, role, project string) {
	tb.Helper()
	path := "/projects/" + k.Projects[project] + "/users/" + k.Users[user] + "/roles/" + k.roles[role]
	if _, err := k.call(tb.Context(), http.MethodDelete, path, nil, nil, nil); err != nil {
		tb.Fatal(err)
	}
}

func (k *Keystone) authenticate(ctx context.Context, user, scope string) (string, error) {
	who := map[string]any{"name": user, "domain": map[string]any{"id": "default"}, "password": KeystonePassword}
	auth := map[string]any{"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": who}}}
	switch scope {
	case "":
		auth["scope"] = "unscoped"
	case "system":
		auth["scope"] = map[string]any{"system": map[string]any{"all": true}}
	case "domain":
		auth["scope"] = map[string]any{"domain": map[string]any{"id": "default"}}
	default:
		auth["scope"] = map[string]any{"project": map[string]any{"name": scope, "domain": map[string]any{"id": "default"}}}
	}
	header, err := rest(ctx, http.MethodPost, k.URL+"/v3/auth/tokens", http.Header{}, map[string]any{"auth": auth}, nil)
	return header.Get("X-Subject-Token"), err
}

// call does one request of its API as the administrator.
func (k *Keystone) call(ctx context.Context, method, path string, headers map[string]string, body, into any) (http.Header, error) {
	header := http.Header{}
	if k.token != "" {
		header.Set("X-Auth-Token", k.token)
	}
	for name, value := range headers {
		header.Set(name, value)
	}
	return rest(ctx, method, k.URL+"/v3"+path, header, body, into)
}
