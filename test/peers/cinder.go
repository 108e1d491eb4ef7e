package peers

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
)

// settings are the files that a real Cinder and Keystone read.
//
//go:embed testdata/cinder.conf testdata/keystone.conf testdata/api-paste.ini testdata/peerdriver.py testdata/clock.py
var settings embed.FS

// CinderOptions say what of a Cinder to start. The zero value of an option
// means what stands beside it.
type CinderOptions struct {
	Release   Release  // Bookworm
	Database  string   // SQLAlchemy's URL of a database that has Cinder's tables, as Database.Cinder returns it
	Transport string   // its transport_url
	Services  []string // scheduler, backup, volume, api; all of them
	Host      string   // host1
	Cluster   string   // of the volume services; in none
	Backends  []string // of alpha (two targets), beta (not replicated), gamma (one target, refuses to thaw); all of them
	Auth      string   // auth_strategy; noauth_include_project_id
	Workers   int      // of the API; 1
	More      string   // text for the end of cinder.conf
	Program   string   // what runs in Cinder's place, as PROGRAM SERVICE --config-file F; Cinder
	Env       []string // variables of the environment beside those that every peer has; none

	ReportInterval int // seconds; 2
	DownTime       int // service_down_time in seconds; 10
	RPCTimeout     int // rpc_response_timeout in seconds; 5
}

// Cinder is a real Cinder, or some of its services.
type Cinder struct {
	Conf string  // the path of its cinder.conf
	Dir  string  // where it keeps its state
	URL  string  // of its API, without a version: http://127.0.0.1:PORT
	DB   *sql.DB // its database

	// Metrics is the address of the metrics of a Program's API: 127.0.0.1:PORT.
	Metrics string

	host     string
	services map[string]*Engine
}

// WriteCinderConf writes the cinder.conf that StartCinder would start a Cinder
// with, and starts nothing: it is for a program that takes Cinder's place.
func WriteCinderConf(tb testing.TB, o CinderOptions) *Cinder {
	tb.Helper()
	c, err := newCinder(o.withDefaults())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(c.Dir) })
	c.DB = Open(tb, o.Database)
	return c
}

