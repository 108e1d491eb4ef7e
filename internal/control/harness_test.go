package control_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/store"
	"stoker/internal/store/storetest"
)

// site is a Control over a real SQLite database and a fleet that does to its
// rows what a Python cinder-volume does (doc/cinder/behaviour.md#who-writes-what).
type site struct {
	*control.Control
	t     testing.TB
	db    *store.DB
	fleet *fleet
	logs  *loggers
	path  string // of an SQLite database
}

// remove deletes a row as cinder-manage does.
func (s *site) remove(id int64) {
	s.t.Helper()
	s.sql(`UPDATE services SET deleted = TRUE WHERE id = ?`, id)
}

// sql writes behind everybody's back.
func (s *site) sql(statement string, args ...any) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(s.t.Context(), statement, args...); err != nil {
		s.t.Fatal(err)
	}
}

// editCluster writes the row of mycl@alpha as somebody else would.
func (s *site) editCluster(f func(*cinder.Cluster)) {
	s.t.Helper()
	err := s.db.Update(s.t.Context(), func(tx *store.Tx) error {
		was, err := tx.Cluster(s.t.Context(), "mycl@alpha", cinder.BinaryVolume)
		if err != nil {
			return err
		}
		now := was
		f(&now)
		return tx.SaveCluster(s.t.Context(), was, now)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// databases are the new ones of this package's tests.
var databases storetest.Template

func newSite(tb testing.TB) *site {
	tb.Helper()
	path := databases.New(tb)
	s := siteOn(tb, "sqlite:///"+path)
	s.path = path
	return s
}

// siteOn is a site over any database that is prepared.
func siteOn(tb testing.TB, url string) *site {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Options{URL: url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	s := &site{t: tb, db: db, logs: &loggers{}}
	s.fleet = &fleet{db: db, answer: map[string]error{}}
	s.Control = s.process("api-1")
	return s
}

// process is one more API process on the same database.
func (s *site) process(owner string) *control.Control { return control.New(s.options(owner)) }

// blind is a process that takes every service for dead.
func (s *site) blind() *control.Control {
	o := s.options("blind")
	o.DownTime = -1
	return control.New(o)
}

func (s *site) options(owner string) control.Options {
	return control.Options{
		Store: app.Store(s.db), Fleet: s.fleet, Logs: s.fleet, Loggers: s.logs, Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)),
		Host: "ctl1", Owner: owner, DownTime: time.Minute, PoolsTimeout: time.Second, LogTimeout: time.Second,
		ResponseTimeout: time.Second, FailoverExpiry: time.Second, FailoverDeadline: time.Hour, Lease: 20 * time.Second,
		Watch: time.Hour,
	}
}

// volume registers a volume service that is up.
func (s *site) volume(host, cluster string, status cinder.ReplicationStatus) cinder.Service {
	s.t.Helper()
	row, err := s.db.Register(s.t.Context(), cinder.Service{
		Host: host, Binary: cinder.BinaryVolume, Topic: cinder.BinaryVolume, Zone: "nova", Cluster: cluster,
		ReplicationStatus: status, RPCVersion: cinder.VolumeRPCVersion, ObjectVersion: "1.39",
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.beat(row)
	return row
}

func (s *site) beat(row cinder.Service) {
	s.t.Helper()
	if missing, err := s.db.Beat(s.t.Context(), row.ID); err != nil || len(missing) > 0 {
		s.t.Fatalf("beat: %v, missing %v", err, missing)
	}
}

// edit writes a row as somebody else would.
func (s *site) edit(host string, f func(*cinder.Service)) { edit(s.t, s.db, host, f) }

func edit(tb testing.TB, db *store.DB, host string, f func(*cinder.Service)) {
	tb.Helper()
	binary := cinder.BinaryVolume
	err := db.Update(context.Background(), func(tx *store.Tx) error {
		rows, err := tx.Services(context.Background(), cinder.ServiceQuery{Host: &host, Binary: &binary})
		if err != nil {
			return err
		}
		for _, row := range rows {
			now := row
			f(&now)
			if err := tx.SaveService(context.Background(), row, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Error(err)
	}
}

// row is what a list shows of a host.
func (s *site) row(host string) cinder.Service {
	s.t.Helper()
	l, err := s.Services(s.t.Context(), cinder.ServiceQuery{Host: &host})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(l.Services) != 1 {
		s.t.Fatalf("%d services on %s, want 1", len(l.Services), host)
	}
	return l.Services[0]
}

// says is the part of a row that administrators care about, in one line.
func says(r cinder.Service) string {
	word := "enabled"
	if r.Disabled {
		word = "disabled"
	}
	reason := "-"
	if r.DisabledReason != nil {
		reason = "'" + *r.DisabledReason + "'"
	}
	parts := []string{word, reason}
	if r.Frozen {
		parts = append(parts, "frozen")
	}
	parts = append(parts, string(r.ReplicationStatus))
	if r.ActiveBackendID != nil && *r.ActiveBackendID != "" {
		parts = append(parts, "on "+*r.ActiveBackendID)
	}
	return strings.Join(parts, " ")
}

// open are the operations that are open.
func (s *site) open() []cinder.Operation { return s.unsettled(cinder.OpOpen) }

// watched are those that are watched.
func (s *site) watched() []cinder.Operation { return s.unsettled(cinder.OpMonitoring) }

func (s *site) unsettled(state cinder.OperationState) []cinder.Operation {
	s.t.Helper()
	var ops []cinder.Operation
	err := s.db.Update(s.t.Context(), func(tx *store.Tx) (err error) {
		ops, err = tx.OpenOperations(s.t.Context())
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(ops, func(op cinder.Operation) bool { return op.State != state })
}

// settle runs one Control's recovery until nothing is open, or fails the test.
func (s *site) settle(c *control.Control) {
	s.t.Helper()
	s.runUntil(c, func() bool { return len(s.open()) == 0 })
}

// patience is how long tests wait for what must come: far longer than it takes.
const patience = time.Minute

// runUntil runs a process's recovery until done, which has to stay true once it is:
// recovery goes on for a moment. What shows only between two of its looks is for
// lookUntil.
func (s *site) runUntil(c *control.Control, done func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	for !done() && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	if ctx.Err() != nil {
		s.t.Errorf("not settled after %v: %+v", patience, s.open())
	}
	cancel()
	<-ended
}

// lookUntil has a process look, one look after another, until done: each operation
// has taken one step more at most when done is asked again.
func (s *site) lookUntil(c *control.Control, done func() bool) {
	s.t.Helper()
	for began := time.Now(); !done(); {
		if time.Since(began) > patience {
			s.t.Fatalf("not so after %v of looking: %+v", patience, s.open())
		}
		if err := c.Look(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// arrives waits until a command has reached the fleet, which holds it. It fails when
// the request that sends it ends before that, with what it put into ended.
func (f *fleet) arrives(tb testing.TB, ended <-chan error) {
	tb.Helper()
	select {
	case <-f.entered:
	case err := <-ended:
		tb.Fatalf("the request has ended before its command was sent: %v", err)
	case <-time.After(patience):
		tb.Fatalf("no command was sent within %v", patience)
	}
}

func wantKind(tb testing.TB, err error, want cinder.Kind) {
	tb.Helper()
	if err == nil {
		tb.Fatalf("no error, want kind %v", want)
	}
	if got := cinder.KindOf(err); got != want {
		tb.Fatalf("kind %v, want %v: %v", got, want, err)
	}
}

// fleet answers commands, and writes the rows that Python services write.
type fleet struct {
	db *store.DB

	mu      sync.Mutex
	answer  map[string]error // by command; nil carries it out
	late    bool             // carried out, but the answer is lost
	targets cinder.FailoverTargets
	pools   []cinder.Pool
	poolErr error
	sent    []string
	hold    chan struct{} // a command waits here before it answers
	entered chan struct{}
	levels  map[string]map[string]cinder.LogLevel
	gone    map[string]bool  // queues that nobody consumes
	mute    map[string]error // hosts that do not answer log questions
}

var errLate = cinder.Errorf(cinder.KindTimeout, "no answer")

func (f *fleet) do(command string, s cinder.Service, carryOut func(*cinder.Service)) error {
	f.mu.Lock()
	words := command + " " + s.QueueHost()
	if s.RPCVersion != cinder.VolumeRPCVersion {
		words += " as " + s.RPCVersion
	}
	f.sent = append(f.sent, words)
	err, late, hold, entered := f.answer[command], f.late, f.hold, f.entered
	f.mu.Unlock()
	if err == nil || late {
		edit(failNow{}, f.db, s.Host, carryOut)
	}
	if entered != nil {
		entered <- struct{}{}
	}
	if hold != nil {
		<-hold
	}
	return err
}

// failNow lets edit be used where no test is at hand.
type failNow struct{ testing.TB }

func (failNow) Helper()        {}
func (failNow) Error(a ...any) { panic(a) }

func (f *fleet) Freeze(_ context.Context, s cinder.Service) error {
	return f.do("freeze", s, func(r *cinder.Service) {
		r.Disabled, r.DisabledReason, r.ModifiedAt = true, new("frozen"), time.Now()
	})
}

func (f *fleet) Thaw(_ context.Context, s cinder.Service) error {
	return f.do("thaw", s, func(r *cinder.Service) {
		r.Disabled, r.DisabledReason, r.ModifiedAt = false, new(""), time.Now()
	})
}

// Failover does at once what a Python service does a moment later. The target
// "explode" fails, "nowhere" is refused.
func (f *fleet) Failover(_ context.Context, s cinder.Service, target *string) error {
	to := "site-b"
	if target != nil {
		to = *target
	}
	return f.do("failover", s, func(r *cinder.Service) {
		active := r.ActiveBackendID != nil && *r.ActiveBackendID != ""
		switch to {
		case "explode":
			r.ReplicationStatus, r.Disabled = cinder.ReplicationFailoverError, true
		case "nowhere":
			r.ReplicationStatus = cinder.ReplicationEnabled
			if active {
				r.ReplicationStatus = cinder.ReplicationFailedOver
			}
		case "default":
			r.ReplicationStatus, r.ActiveBackendID = cinder.ReplicationEnabled, new("")
			if !r.Frozen {
				r.Disabled, r.DisabledReason = false, new("")
			}
		default:
			r.ReplicationStatus, r.ActiveBackendID = cinder.ReplicationFailedOver, &to
			r.Disabled, r.DisabledReason = true, new("failed-over")
		}
		r.ModifiedAt = time.Now()
	})
}

// FailoverCompleted does what a live Python member does.
func (f *fleet) FailoverCompleted(_ context.Context, cluster string, o cinder.FailoverOutcome) error {
	f.mu.Lock()
	f.sent = append(f.sent, "failover_completed "+cluster)
	err := f.answer["failover_completed"]
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.db.Update(context.Background(), func(tx *store.Tx) error {
		rows, err := tx.Services(context.Background(), cinder.ServiceQuery{Cluster: &cluster})
		if err != nil {
			return err
		}
		for _, row := range rows {
			now := row
			now.ReplicationStatus, now.ActiveBackendID = o.ReplicationStatus, o.ActiveBackendID
			if err := tx.SaveService(context.Background(), row, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fleet) Listening(_ context.Context, s cinder.Service) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.gone[s.QueueHost()], nil
}

func (f *fleet) Targets(cinder.Service) cinder.FailoverTargets { return f.targets }

func (f *fleet) Pools(ctx context.Context) ([]cinder.Pool, error) {
	if errors.Is(f.poolErr, errLate) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return f.pools, f.poolErr
}

func (f *fleet) LogLevels(ctx context.Context, s cinder.Service, _ string) (map[string]cinder.LogLevel, error) {
	f.mu.Lock()
	err, levels := f.mute[s.Host], f.levels[s.Host]
	f.mu.Unlock()
	if errors.Is(err, errLate) {
		<-ctx.Done()
	}
	return levels, err
}

func (f *fleet) SetLogLevel(_ context.Context, s cinder.Service, prefix string, level cinder.LogLevel) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.mute[s.Host]; err != nil {
		return err
	}
	f.sent = append(f.sent, "set-log "+s.Host+" "+prefix+"="+string(level))
	slices.Sort(f.sent)
	return nil
}

type loggers struct{ set []string }

func (l *loggers) Levels(prefix string) map[string]cinder.LogLevel {
	return map[string]cinder.LogLevel{prefix + "x": cinder.LogInfo}
}

func (l *loggers) SetLevel(prefix string, level cinder.LogLevel) {
	l.set = append(l.set, prefix+"="+string(level))
}
