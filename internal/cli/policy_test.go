package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stoker/internal/cli"
)

// policyFile writes a policy file under a name without a directory, as the
// output shows it.
func policyFile(t *testing.T, text string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("policy.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const somePolicy = `"clusters:get": "role:reader and"
"clusters:get_all": "role:reader"
"volume:freeze_host": "rule:ours"
"ours": "role:storage or user_id:%(user_id)s and not project_id:p2"
"volume:thaw_host":
"volume_extension:services:update": "role:reader"
`

func TestPolicyOutput(t *testing.T) {
	for name, args := range map[string][]string{
		"policy-list":         {"policy", "list", "--policy-file", "policy.yaml"},
		"policy-check":        {"policy", "check", "volume:freeze_host", "--role", "reader", "--user", "u1", "--project", "p2", "--policy-file", "policy.yaml"},
		"policy-check-yes":    {"policy", "check", "volume:freeze_host", "--role", "reader", "--user", "u1", "--project", "p1", "--policy-file", "policy.yaml"},
		"policy-check-both":   {"policy", "check", "volume:failover_host", "--role", "admin", "--role", "reader", "--policy-file", "policy.yaml"},
		"policy-check-first":  {"policy", "check", "volume:freeze_host", "--role", "storage", "--policy-file", "policy.yaml", "-o", "json"},
		"policy-check-json":   {"policy", "check", "clusters:get", "--role", "reader", "--policy-file", "policy.yaml", "-o", "json"},
		"policy-check-all":    {"policy", "check", "--role", "reader", "--system", "--policy-file", "policy.yaml"},
		"policy-check-nosuch": {"policy", "check", "nosuch", "--policy-file", "policy.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			policyFile(t, somePolicy)
			got := run(t, nil, cli.Deps{}, args...).String()
			t.Chdir(dir)
			golden(t, name, got)
		})
	}
}

// The sample is a policy file that changes nothing, whether its rules are taken
// for comments or not.
func TestPolicySample(t *testing.T) {
	sample := run(t, nil, cli.Deps{}, "policy", "sample").stdout
	rules := func(text string) string {
		policyFile(t, text)
		r := run(t, nil, cli.Deps{}, "policy", "list", "--policy-file", "policy.yaml")
		if r.status != 0 || strings.Contains(r.stdout, "will not do") {
			t.Fatalf("the sample is no policy:\n%v", r)
		}
		spaces := strings.NewReplacer("policy.yaml", "", "default", "", "-", "", " ", "")
		return spaces.Replace(r.stdout)
	}
	as, active := rules(sample), rules(strings.ReplaceAll(sample, "\n#\"", "\n\""))
	if as != active || !strings.Contains(active, "stoker:operations:index") {
		t.Errorf("as it comes:\n%s\nin force:\n%s", as, active)
	}
}

func TestPolicyOfAConfiguration(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cinder.conf", "[DEFAULT]\nosapi_volume_listen_port = wrong\n[oslo_policy]\npolicy_file = mine.yaml\n")
	write("mine.yaml", "'clusters:get': '@'\n")
	write("token.json", `{"token": {"user": {"id": "u", "domain": {"id": "default"}}, "roles": [{"name": "reader"}], "system": {"all": true}}}`)
	config, token := filepath.Join(dir, "cinder.conf"), filepath.Join(dir, "token.json")
	tests := []struct {
		name   string
		args   []string
		status int
		has    string
	}{
		{"a rule of the file", []string{"clusters:get", "--config-file", config}, 0, "mine.yaml"},
		{"a rule of the system's readers", []string{"stoker:events:index", "--config-file", config, "--token-json", token}, 0, "+ system_scope:all"},
		{"a rule of administrators", []string{"stoker:operations:abort", "--config-file", config, "--token-json", token}, 1, "Policy doesn't allow stoker:operations:abort to be performed."},
		{"a token and roles", []string{"clusters:get", "--token-json", token, "--role", "x"}, 2, "leave the other flags out"},
		{"no token", []string{"clusters:get", "--token-json", config}, 1, "does not hold what Keystone says"},
		{"no such configuration", []string{"clusters:get", "--config-file", filepath.Join(dir, "nosuch")}, 1, "no such file"},
		{"no such policy", []string{"clusters:get", "--policy-file", filepath.Join(dir, "nosuch")}, 1, "no such file"},
		{"no policy", []string{"clusters:get", "--policy-file", config}, 1, "cinder.conf"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, nil, cli.Deps{}, append([]string{"policy", "check"}, tt.args...)...)
			if got.status != tt.status || !strings.Contains(got.stdout+got.stderr, tt.has) {
				t.Errorf("want exit status %d and %q:\n%v", tt.status, tt.has, got)
			}
		})
	}
}