// StartCinder starts a real Cinder, and waits until its services beat and its
// API answers. It ends with the test.
func StartCinder(tb testing.TB, o CinderOptions) *Cinder {
	tb.Helper()
	o = o.withDefaults()
	programs := map[string][]string{}
	for _, s := range o.Services {
		if o.Program != "" {
			programs[s] = []string{o.Program, s}
		} else {
			programs[s] = []string{o.Release.Need(tb, "Cinder", "/usr/bin/cinder-"+s)}
		}
	}
	c := WriteCinderConf(tb, o)
	tb.Cleanup(func() { c.end(tb) })
	for _, s := range o.Services {
		c.services[s] = c.service(s, append(programs[s], "--config-file", c.Conf), o)
		if err := c.services[s].launchNow(); err != nil {
			tb.Fatal(err)
		}
	}
	for _, s := range o.Services {
		if err := c.services[s].await(); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

func (o CinderOptions) withDefaults() CinderOptions {
	if len(o.Services) == 0 {
		o.Services = []string{"scheduler", "backup", "volume", "api"}
	}
	if len(o.Backends) == 0 {
		o.Backends = []string{"alpha", "beta", "gamma"}
	}
	o.Host = first(o.Host, "host1")
	o.Auth = first(o.Auth, "noauth_include_project_id")
	o.Workers = first(o.Workers, 1)
	o.ReportInterval = first(o.ReportInterval, 2)
	o.DownTime = first(o.DownTime, 10)
	o.RPCTimeout = first(o.RPCTimeout, 5)
	return o
}

// first returns the option, or its default when it was not given.
func first[T comparable](option, preset T) T {
	var zero T
	if option == zero {
		return preset
	}
	return option
}

func newCinder(o CinderOptions) (*Cinder, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	metrics := ""
	if o.Program != "" && slices.Contains(o.Services, "api") {
		p, err := freePort()
		if err != nil {
			return nil, err
		}
		metrics = net.JoinHostPort("127.0.0.1", strconv.Itoa(p))
	}
	dir, err := os.MkdirTemp("", "stoker-peer-")
	if err != nil {
		return nil, err
	}
	c := &Cinder{
		Conf: filepath.Join(dir, "cinder.conf"), URL: "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Metrics: metrics, Dir: dir, host: o.Host, services: map[string]*Engine{},
	}
	for _, sub := range []string{"state/lock", "backends"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	for _, name := range []string{"api-paste.ini", "peerdriver.py"} {
		text, lost := settings.ReadFile("testdata/" + name)
		err = errors.Join(err, lost, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	err = errors.Join(err, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte("# the defaults\n"), 0o600))
	if err != nil {
		return nil, err
	}
	t, err := template.ParseFS(settings, "testdata/cinder.conf")
	if err != nil {
		return nil, err
	}
	f, err := os.Create(c.Conf)
	if err != nil {
		return nil, err
	}
	values := struct {
		CinderOptions
		Dir     string
		Port    int
		Metrics string
		Rabbit  string
	}{o, dir, port, metrics, o.Release.rabbitOptions(o.Host)}
	return c, errors.Join(t.Execute(f, values), f.Close())
}

// service makes a service ready to be launched.
func (c *Cinder) service(name string, program []string, o CinderOptions) *Engine {
	in := o.Release
	if o.Program != "" {
		in = Bookworm // it was built here
	}
	e := &Engine{peer: filepath.Base(program[0]) + " " + name, dir: c.Dir, launch: command{
		in: in, name: "cinder-" + name, path: program[0], dir: c.Dir, args: program[1:],
		env: append([]string{"GORACE=halt_on_error=1", "PYTHONPATH=" + c.Dir, "PYTHONWARNINGS=ignore", "PYTHONDONTWRITEBYTECODE=1"}, o.Env...),
	}}
	if name == "api" {
		e.ready = func(ctx context.Context) error { return answers(ctx, c.URL+"/") }
		return e
	}
	rows := 1
	if name == "volume" {
		rows = len(o.Backends)
	}
	// It is up when each of its rows has a heartbeat more than before: the
	// first comes after everything is listened on.
	var before map[string]int
	e.begin = func(ctx context.Context) (err error) {
		before, err = c.beats(ctx, "cinder-"+name)
		return err
	}
	e.ready = func(ctx context.Context) error {
		now, err := c.beats(ctx, "cinder-"+name)
		up := 0
		for host, n := range now {
			if n > before[host] {
				up++
			}
		}
		if err == nil && up < rows {
			err = fmt.Errorf("%d of its %d rows have a new heartbeat", up, rows)
		}
		return err
	}
	return e
}

// beats returns how many heartbeats the rows of a binary count, by host.
func (c *Cinder) beats(ctx context.Context, binary string) (map[string]int, error) {
	text := "SELECT host, report_count FROM services WHERE NOT deleted AND " + c.quoted("binary") + " = '" + binary + "'"
	rows, err := c.DB.QueryContext(ctx, text)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := map[string]int{}
	for rows.Next() {
		var host string
		var n int
		if err := rows.Scan(&host, &n); err != nil {
			return nil, err
		}
		if host == c.host || strings.HasPrefix(host, c.host+"@") {
			found[host] = n
		}
	}
	return found, rows.Err()
}

// quoted is an identifier as the database wants it.
func (c *Cinder) quoted(name string) string {
	if strings.Contains(fmt.Sprintf("%T", c.DB.Driver()), "mysql") {
		return "`" + name + "`"
	}
	return `"` + name + `"`
}

// Service returns one of its processes, to be killed, paused and started again:
// scheduler, backup, volume or api. Start waits until it beats or answers.
func (c *Cinder) Service(tb testing.TB, name string) *Engine {
	tb.Helper()
	e := c.services[name]
	if e == nil {
		tb.Fatalf("no %s was started", name)
	}
	return e
}

// Logs returns what its processes have printed and logged, by their names.
func (c *Cinder) Logs(tb testing.TB) map[string]string {
	tb.Helper()
	logs := make(map[string]string, len(c.services))
	for name := range c.services {
		logs[name+" on "+c.host] = c.Log(tb, name)
	}
	return logs
}

// Log returns what one of its processes has printed and logged.
func (c *Cinder) Log(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile(c.Service(tb, name).launch.log())
	if err != nil {
		tb.Fatal(err)
	}
	logged, err := os.ReadFile(filepath.Join(c.Dir, "stoker-"+name+".log")) // what a Program does not print
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		tb.Fatal(err)
	}
	return string(text) + string(logged)
}

// Tell changes how a backend takes what it is told from now on, nil ends that:
// {"thaw_error": "rebuilding", "failover_delay": 3}. testdata/peerdriver.py
// lists what there is.
func (c *Cinder) Tell(tb testing.TB, backend string, how map[string]any) {
	tb.Helper()
	path := filepath.Join(c.Dir, "backends", backend+".json")
	if how == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			tb.Fatal(err)
		}
		return
	}
	text, err := json.Marshal(how)
	if err != nil {
		tb.Fatal(err)
	}
	// In one step, for a reader is there at any time.
	if err := errors.Join(os.WriteFile(path+".new", text, 0o600), os.Rename(path+".new", path)); err != nil {
		tb.Fatal(err)
	}
}

// Calls returns what a backend was told so far, in order: "freeze", "freeze
// done", "failover site-b", and so on.
func (c *Cinder) Calls(tb testing.TB, backend string) []string {
	tb.Helper()
	return c.lines(tb, backend+".calls")
}

// Requests returns what a backend was told so far and by whose request, in order:
// "freeze req-01a2...".
func (c *Cinder) Requests(tb testing.TB, backend string) []string {
	tb.Helper()
	return c.lines(tb, backend+".requests")
}

// lines are those of a file of the backends, none when there is no such file yet.
func (c *Cinder) lines(tb testing.TB, name string) []string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(c.Dir, "backends", name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		tb.Fatal(err)
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
}

// end ends what is left running, and looks whether a Program has found a race.
func (c *Cinder) end(tb testing.TB) {
	tb.Helper()
	for name, e := range c.services {
		text := c.Log(tb, name)
		if strings.Contains(text, "DATA RACE") {
			tb.Errorf("%s:\n%s", e.peer, text)
		}
		if tb.Failed() {
			tb.Logf("%s on %s said:\n%s", e.peer, c.host, last([]byte(text)))
		}
		if e.proc == nil {
			continue
		}
		if err := e.proc.kill(); err != nil {
			tb.Error(err)
		}
	}
}

// answers reports whether something speaks HTTP there.
func answers(ctx context.Context, url string) error {
	_, err := rest(ctx, http.MethodGet, url, http.Header{}, nil, nil)
	return err
}
