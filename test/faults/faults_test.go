package faults

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"stoker/test/load"
	"stoker/test/peers"
)

var built peers.Shared // the program; the engines are each test's own

func TestMain(m *testing.M) { os.Exit(built.Run(m)) }

// back is how soon after its engine the service has to be there again.
const back = 10 * time.Second

// site is the program as API and as services, with a database and a bus of its
// own, and a proxy before each.
type site struct {
	database    *peers.Database
	broker      *peers.Broker
	toDB, toBus *peers.Proxy
	api         *peers.Cinder
	db          *sql.DB // past the proxy
	services    *peers.Cinder
	sqlalchemy  string
	options     peers.CinderOptions // of an API
}

func newSite(t *testing.T) *site {
	t.Helper()
	program := built.Program(t)
	s := &site{database: peers.StartMariaDB(t), broker: peers.StartRabbitMQ(t)}
	s.sqlalchemy = s.database.New(t)
	s.db = peers.Open(t, s.sqlalchemy)
	transport := s.broker.URL(t)
	s.toDB, s.toBus = peers.NewProxy(t, s.database.Addr()), peers.NewProxy(t, s.broker.Addr())
	o := peers.CinderOptions{
		Database: s.toDB.In(t, s.sqlalchemy), Transport: s.toBus.In(t, transport), Program: program,
		More: "[database]\nconnection_recycle_time = 5\n[stoker]\nfailover_expiry = 5\n",
	}
	conf := peers.WriteCinderConf(t, o)
	if out, err := exec.CommandContext(t.Context(), program, "db", "sync", "--config-file", conf.Conf).CombinedOutput(); err != nil {
		t.Fatalf("db sync: %v\n%s", err, out)
	}
	o.Services = []string{"scheduler", "backup", "volume"}
	s.services = peers.StartCinder(t, o)
	o.Services = []string{"api"}
	s.options = o
	s.api = peers.StartCinder(t, o)
	return s
}

// serves reports whether everything can be done: a list, a freeze and a thaw, a
// disable and an enable, and the log levels of every service.
func (s *site) serves() (string, bool) {
	host := map[string]any{"host": "host1@beta", "binary": "cinder-volume"}
	for _, r := range []load.Request{
		{Path: "?binary=cinder-scheduler"},
		{Path: "/get-log", Body: map[string]any{"binary": "cinder-volume", "server": "host1@beta", "prefix": "stoker.agent"}},
		{Path: "/set-log", Body: map[string]any{"binary": "cinder-backup", "prefix": "stoker.agent", "level": "INFO"}},
		{Path: "/disable", Body: host},
		{Path: "/enable", Body: host},
	} {
		a, err := load.Ask(context.Background(), s.api.URL, r, load.Deadline)
		if err != nil || a.Status >= http.StatusMultipleChoices || strings.Contains(a.Body, "unanswered") {
			return fmt.Sprintf("%s: %d %s %v", r.Path, a.Status, a.Body, err), false
		}
	}
	return "", true
}

// fault is something that is taken away for a while.
type fault struct {
	name  string
	lists bool // all the same
	begin func(*testing.T)
	end   func(*testing.T)
}

func (s *site) faults() []fault {
	none := func(*testing.T) {}
	return []fault{
		{"the bus is restarted", true, s.stop(s.broker.Engine), s.start(s.broker.Engine)},
		{"the bus is paused", true, func(t *testing.T) { t.Helper(); s.broker.Pause(t) }, func(t *testing.T) { t.Helper(); s.broker.Resume(t) }},
		{"every connection to the bus is cut", true, func(*testing.T) { s.toBus.Cut() }, func(*testing.T) { s.toBus.Restore() }},
		{"the database is restarted", false, s.stop(s.database.Engine), s.start(s.database.Engine)},
		{"the database is killed", false, func(t *testing.T) { t.Helper(); s.database.Kill(t) }, s.start(s.database.Engine)},
		{"every connection to the database is cut", false, func(*testing.T) { s.toDB.Cut() }, func(*testing.T) { s.toDB.Restore() }},
		{"nothing passes to the database", false, func(*testing.T) { s.toDB.Stall() }, func(*testing.T) { s.toDB.Restore() }},
		{"nothing is wrong", true, none, none},
	}
}

func (s *site) stop(e *peers.Engine) func(*testing.T) {
	return func(t *testing.T) { t.Helper(); e.Stop(t) }
}

func (s *site) start(e *peers.Engine) func(*testing.T) {
	return func(t *testing.T) { t.Helper(); e.Start(t) }
}

// lasts is how long each fault lasts, beside what the engine takes to stop and start.
const lasts = 5 * time.Second

func TestUnderLoad(t *testing.T) {
	s := newSite(t)
	administrators := load.Options{Clients: load.Administrators("host1", load.Go)}
	warm := load.Start(t.Context(), s.api.URL, administrators)
	load.Within(t, 30*time.Second, "the program serves before anything is wrong", func() bool { _, ok := s.serves(); return ok })
	pause(t, lasts)
	if wrong := warm.End().Wrong; len(wrong) > 0 {
		t.Fatalf("before any fault:\n%s", strings.Join(wrong, "\n"))
	}
	toBus, toDB := s.toBus.Connections(), s.toDB.Connections()

	l := load.Start(t.Context(), s.api.URL, administrators)
	for _, f := range s.faults() {
		f.begin(t)
		pause(t, lasts)
		if a, err := load.Ask(t.Context(), s.api.URL, load.Request{}, load.Deadline); f.lists && (err != nil || a.Status != http.StatusOK) {
			t.Errorf("%s: a list, which needs none: %d %s %v", f.name, a.Status, a.Body, err)
		}
		f.end(t)
		var last string
		began := time.Now()
		load.Within(t, 2*load.Deadline, "the program serves after "+f.name, func() (ok bool) { last, ok = s.serves(); return ok })
		took := time.Since(began)
		t.Logf("%s: served again after %v", f.name, took.Round(time.Millisecond))
		if took > back {
			t.Errorf("%s: it took %v until the program served again, want %v at most; last: %s", f.name, took, back, last)
		}
	}
	report := l.End()
	if len(report.Wrong) > 0 {
		t.Errorf("under load:\n%s", strings.Join(report.Wrong, "\n"))
	}
	t.Logf("answers:\n%s", report)
	load.Whole(t, s.db)
	load.Within(t, time.Minute, fmt.Sprintf("there are again %d connections to the bus and at most %d to the database", toBus, toDB), func() bool {
		return s.toBus.Connections() == toBus && s.toDB.Connections() <= toDB
	})
	s.goroutines(t)
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}

// goroutines compares those of the API with those of one that has just started.
func (s *site) goroutines(t *testing.T) {
	t.Helper()
	fresh := peers.StartCinder(t, s.options)
	load.Within(t, 30*time.Second, "another API serves", func() bool {
		a, err := load.Ask(t.Context(), fresh.URL, load.Request{}, load.Deadline)
		return err == nil && a.Status == http.StatusOK
	})
	few, many := fresh.Service(t, "api").Quit(t), s.api.Service(t, "api").Quit(t)
	a, b := strings.Count(few, "\ngoroutine "), strings.Count(many, "\ngoroutine ")
	t.Logf("goroutines: %d fresh, %d used", a, b)
	if b > a+10 {
		t.Errorf("%d goroutines, a fresh one has %d:\n%s", b, a, many)
	}
}
