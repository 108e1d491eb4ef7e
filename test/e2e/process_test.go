package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"stoker/test/peers"
)

// patience is by when everything has happened that happens at all, on a machine that
// has much else to do.
const patience = 2 * time.Minute

const project = "0123456789abcdef0123456789abcdef"

// built holds the program.
var built peers.Shared

func TestMain(m *testing.M) { os.Exit(built.Run(m)) }

// process is a running stoker.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string // http://127.0.0.1:PORT
	out  lines
	logs lines
	done chan struct{} // closed when it has ended
	err  error         // how, after that
}

// lines collects what a process prints.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var endpoint = regexp.MustCompile(`http://127\.0\.0\.1:\d+/v3`)

// start runs the program and waits until it says where it listens.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, done: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), built.Program(t), args...) // outlives no test: see Cleanup
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.logs
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.done); p.err = p.cmd.Wait() }()
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.kill()
		}
		if t.Failed() {
			t.Logf("output of %v:\n%s\n%s", args, p.out.String(), p.logs.String())
		}
	})
	eventually(t, "it says where it listens", func() bool {
		p.url = strings.TrimSuffix(endpoint.FindString(p.out.String()), "/v3")
		return p.url != ""
	})
	return p
}

// interrupt ends it as Ctrl-C does, and checks that it ends well.
func (p *process) interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Fatalf("after an interrupt: %v\n%s", p.err, p.logs.String())
		}
	case <-time.After(patience):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		<-p.done
		p.t.Fatalf("still running %v after an interrupt:\n%s", patience, p.logs.String())
	}
}

// kill ends it as a power cut does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("in %v it did not come to pass that %s", patience, what)
		case <-tick.C:
		}
	}
}

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	body   string
}

// call sends a request at the newest microversion.
func (p *process) call(method, path string, body any) answer {
	p.t.Helper()
	var r io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			p.t.Fatal(err)
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, r)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", "admin:"+project)
	req.Header.Set("OpenStack-API-Version", "volume latest")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
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
	return answer{res.StatusCode, res.Header, string(text)}
}

// put does an action and checks its status.
func (p *process) put(action string, body map[string]any, status int) answer {
	p.t.Helper()
	a := p.call(http.MethodPut, "/v3/"+project+"/"+action, body)
	if a.status != status {
		p.t.Fatalf("%s %v: status %d, want %d: %s", action, body, a.status, status, a.body)
	}
	if a.header.Get("X-Openstack-Request-Id") == "" {
		p.t.Errorf("%s: no request id", action)
	}
	return a
}

// service is a row as the list shows it.
type service struct {
	Binary       string  `json:"binary"`
	Host         string  `json:"host"`
	Status       string  `json:"status"`
	State        string  `json:"state"`
	Reason       *string `json:"disabled_reason"`
	Cluster      *string `json:"cluster"`
	Replication  string  `json:"replication_status"`
	Active       *string `json:"active_backend_id"`
	Frozen       bool    `json:"frozen"`
	BackendState *string `json:"backend_state"`
	UpdatedAt    *string `json:"updated_at"`
}

func (p *process) list() []service {
	p.t.Helper()
	a := p.call(http.MethodGet, "/v3/"+project+"/os-services", nil)
	if a.status != http.StatusOK {
		p.t.Fatalf("list: %d %s", a.status, a.body)
	}
	var l struct {
		Services []service `json:"services"`
	}
	if err := json.Unmarshal([]byte(a.body), &l); err != nil {
		p.t.Fatal(err)
	}
	return l.Services
}

// says is a volume service in one line.
func (p *process) says(host string) string {
	p.t.Helper()
	for _, s := range p.list() {
		if s.Host == host && s.Binary == "cinder-volume" {
			words := []string{s.Status, s.State, text(s.Reason), s.Replication}
			if s.Active != nil && *s.Active != "" {
				words = append(words, "on "+*s.Active)
			}
			if s.Frozen {
				words = append(words, "frozen")
			}
			return strings.Join(words, " ")
		}
	}
	p.t.Fatalf("no cinder-volume on %s", host)
	return ""
}

func text(s *string) string {
	if s == nil {
		return "-"
	}
	return "'" + *s + "'"
}
