package api_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"stoker/internal/api"
	"stoker/internal/api/contract"
	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/oslo"
	"stoker/internal/oslo/memory"
	"stoker/internal/rpc"
	"stoker/internal/store"
	"stoker/internal/store/storetest"
)

// project is the one that the recorded cases use.
const project = "0123456789abcdef0123456789abcdef"

// rig is an API over a real store and a bus on which nobody listens.
type rig struct {
	api     *api.Server
	handler http.Handler // the same, its answers checked
	control *control.Control
	address string
	db      *sql.DB // beside the API's own
	log     *syncBuffer
}

// parts are what a test may put in place of the real ones.
type parts struct {
	store     func(control.Store) control.Store
	fleet     func(control.Fleet) control.Fleet
	logs      func(control.Logs) control.Logs
	auth      api.Authenticator
	policy    api.Policy
	level     slog.Level
	public    string
	challenge string
	proxy     bool
	cors      []api.CORS
	maxBody   int64
	rate      float64
	burst     int
	keys      int
	health    func(context.Context) []api.Part
	refusals  *slog.Logger
	upstream  api.Upstream
	projects  string // what the ids of projects look like
	requests  api.Observer
}

// databases are the new ones of this package's tests.
var databases storetest.Template

func newRig(tb testing.TB, p parts) *rig {
	tb.Helper()
	r := newQuietRig(tb, p)
	server := httptest.NewServer(r.handler)
	tb.Cleanup(server.Close)
	r.address = server.Listener.Addr().String()
	return r
}

// newQuietRig is a rig that listens nowhere, for tests with a clock of their own.
func newQuietRig(tb testing.TB, p parts) *rig {
	tb.Helper()
	ctx := tb.Context()
	path := databases.New(tb)
	db, err := store.Open(ctx, store.Options{URL: "sqlite:///" + path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { check(tb, db.Close()) })
	beside, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { check(tb, beside.Close()) })

	r := &rig{db: beside, log: &syncBuffer{}}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: p.level}))
	bus := memory.New()
	client := oslo.NewClient(oslo.ClientOptions{Transport: bus, ResponseTimeout: time.Second, Log: log})
	tb.Cleanup(func() { check(tb, client.Close(context.WithoutCancel(ctx)), bus.Close(context.WithoutCancel(ctx))) })
	remote := rpc.New(client, rpc.Options{FailoverExpiry: time.Second, Log: log})

	o := control.Options{
		Store: app.Store(db), Fleet: remote, Logs: remote, Loggers: &loggers{}, Log: log, Host: "api1", Owner: "api1:1",
		DownTime: time.Minute, PoolsTimeout: time.Second, LogTimeout: time.Second, ResponseTimeout: time.Second,
		FailoverDeadline: time.Minute, Lease: time.Minute, Keys: p.keys,
	}
	if p.store != nil {
		o.Store = p.store(o.Store)
	}
	if p.fleet != nil {
		o.Fleet = p.fleet(o.Fleet)
	}
	if p.logs != nil {
		o.Logs = p.logs(o.Logs)
	}
	if p.auth == nil {
		p.auth = api.NoAuth{IncludeProject: true}
	}
	if p.policy == nil {
		p.policy = api.AllowAll{}
	}
	r.control = control.New(o)
	r.api, err = api.New(api.Options{
		Control: r.control, Auth: p.auth, Policy: p.policy, Log: log, PublicURL: p.public, Challenge: p.challenge,
		ProxyHeaders: p.proxy, CORS: p.cors, MaxBody: p.maxBody, Rate: p.rate, Burst: p.burst, Health: p.health, Refusals: p.refusals,
		Upstream: p.upstream, ProjectRegex: p.projects, Requests: p.requests,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.api.Close)
	r.handler = checked(tb, r.api)
	return r
}

// theContract is compiled once for all tests.
var theContract = sync.OnceValues(contract.New)

// checked is the API, whose every answer must be what openapi.yaml says.
func checked(tb testing.TB, h http.Handler) http.Handler {
	tb.Helper()
	c, err := theContract()
	if err != nil {
		tb.Fatal(err)
	}
	return c.Handler(h, func(err error) { tb.Error(err) })
}

