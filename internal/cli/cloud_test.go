package cli_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stoker/internal/cli"
	"stoker/internal/keystone/keystonetest"
)

// cloud is a network with a Keystone and a block-storage API on it.
type cloud struct {
	*keystonetest.Keystone
	api    *fake
	tokens []string // that the API was shown
}

func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(keystonetest.Cinder, "http://"+r.URL.Host) {
		c.tokens = append(c.tokens, r.Header.Get("X-Auth-Token"))
		return c.api.RoundTrip(r)
	}
	return c.Keystone.RoundTrip(r)
}

const aCloud = `clouds:
  mine:
    region_name: RegionOne
    auth: {auth_url: "http://keystone.test:5000/v3", username: cinder, password: "a service's secret", user_domain_id: default, project_name: service, project_domain_name: Default}
  by-credential:
    auth_type: v3applicationcredential
    auth: {auth_url: "http://keystone.test:5000", application_credential_id: cinder, application_credential_secret: "a service's secret"}
  elsewhere:
    region_name: RegionTwo
    auth: {auth_url: "http://keystone.test:5000/v3", username: cinder, password: "a service's secret", user_domain_id: default, project_name: service, project_domain_name: Default}
  wrong:
    auth: {auth_url: "http://keystone.test:5000/v3", username: cinder, password: "not the secret", user_domain_id: default, project_name: service, project_domain_name: Default}
  broken:
    auth: {auth_url: "http://keystone.test:5000/v3", username: cinder, password: ["a service's secret"]}
`

func TestLogInToACloud(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	if err := os.WriteFile(file, []byte(aCloud), 0o600); err != nil {
		t.Fatal(err)
	}
	healthy, _, _ := strings.Cut(aCloud, "  broken:")
	good := filepath.Join(t.TempDir(), "clouds.yaml")
	if err := os.WriteFile(good, []byte(healthy), 0o600); err != nil {
		t.Fatal(err)
	}
	openrc := []string{
		"OS_AUTH_URL=http://keystone.test:5000/v3", "OS_USERNAME=cinder", "OS_PASSWORD=" + keystonetest.Secret,
		"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_NAME=service", "OS_PROJECT_DOMAIN_ID=default",
	}
	for _, c := range []struct {
		name string
		env  []string
		args []string
		want string // on standard error; "" when it goes well
	}{
		{"openrc", openrc, nil, ""},
		{"openrc of an application credential", []string{
			"OS_AUTH_URL=http://keystone.test:5000", "OS_AUTH_TYPE=v3applicationcredential",
			"OS_APPLICATION_CREDENTIAL_ID=cinder", "OS_APPLICATION_CREDENTIAL_SECRET=" + keystonetest.Secret,
		}, nil, ""},
		{"openrc and an endpoint", openrc, []string{"--endpoint", keystonetest.Cinder + "/v3"}, ""},
		{"a cloud", []string{"OS_CLIENT_CONFIG_FILE=" + good}, []string{"--os-cloud", "mine"}, ""},
		{"a cloud of the environment", []string{"OS_CLIENT_CONFIG_FILE=" + good, "OS_CLOUD=mine"}, nil, ""},
		{"a cloud with an application credential", []string{"OS_CLIENT_CONFIG_FILE=" + good, "OS_CLOUD=by-credential"}, nil, ""},
		{"no such cloud", []string{"OS_CLIENT_CONFIG_FILE=" + good}, []string{"--os-cloud", "yours"}, `cloud "yours" not found`},
		{"another region", []string{"OS_CLIENT_CONFIG_FILE=" + good, "OS_CLOUD=elsewhere"}, nil, `no block-storage API for interface public and region "RegionTwo"`},
		{"a wrong password", []string{"OS_CLIENT_CONFIG_FILE=" + good, "OS_CLOUD=wrong"}, nil, "refuses the credential"},
		{"a file that cannot be read", []string{"OS_CLIENT_CONFIG_FILE=" + file, "OS_CLOUD=mine"}, nil, "clouds.yaml cannot be read"},
		{"half a credential", openrc[:2], nil, "the credential is not whole"},
		{"no URL", []string{"OS_AUTH_URL=keystone"}, nil, "auth_url (OS_AUTH_URL) must be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			project := keystonetest.ID("project", "service")
			list := `{"services": [{"binary": "cinder-volume", "host": "stor1@lvm", "zone": "nova", "status": "enabled", "state": "up", "updated_at": null}]}`
			n := &cloud{Keystone: keystonetest.New(t), api: &fake{t: t, answers: map[string]string{
				"GET /v3/" + project + "/os-services": list, "GET /v3/os-services": list,
			}}}
			var stdout, stderr bytes.Buffer
			status := cli.Run(t.Context(), cli.Process{
				Args: append([]string{"service", "list"}, c.args...), Env: c.env, Stdout: &stdout, Stderr: &stderr, Transport: n,
			}, cli.Deps{})
			if strings.Contains(stdout.String()+stderr.String(), "secret") {
				t.Errorf("a secret is printed: %s%s", stdout.String(), stderr.String())
			}
			if c.want != "" {
				if status == 0 || !strings.Contains(stderr.String(), c.want) {
					t.Errorf("exit status %d, %q, want one that says %q", status, stderr.String(), c.want)
				}
				return
			}
			if status != 0 || !strings.Contains(stdout.String(), "stor1@lvm") {
				t.Fatalf("exit status %d, %s%s, want the service", status, stdout.String(), stderr.String())
			}
			if last := n.tokens[len(n.tokens)-1]; last != "own-1" {
				t.Errorf("the API was shown the token %q", last)
			}
		})
	}
}
