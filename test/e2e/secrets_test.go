package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stoker/test/peers"
)

// secret is in every password and token of this test, and must be in nothing
// that a run prints.
const secret = "s3cr3t"

// guarded writes a configuration with a secret wherever one can be, whose
// engines are all away, and a database of its own.
func guarded(t *testing.T, database string) string {
	t.Helper()
	bus, keystone := peers.Nobody(t), peers.Nobody(t)
	conf := filepath.Join(t.TempDir(), "stoker.conf")
	text := fmt.Sprintf(`[DEFAULT]
host = host1
state_path = %[1]s
osapi_volume_listen = 127.0.0.1
osapi_volume_listen_port = 0
transport_url = rabbit://openstack:%[2]s@%[3]s,other:%[2]s@%[3]s/vhost?heartbeat_rate=%[2]s
enabled_backends = alpha
[alpha]
replication_device = backend_id:site-b,san_password:%[2]s
san_password = %[2]s
[database]
connection = %[4]s
max_retries = 0
[keystone_authtoken]
auth_type = password
auth_url = http://%[5]s
username = cinder
user_domain_id = default
project_name = service
project_domain_id = default
password = %[2]s
memcache_secret_key = %[2]s
[service_user]
password = %[2]s
`, t.TempDir(), secret, bus, database, keystone)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return conf
}

// Nothing that a run prints has a password in it, whatever goes wrong.
func TestSecretsAreNotPrinted(t *testing.T) {
	conf := guarded(t, "mysql+pymysql://cinder:"+secret+"@"+peers.Nobody(t)+"/cinder?charset=utf8&ssl_key="+secret)
	for _, command := range []string{"config check", "db check", "db sync", "bus check", "api --debug", "volume --debug", "scheduler --debug", "backup --debug"} {
		out, err := output(t, append(strings.Fields(command), "--config-file", conf)...)
		if strings.Contains(out, secret) {
			t.Errorf("%s prints\n%s", command, out)
		}
		if fine := command == "config check"; (err == nil) != fine || strings.TrimSpace(out) == "" {
			t.Errorf("%s: %v, %q", command, err, out)
		}
	}
}

// Nor has a log of a process that runs, asked with tokens of every form.
func TestSecretsAreNotLogged(t *testing.T) {
	conf := guarded(t, "sqlite:///"+filepath.Join(t.TempDir(), "cinder.db"))
	if out, err := output(t, "db", "sync", "--config-file", conf); err != nil {
		t.Fatalf("db sync: %v\n%s", err, out)
	}
	p := start(t, "api", "--config-file", conf, "--debug")
	for _, h := range []http.Header{
		{"X-Auth-Token": {secret}},
		{"X-Auth-Token": {"gAAAAA" + secret}, "X-Service-Token": {secret}},
		{"X-Storage-Token": {secret}, "Authorization": {"Bearer " + secret}, "Cookie": {"token=" + secret}},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/v3/os-services?token="+secret+"&host="+secret, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = h
		client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusServiceUnavailable { // Keystone is away
			t.Errorf("%v: %s", h, res.Status)
		}
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
	if err == nil && strings.Contains(string(line), secret) {
		t.Errorf("the process is %q", line)
	}
	p.interrupt()
	if out := p.out.String() + p.logs.String(); strings.Contains(out, secret) {
		t.Errorf("it prints\n%s", out)
	}
}
