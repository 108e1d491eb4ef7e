package deployers

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/internal/keystone/keystonetest"
)

// patience is by when everything has happened that happens at all, on a machine that
// has much else to do.
const patience = 2 * time.Minute

// The file that starts cinder-api starts stoker api, and the file that starts
// cinder-volume starts stoker volume: an administrator sees its services, up and
// beating, and commands them.
func TestStart(t *testing.T) {
	database := engines.MariaDB(t)
	broker := engines.RabbitMQ(t)
	k := keystonetest.New(t)
	mux := http.NewServeMux()
	mux.Handle("/", k)
	mux.Handle("/identity/", http.StripPrefix("/identity", k)) // where devstack has it
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	k.At(s.URL)

	sql := database.Cinder(t)
	synced := filepath.Join(t.TempDir(), "sync.conf")
	write(t, synced, "[database]\nconnection = "+sql+"\n")
	if out, err := exec.CommandContext(t.Context(), engines.Program(t), "db", "sync", "--config-file", synced).CombinedOutput(); err != nil {
		t.Fatalf("db sync: %v\n%s", err, out)
	}
	bundle := filepath.Join(t.TempDir(), "ca.pem") // whom a machine trusts
	write(t, bundle, read(t, database.TLS.CA)+read(t, broker.TLS.CA))

	for _, d := range deployments() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel() // they wait for beats most of the time
			plain, err := url.Parse(broker.URL(t))
			if err != nil {
				t.Fatal(err)
			}
			login := plain.User.String() + "@"
			name, _, _ := strings.Cut(strings.TrimPrefix(sql, "mysql+pymysql://"), "?")
			m := machine{
				"BROKER": login + broker.Addr(), "TLS BROKER": login + broker.TLSAddr(), "VHOST": strings.TrimPrefix(plain.Path, "/"),
				"DATABASE": name, "KEYSTONE": s.URL, "PASSWORD": keystonetest.Secret,
				"CA": bundle, "CERT": database.TLS.Cert, "KEY": database.TLS.Key,
			}
			m.deploy(t, d)
		})
	}
}

// deploy starts both programs of a deployment.
func (m machine) deploy(t *testing.T, d deployment) {
	t.Helper()
	dir := m.write(t, d.name)
	// What is another on this machine than where the file came from, and beats that are
	// worth waiting for.
	env := []string{
		"OS_DEFAULT__OSAPI_VOLUME_LISTEN=127.0.0.1", "OS_DEFAULT__OSAPI_VOLUME_LISTEN_PORT=0", "OS_DEFAULT__REPORT_INTERVAL=1",
		"OS_DEFAULT__STATE_PATH=" + filepath.Join(dir, "state"), "SSL_CERT_FILE=" + m["CA"],
	}
	if strings.HasPrefix(d.hosts[0], host+"@") {
		env = append(env, "OS_DEFAULT__HOST="+d.host())
	}
	api := start(t, env, append([]string{"api"}, in(dir, d.api)...)...)
	volume := start(t, env, append([]string{"volume"}, in(dir, d.volume)...)...)
	eventually(t, "the API says where it listens", func() bool { return api.url() != "" })

	beats := map[string]map[string]bool{} // of each service that is up
	eventually(t, "all services are up and beat", func() bool {
		volume.ended()
		listed, beating := api.list(), 0
		for _, name := range d.services() {
			if s := listed[name]; s.State == "up" {
				if beats[name] == nil {
					beats[name] = map[string]bool{}
				}
				beats[name][s.UpdatedAt] = true
			}
			if len(beats[name]) > 1 {
				beating++
			}
		}
		return beating == len(d.hosts)
	})
	logged := volume.logged(dir)
	for _, name := range d.services() {
		api.put("os-services/freeze", name)
		api.put("os-services/thaw", name)
		_, section, _ := strings.Cut(name, "@")
		if !regexp.MustCompile(`volume_driver is not ours to run.* section=` + section + " ").MatchString(logged) {
			t.Errorf("the log does not warn of the driver of %s", section)
		}
	}
	volume.interrupt()
	api.interrupt()
}

// services are the hosts of a deployment's services in these tests.
func (d deployment) services() []string {
	var all []string
	for _, h := range d.hosts {
		all = append(all, strings.Replace(h, host+"@", d.host()+"@", 1))
	}
	return all
}

// host is a name that no machine of another deployment has.
func (d deployment) host() string { return host + "-" + d.name }

// process is a running program.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  output
	done chan struct{} // closed when it has ended
	err  error         // how, after that
}

// output is what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, done: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), engines.Program(t), args...) // outlives no test: see Cleanup
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.Env = append(append(os.Environ(), "GORACE=halt_on_error=1"), env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.done); p.err = p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%v:\n%s", args, p.out.String())
		}
	})
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		p.t.Fatalf("ended: %v", p.err)
		return true
	default:
		return false
	}
}

// logged is what it has logged, to a file in log or to standard error.
func (p *process) logged(dir string) string {
	p.t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	if err != nil {
		p.t.Fatal(err)
	}
	all := p.out.String()
	for _, log := range logs {
		all += read(p.t, log)
	}
	return all
}

// interrupt ends it as an administrator does, and checks that it ends well.
func (p *process) interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("after an interrupt: %v", p.err)
		}
	case <-time.After(patience):
		p.t.Fatalf("still running %v after an interrupt", patience)
	}
}

var endpoint = regexp.MustCompile(`http://127\.0\.0\.1:\d+/v3`)

// url is that of the API, once it has said so.
func (p *process) url() string {
	p.ended()
	return endpoint.FindString(p.out.String())
}

// service is a volume service as the list shows it.
type service struct {
	Binary    string `json:"binary"`
	Host      string `json:"host"`
	State     string `json:"state"`
	UpdatedAt string `json:"updated_at"`
}

// list asks for the services as an administrator, and returns them by host.
func (p *process) list() map[string]service {
	p.t.Helper()
	var answer struct {
		Services []service `json:"services"`
	}
	if err := json.Unmarshal(p.call(http.MethodGet, "os-services?binary=cinder-volume", ""), &answer); err != nil {
		p.t.Fatal(err)
	}
	all := map[string]service{}
	for _, s := range answer.Services {
		all[s.Host] = s
	}
	return all
}

// put does an action on the service of a host, for which that has to answer.
func (p *process) put(action, host string) {
	p.t.Helper()
	p.call(http.MethodPut, action, `{"host": "`+host+`"}`)
}

// call sends a request of an administrator's, which has to succeed.
func (p *process) call(method, path, body string) []byte {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url()+"/"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", keystonetest.Token("root-admin"))
	req.Header.Set("OpenStack-API-Version", "volume latest")
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s %s: %d %s", method, path, body, res.StatusCode, text)
	}
	return text
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("in %v it did not come to pass that %s", patience, what)
		case <-tick.C:
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
