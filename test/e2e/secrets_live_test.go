package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stoker/internal/keystone/keystonetest"
	"stoker/test/peers"
)

// send sends a request with those headers and returns the status; 0 when nothing
// answers.
func (p *process) send(method, path, body string, header map[string]string) int {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// A process that has everything it needs is asked good and bad things, loses its
// database, bus and Keystone one after another, and gets them back: nothing that
// it prints holds a password or a token.
func TestSecretsStaySecret(t *testing.T) {
	db, bus := peers.StartMariaDB(t), peers.StartRabbitMQ(t)
	dbProxy, busProxy := peers.NewProxy(t, db.Addr()), peers.NewProxy(t, bus.Addr())
	fake, keystone := keystonetest.Start(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "cinder.conf")
	text := fmt.Sprintf(`[DEFAULT]
auth_strategy = keystone
osapi_volume_listen = 127.0.0.1
osapi_volume_listen_port = 0
rpc_response_timeout = 2
transport_url = %s
[database]
connection = %s
[keystone_authtoken]
auth_type = password
auth_url = %s
username = %s
user_domain_id = default
password = %s
project_name = service
project_domain_id = default
token_cache_time = 1
http_request_max_retries = 0
http_connect_timeout = 1
[stoker]
log_timeout = 0.5
pools_timeout = 0.2
[oslo_policy]
policy_file = policy.yaml
`, busProxy.In(t, bus.URL(t)), dbProxy.In(t, db.New(t)), keystone, keystonetest.User, keystonetest.Secret)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// Those of the engines, of the service, and what every token begins with.
	secrets := []string{"stoker-pw", keystonetest.Secret, keystonetest.Token("")}

	var printed strings.Builder
	for _, command := range []string{"config check", "db sync", "db check", "bus check", "policy list"} {
		out, err := output(t, append(strings.Fields(command), "--config-file", conf)...)
		if err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
		printed.WriteString(out)
	}
	p := start(t, "api", "--config-file", conf, "--debug")
	admin := map[string]string{"X-Auth-Token": keystonetest.Token("root-admin"), "OpenStack-API-Version": "volume latest", "Content-Type": "application/json"}
	with := func(name, value string) map[string]string {
		h := map[string]string{name: value}
		for k, v := range admin {
			if k != name {
				h[k] = v
			}
		}
		return h
	}
	round := func() (listed int) {
		listed = p.send("GET", "/v3/os-services", "", admin)
		for _, token := range []string{keystonetest.Token("demo-reader"), keystonetest.Token("revoked"), keystonetest.Token("nosuch"), keystonetest.Token("x\ty")} {
			p.send("GET", "/v3/os-services", "", map[string]string{"X-Auth-Token": token})
			p.send("GET", "/v3/os-services?X-Auth-Token="+keystonetest.Token("y")+"&host="+keystonetest.Token("z"), "", map[string]string{"X-Storage-Token": token})
		}
		p.send("GET", "/v3/os-services", "", with("X-Service-Token", keystonetest.Token("cinder")))
		p.send("GET", "/v3/os-services", "", with("OpenStack-API-Version", "volume 99"))
		p.send("PUT", "/v3/os-services/disable", `{"host": "nobody", "binary": "cinder-volume"}`, admin)
		p.send("PUT", "/v3/os-services/freeze", `{"host": "nobody"}`, admin)
		p.send("PUT", "/v3/os-services/freeze", `{"host": `, admin)
		p.send("PUT", "/v3/os-services/get-log", `{}`, admin)
		p.send("GET", "/healthcheck?detailed", "", nil)
		p.send("GET", "/nothing", "", admin)
		return listed
	}
	if got := round(); got != http.StatusOK {
		t.Fatalf("with everything there: %d", got)
	}
	for name, peer := range map[string]interface{ Cut() }{"database": dbProxy, "bus": busProxy} {
		peer.Cut()
		round()
		t.Logf("%s cut", name)
	}
	fake.Down()
	if got := round(); got == http.StatusOK {
		t.Error("a list without anything")
	}
	dbProxy.Restore()
	busProxy.Restore()
	round()
	for _, file := range []string{"cmdline", "comm", "status"} {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file)); err == nil {
			printed.Write(text)
		}
	}
	p.interrupt()
	printed.WriteString(p.out.String() + p.logs.String())
	all := printed.String()
	if !strings.Contains(all, "/v3/os-services") || !strings.Contains(all, "level=ERROR") {
		t.Errorf("there is too little to look at:\n%s", all)
	}
	for _, secret := range secrets {
		if i := strings.Index(all, secret); i >= 0 {
			t.Errorf("%q is printed: %s", secret, all[max(0, i-200):min(len(all), i+200)])
		}
	}
}