// loggers are the loggers of the process: one, whose level can be set.
type loggers struct {
	mu    sync.Mutex
	level cinder.LogLevel
}

func (l *loggers) Levels(prefix string) map[string]cinder.LogLevel {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !strings.HasPrefix("stoker.api", prefix) || l.level == "" {
		return nil
	}
	return map[string]cinder.LogLevel{"stoker.api": l.level}
}

func (l *loggers) SetLevel(prefix string, level cinder.LogLevel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.HasPrefix("stoker.api", prefix) {
		l.level = level
	}
}

// syncBuffer is a log that several goroutines write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func check(tb testing.TB, errs ...error) {
	tb.Helper()
	for _, err := range errs {
		if err != nil {
			tb.Error(err)
		}
	}
}

// exec runs SQL beside the API.
func (r *rig) exec(tb testing.TB, text string, args ...any) {
	tb.Helper()
	if _, err := r.db.ExecContext(tb.Context(), text, args...); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
}

// service writes a row of a service that is up, and more columns as given.
func (r *rig) service(tb testing.TB, binary, host string, more map[string]any) {
	tb.Helper()
	row := map[string]any{
		"created_at": stamp(time.Hour), "updated_at": stamp(time.Second), "deleted": false, "host": host, "binary": binary, "topic": binary,
		"report_count": 1, "disabled": false, "availability_zone": "nova", "frozen": false, "rpc_current_version": "3.17",
		"object_current_version": "1.39", "uuid": fmt.Sprintf("%s/%s", binary, host),
	}
	if binary == cinder.BinaryVolume {
		row["replication_status"] = "enabled"
	}
	maps.Copy(row, more)
	r.insert(tb, "services", row)
}

func (r *rig) insert(tb testing.TB, table string, row map[string]any) {
	tb.Helper()
	var columns, marks []string
	var args []any
	for k, v := range row {
		columns, marks, args = append(columns, `"`+k+`"`), append(marks, "?"), append(args, v)
	}
	r.exec(tb, "INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES ("+strings.Join(marks, ", ")+")", args...)
}

// stamp is a time ago as the columns have it.
func stamp(ago time.Duration) string {
	return time.Now().UTC().Add(-ago).Format("2006-01-02 15:04:05")
}

// ask is a request as it goes over the wire; nothing is cleaned up on the way.
type ask struct {
	method, path string
	version      string // microversion; "" sends no header
	token        string // "-" sends none, "" that of an administrator of the project
	header       []string
	body         string
	bare         bool // no content type for the body
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r *rig) do(tb testing.TB, a ask) reply {
	tb.Helper()
	var b strings.Builder
	if a.method == "" {
		a.method = http.MethodGet
	}
	path := strings.ReplaceAll(a.path, "{P}", "/v3/"+project)
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", a.method, path, r.address)
	if a.token == "" {
		a.token = "admin:" + project
	}
	if a.token != "-" {
		fmt.Fprintf(&b, "X-Auth-Token: %s\r\n", a.token)
	}
	if a.version != "" {
		fmt.Fprintf(&b, "OpenStack-API-Version: volume %s\r\n", a.version)
	}
	if a.body != "" {
		if !a.bare {
			b.WriteString("Content-Type: application/json\r\n")
		}
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(a.body))
	}
	for _, h := range a.header {
		b.WriteString(h + "\r\n")
	}
	return r.raw(tb, a.method, b.String()+"\r\n"+a.body)
}

// raw sends text and reads the answer to a request of that method.
func (r *rig) raw(tb testing.TB, method, text string) reply {
	tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", r.address)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { check(tb, conn.Close()) }()
	if _, err := io.WriteString(conn, text); err != nil {
		tb.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		tb.Fatalf("%.200q: %v", text, err)
	}
	body, err := io.ReadAll(resp.Body)
	check(tb, err, resp.Body.Close())
	return reply{status: resp.StatusCode, header: resp.Header, body: body}
}
