package kill

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite".

	"stoker/internal/client"
	"stoker/test/load"
)

// standalone is a whole control plane in one process, on an SQLite file.
type standalone struct {
	dir  string
	url  string // http://127.0.0.1:PORT
	cmd  *exec.Cmd
	log  lines
	out  lines
	done chan struct{} // closed when the process has ended
}

// lines is the output of a process.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
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

// startStandalone starts a standalone and waits until it prints its address. It is
// killed at the end of the test.
func startStandalone(t *testing.T, dir string, env ...string) *standalone {
	t.Helper()
	p := &standalone{dir: dir, done: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), engines.Program(t, "-tags=failpoints"), "standalone", "--dir", dir, "--listen", "127.0.0.1:0")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.cmd.Env = append(append(os.Environ(), "GORACE=halt_on_error=1"), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.done); _ = p.cmd.Wait() }() // its exit status does not matter: it was killed
	t.Cleanup(func() {
		p.kill()
		if text := p.log.String(); t.Failed() || strings.Contains(text, "DATA RACE") {
			t.Errorf("standalone in %s:\n%s", dir, text[max(0, len(text)-8000):])
		}
	})
	endpoint := regexp.MustCompile(`http://127\.0\.0\.1:\d+/v3`)
	load.Within(t, load.Patience, "it says where it listens", func() bool {
		p.url = strings.TrimSuffix(endpoint.FindString(p.out.String()), "/v3")
		return p.url != ""
	})
	return p
}

// kill kills the process, like a power cut.
func (p *standalone) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *standalone) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Endpoint: p.url + "/v3", Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// shows returns the volume services by host, as in the list.
func shows(t *testing.T, c *client.Client) map[string]string {
	t.Helper()
	services, err := c.Services(t.Context(), client.ServiceFilter{Binary: "cinder-volume"})
	if err != nil {
		t.Fatalf("a list: %v", err)
	}
	found := map[string]string{}
	for _, v := range services {
		found[v.Host] = line(v.Status, v.DisabledReason, v.ReplicationStatus, v.ActiveBackendID, v.Frozen)
	}
	return found
}

// openFile opens a database file for reading.
func openFile(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "stoker.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// intact checks that the file is not corrupt, and that the journal matches clients'
// answers.
func intact(t *testing.T, db *sql.DB, told map[string]load.Answer) {
	t.Helper()
	var verdict string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity: %s %v", verdict, err)
	}
	acknowledged(t, db, told)
}
