package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/internal/api/contract"
	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/client"
	"stoker/test/peers"
)

// engines are those that the tests of this package share.
var engines peers.Shared

func TestMain(m *testing.M) {
	code := engines.Run(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// patience is by when everything has happened that happens at all, on a machine that
// has much else to do.
const patience = 2 * time.Minute

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("in %v it did not come to pass that %s", patience, what)
		}
	}
}

// syncBuffer collects logs.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// site is a running process and a client of it.
type site struct {
	*app.App
	*client.Client
	logs *syncBuffer

	policyFile string // of one that guarded started
}

// standalone are options whose process can be started again in the same directory.
func standalone(t *testing.T, dir string) app.Options {
	t.Helper()
	o, err := app.Standalone(dir, "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	o.Config.ReportInterval = time.Second
	return o
}

// unhurried are options of a process that warns of nothing because its machine is busy:
// neither heartbeats nor a scheduler's answers are late.
func unhurried(t *testing.T, dir string) app.Options {
	t.Helper()
	o := standalone(t, dir)
	o.Config.ReportInterval, o.Config.DownTime, o.Config.PoolsTimeout = patience, 10*patience, patience
	return o
}

func start(t *testing.T, o app.Options) *site {
	t.Helper()
	logs := &syncBuffer{}
	o.Log = logs
	o.Wrap = checked(t)
	a, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(logs.String())
		}
	})
	c, err := client.New(client.Options{Endpoint: "http://" + a.Addr().String() + "/v3"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &site{App: a, Client: c, logs: logs}
}

// theContract is compiled once for all tests.
var theContract = sync.OnceValues(contract.New)

// checked has every answer of an API held to openapi.yaml.
func checked(t *testing.T) func(http.Handler) (http.Handler, error) {
	t.Helper()
	return func(h http.Handler) (http.Handler, error) {
		c, err := theContract()
		if err != nil {
			return nil, err
		}
		return c.Handler(h, func(err error) { t.Error(err) }), nil
	}
}

// cluster are the options of a process with two members of one cluster, which
// drive the same directories, and a third service that is not clustered.
func cluster(t *testing.T, dir string) app.Options {
	t.Helper()
	o := standalone(t, dir)
	root := filepath.Join(dir, "backends", "shared")
	o.Volumes = nil
	for _, node := range []string{"nodea", "nodeb"} {
		o.Volumes = append(o.Volumes, app.Volume{
			Host: node + "@alpha", Cluster: "mycl@alpha", Name: "alpha", Root: root, Targets: []string{"site-b", "site-c"},
		})
	}
	return o
}

// says is a service of the list in a line.
func (s *site) says(t *testing.T, host string) string {
	t.Helper()
	l, err := s.Services(t.Context(), client.ServiceFilter{Host: host, Binary: cinder.BinaryVolume})
	if err != nil || len(l) != 1 {
		t.Fatalf("list of %s: %+v, %v", host, l, err)
	}
	r := l[0]
	text := func(p *string) string {
		if p == nil {
			return "-"
		}
		return "'" + *p + "'"
	}
	return fmt.Sprintf("%s %s frozen=%v %s on %s, backend %s", r.Status, text(r.DisabledReason), r.Frozen != nil && *r.Frozen,
		text(r.ReplicationStatus), text(r.ActiveBackendID), text(r.BackendState))
}

// eventually waits until a service is as wanted.
func (s *site) eventually(t *testing.T, host, want string) {
	t.Helper()
	got := ""
	defer func() {
		if got != want {
			t.Logf("%s: %s, want %s", host, got, want)
		}
	}()
	eventually(t, host+" is as wanted", func() bool { got = s.says(t, host); return got == want })
}

// Freeze, thaw and failover of a cluster reach all its members, and survive a
// restart of the process.
func TestCluster(t *testing.T) {
	dir := t.TempDir()
	nodes := []string{"nodea@alpha", "nodeb@alpha"}
	s := start(t, cluster(t, dir))
	both := func(want string) {
		t.Helper()
		for _, n := range nodes {
			s.eventually(t, n, want)
		}
	}
	fine := func(_ client.Change, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mycl := client.Target{Cluster: "mycl@alpha"}
	both("enabled - frozen=false 'enabled' on -, backend 'up'")
	fine(s.Freeze(t.Context(), mycl))
	both("disabled 'frozen' frozen=true 'enabled' on -, backend -")
	fine(s.Thaw(t.Context(), client.Target{Host: "nodea@alpha"}))
	both("enabled '' frozen=false 'enabled' on -, backend 'up'")
	fine(s.Failover(t.Context(), mycl, "site-b"))
	both("disabled 'failed-over' frozen=false 'failed-over' on 'site-b', backend -")
	if _, err := s.Failover(t.Context(), mycl, "nowhere"); cinder.KindOf(err) != cinder.KindInvalid || !strings.Contains(err.Error(), "site-c") {
		t.Errorf("an unknown site: %v", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = start(t, cluster(t, dir))
	both("disabled 'failed-over' frozen=false 'failed-over' on 'site-b', backend -")
	fine(s.Failover(t.Context(), client.Target{Host: "nodeb"}, "default"))
	both("enabled '' frozen=false 'enabled' on '', backend 'up'")
	cl, err := s.Cluster(t.Context(), "mycl@alpha", "")
	if err != nil || cl.Status != "enabled" || cl.ReplicationStatus == nil || *cl.ReplicationStatus != "enabled" {
		t.Errorf("cluster %+v, %v", cl, err)
	}
}

// Rows and volumes move with the directory, and Stop may be called again.
func TestRestartInTheSameDirectory(t *testing.T) {
	dir := t.TempDir()
	s := start(t, standalone(t, dir))
	volume := filepath.Join(dir, "backends", "alpha", "default", "volume-1")
	if err := os.WriteFile(volume, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Failover(t.Context(), client.Target{Host: "stoker@alpha"}, "site-c"); err != nil {
		t.Fatal(err)
	}
	s.eventually(t, "stoker@alpha", "disabled 'failed-over' frozen=false 'failed-over' on 'site-c', backend -")
	if text, err := os.ReadFile(filepath.Join(dir, "backends", "alpha", "site-c", "volume-1")); err != nil || string(text) != "data" {
		t.Errorf("the volume at the new site: %q, %v", text, err)
	}
	for range 2 {
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s = start(t, unhurried(t, dir))
	s.eventually(t, "stoker@alpha", "disabled 'failed-over' frozen=false 'failed-over' on 'site-c', backend -")
	if strings.Contains(s.logs.String(), "level=WARNING") || strings.Contains(s.logs.String(), "level=ERROR") {
		t.Errorf("a quiet restart warns:\n%s", s.logs.String())
	}
}

// A first start has nothing to warn of.
func TestFirstStartIsQuiet(t *testing.T) {
	s := start(t, unhurried(t, t.TempDir()))
	if strings.Contains(s.logs.String(), "level=WARNING") || strings.Contains(s.logs.String(), "level=ERROR") {
		t.Errorf("it warns:\n%s", s.logs.String())
	}
}

// A start that fails leaves nothing behind that would keep the next from it.
func TestFailedStartLeavesNothing(t *testing.T) {
	first := start(t, standalone(t, t.TempDir()))
	o := standalone(t, t.TempDir())
	o.Log = io.Discard
	_, port, _ := strings.Cut(first.Addr().String(), ":")
	if _, err := fmt.Sscan(port, &o.Config.ListenPort); err != nil {
		t.Fatal(err)
	}
	_, err := app.New(t.Context(), o)
	if cinder.KindOf(err) != cinder.KindUnavailable || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("a port in use: %v", err)
	}
	o.Config.ListenPort = 0
	start(t, o)
}

// Two processes in one directory would drive the same backends.
func TestOneProcessPerDirectory(t *testing.T) {
	dir := t.TempDir()
	start(t, standalone(t, dir))
	o := standalone(t, dir)
	o.Log = io.Discard
	if _, err := app.New(t.Context(), o); cinder.KindOf(err) != cinder.KindUnavailable || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second process in the directory: %v", err)
	}
}

// A client that is slow does not keep the process from stopping, and is no failure.
func TestStopCutsOffTheSlow(t *testing.T) {
	s := start(t, standalone(t, t.TempDir()))
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "PUT /v3/os-services/enable HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// The fleet beats, and the whole of it is listed.
func TestFleet(t *testing.T) {
	o := standalone(t, t.TempDir())
	o.Fleet = 2000
	s := start(t, o)
	l, err := s.Services(t.Context(), client.ServiceFilter{})
	if err != nil || len(l) != 2005 {
		t.Fatalf("%d services, %v, want 2005", len(l), err)
	}
	for _, svc := range l {
		if svc.State != "up" {
			t.Errorf("%s on %s is %s", svc.Binary, svc.Host, svc.State)
		}
	}
}

// Requests that are under way when the process stops are answered.
func TestStopAnswersWhatIsUnderWay(t *testing.T) {
	s := start(t, standalone(t, t.TempDir()))
	url := "http://" + s.Addr().String() + "/v3/os-services"
	var wg sync.WaitGroup
	stopped := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
			for {
				req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, url, nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("X-Auth-Token", "admin:admin")
				res, err := c.Do(req)
				if err != nil {
					select {
					case <-stopped: // Refused: nobody listens any more.
					default:
						t.Errorf("while it runs: %v", err)
					}
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK {
					t.Errorf("status %s", res.Status)
				}
			}
		})
	}
	time.AfterFunc(200*time.Millisecond, func() { close(stopped) })
	<-stopped
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// Links lead to where clients reach the API.
func TestPublicEndpoint(t *testing.T) {
	o := standalone(t, t.TempDir())
	o.Config.PublicEndpoint = "https://volume.example.com/block/"
	s := start(t, o)
	res, err := http.Get(s.URL() + "/") //nolint:noctx // A test.
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(text), `"https://volume.example.com/block/v3/"`) {
		t.Errorf("%v: %s", err, text)
	}
}
