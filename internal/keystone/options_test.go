package keystone_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/keystone"
	"stoker/internal/keystone/keystonetest"
)

func TestOptionsThatAreWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*keystone.Options)
		want   string // in the error; "" for none
	}{
		{"all right", func(*keystone.Options) {}, ""},
		{"no auth_url", func(o *keystone.Options) { o.AuthURL = "" }, "auth_url"},
		{"a path", func(o *keystone.Options) { o.AuthURL = "/v3" }, "auth_url"},
		{"another scheme", func(o *keystone.Options) { o.AuthURL = "ftp://keystone/" }, "auth_url"},
		{"a line break", func(o *keystone.Options) { o.WWWAuthenticateURI = "http://a/\r\nX: b" }, "www_authenticate_uri"},
		{"an interface", func(o *keystone.Options) { o.Interface = "private" }, "interface"},
		{"no auth_type", func(o *keystone.Options) { o.Credential.Type = "" }, "auth_type"},
		{"another auth_type", func(o *keystone.Options) { o.Credential.Type = "v2password" }, "auth_type"},
		{"no password", func(o *keystone.Options) { o.Credential.Password = "" }, "password"},
		{"no user", func(o *keystone.Options) { o.Credential.Username = "" }, "username"},
		{"no domain of the user", func(o *keystone.Options) { o.Credential.UserDomainID = "" }, "user_domain_id"},
		{"the default domain", func(o *keystone.Options) {
			o.Credential.UserDomainID, o.Credential.ProjectDomainID, o.Credential.DefaultDomainName = "", "", "Default"
		}, ""},
		{"a user by id", func(o *keystone.Options) {
			o.Credential.Username, o.Credential.UserDomainID, o.Credential.UserID = "", "", "1"
		}, ""},
		{"no domain of the project", func(o *keystone.Options) { o.Credential.ProjectDomainID = "" }, "project_domain_id"},
		{"a project by id", func(o *keystone.Options) {
			o.Credential.ProjectName, o.Credential.ProjectDomainID, o.Credential.ProjectID = "", "", "1"
		}, ""},
		{"no scope", func(o *keystone.Options) { o.Credential.ProjectName = "" }, "project_id"},
		{"two scopes", func(o *keystone.Options) { o.Credential.SystemScope = "all" }, "system_scope"},
		{"the system", func(o *keystone.Options) { o.Credential.ProjectName, o.Credential.SystemScope = "", "all" }, ""},
		{"a domain", func(o *keystone.Options) { o.Credential.ProjectName, o.Credential.DomainName = "", "Default" }, ""},
		{"a trust", func(o *keystone.Options) { o.Credential.ProjectName, o.Credential.TrustID = "", "1" }, ""},
		{"no secret", func(o *keystone.Options) { o.Credential = keystone.Credential{Type: keystone.ApplicationCredential} }, "application_credential_secret"},
		{"no application credential", func(o *keystone.Options) {
			o.Credential = keystone.Credential{Type: keystone.ApplicationCredential, ApplicationCredentialSecret: "s"}
		}, "application_credential_id"},
		{"an application credential of nobody", func(o *keystone.Options) {
			o.Credential = keystone.Credential{Type: keystone.ApplicationCredential, ApplicationCredentialSecret: "s", ApplicationCredentialName: "n"}
		}, "username"},
		{"a cafile that is not there", func(o *keystone.Options) { o.CAFile = "/nonexistent" }, "cafile"},
		{"a cafile without certificates", func(o *keystone.Options) { o.CAFile = "options_test.go" }, "cafile"},
		{"a certfile that is not there", func(o *keystone.Options) { o.CertFile = "/nonexistent" }, "certfile"},
		{"a key alone", func(o *keystone.Options) { o.KeyFile = "/nonexistent" }, "keyfile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := keystone.Options{AuthURL: keystonetest.URL, Credential: credential(), Log: slog.New(slog.DiscardHandler)}
			c.change(&o)
			a, err := keystone.New(o)
			switch {
			case err == nil:
				a.Close()
				if c.want != "" {
					t.Errorf("it is taken, want a fault of %s", c.want)
				}
			case c.want == "" || !strings.Contains(err.Error(), c.want) || cinder.KindOf(err) != cinder.KindInvalid:
				t.Errorf("it is %q, want a fault of %q", err, c.want)
			case strings.Contains(err.Error(), keystonetest.Secret):
				t.Errorf("the error has the secret: %v", err)
			}
		})
	}
}

func TestACredentialPrintsWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	c := credential()
	c.ApplicationCredentialSecret = keystonetest.Secret
	log := &strings.Builder{}
	slog.New(slog.NewJSONHandler(log, nil)).Info("x", "credential", c)
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s", c, c, c, c), log.String()} {
		if strings.Contains(s, keystonetest.Secret) || !strings.Contains(s, keystonetest.User) {
			t.Errorf("it prints as %s", s)
		}
	}
}
