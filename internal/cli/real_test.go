package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/internal/api/contract"
	"stoker/internal/cli"
)

// patience is by when everything has happened that happens at all, on a machine that
// has much else to do.
const patience = 2 * time.Minute

// buffer collects what a server prints and tells when something appears in it.
type buffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
	more chan struct{}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() {
		select {
		case b.more <- struct{}{}:
		default:
		}
	}()
	return b.text.Write(p)
}

// await returns the first match of re, once there is one.
func (b *buffer) await(t *testing.T, re *regexp.Regexp) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		b.mu.Lock()
		found := re.FindString(b.text.String())
		b.mu.Unlock()
		if found != "" {
			return found
		}
		select {
		case <-b.more:
		case <-timeout:
			b.mu.Lock()
			defer b.mu.Unlock()
			t.Fatalf("no %v in\n%s", re, b.text.String())
		}
	}
}

// The commands against the real thing: a standalone that the command line has started.
func TestAgainstStandalone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out, log := &buffer{more: make(chan struct{}, 1)}, &buffer{more: make(chan struct{}, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, cli.Process{
			Args:   []string{"standalone", "--dir", filepath.Join(t.TempDir(), "data"), "--listen", "127.0.0.1:0"},
			Stdout: out, Stderr: log, Version: "v0",
		}, cli.Servers())
	}()
	defer func() {
		cancel()
		if status := <-ended; status != 0 {
			t.Errorf("standalone ended with %d: %s", status, log.text.String())
		}
	}()
	endpoint := out.await(t, regexp.MustCompile(`http://127\.0\.0\.1:\d+/v3`))

	rules, err := contract.New()
	if err != nil {
		t.Fatal(err)
	}
	api := rules.Transport(&http.Transport{DisableKeepAlives: true}, func(err error) { t.Error(err) })
	steps := []struct {
		args   string
		status int
		says   string // somewhere in the output
	}{
		{"service list --long", 0, "| cinder-volume    | stoker@alpha | nova | enabled | up    |"},
		{"service disable stoker@alpha --reason swap", 0, "| disabled_reason | swap "},
		{"service freeze stoker@alpha", 0, "| frozen    | true "},
		{"service enable stoker@alpha", 1, "stoker: Invalid input received: "},
		{"service thaw stoker@alpha", 0, "| frozen    | false "},
		{"service list --host stoker@alpha", 0, "| swap "},
		{"service enable stoker@alpha", 0, "| status    | enabled "},
		{"service failover stoker@alpha --backend-id site-b --wait --timeout 2m", 0, "| failed-over        | site-b "},
		{"service failover stoker@alpha --backend-id nowhere --wait", 1, "site-b"},
		{"service failover stoker@alpha --backend-id default --wait --timeout 2m", 0, "| enabled            | "},
		{"service freeze stoker", 1, "stoker: "},
		{"service enable nobody", 1, "stoker: Service cinder-volume could not be found on host nobody.\n"},
		{"log get --host stoker@alpha --prefix stoker.agent", 0, "| cinder-volume | stoker@alpha | stoker.agent | INFO  |"},
		{"log set error --host stoker@alpha", 0, "| level     | ERROR "},
		{"cluster list --long", 0, "| Down Hosts |"},
		{"cluster show nope", 1, "could not be found"},
	}
	for _, s := range steps {
		got := run(t, api, cli.Deps{}, append(strings.Fields(s.args), "--endpoint", endpoint)...)
		if got.status != s.status || !strings.Contains(got.stdout+got.stderr, s.says) {
			t.Fatalf("stoker %s: want exit status %d and %q:\n%v", s.args, s.status, s.says, got)
		}
	}

	var services []struct{ Host, Status string }
	got := run(t, api, cli.Deps{}, "service", "list", "--binary", "cinder-volume", "-o", "json", "--endpoint", endpoint)
	if err := json.Unmarshal([]byte(got.stdout), &services); err != nil || len(services) != 3 {
		t.Errorf("%v in %v", err, got)
	}
}
