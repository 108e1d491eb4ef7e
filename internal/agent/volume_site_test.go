package agent_test

import (
	"context"
	"database/sql"
	"io"
	"maps"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/agent"
	"stoker/internal/backend"
	"stoker/internal/backend/mirror"
	"stoker/internal/cinder"
	"stoker/internal/store"
	"stoker/internal/telemetry"
)

// flaky is a database that may go away between two pages of volumes.
type flaky struct {
	port
	saves atomic.Int64 // saves left until it goes away; negative for no limit
	last  func()       // called after the last one, when set
}

func (f *flaky) SaveVolumes(ctx context.Context, changes []cinder.VolumeChange) ([]string, error) {
	left := f.saves.Add(-1)
	if left < 0 {
		f.saves.Store(0)
		return nil, cinder.Errorf(cinder.KindUnavailable, "the database is away")
	}
	missed, err := f.port.SaveVolumes(ctx, changes)
	if left == 0 && f.last != nil {
		f.last()
	}
	return missed, err
}

// array is a mirror that fails on demand, and loses volumes.
type array struct {
	*mirror.Backend
	fail error
	lost map[string]map[string]bool // ids by site
	at   string
}

func (a *array) Setup(ctx context.Context, state backend.State) error {
	a.at = state.Active
	return a.Backend.Setup(ctx, state)
}

func (a *array) FailoverCompleted(ctx context.Context, active string) error {
	a.at = active
	return a.Backend.FailoverCompleted(ctx, active)
}

func (a *array) Failover(ctx context.Context, target *string) (string, error) {
	if a.fail != nil {
		return "", a.fail
	}
	active, err := a.Backend.Failover(ctx, target)
	if err == nil {
		a.at = active
	}
	return active, err
}

func (a *array) Verdicts(_ context.Context, volumes []cinder.Volume) (map[string]backend.Verdict, error) {
	verdicts := map[string]backend.Verdict{}
	for _, v := range volumes {
		if a.lost[a.at][v.ID] {
			verdicts[v.ID] = backend.Verdict{Lost: true}
		}
	}
	if a.at == "site-c" && len(volumes) > 0 {
		verdicts["rep"] = backend.Verdict{DriverData: new("moved")}
	}
	return verdicts, nil
}

// volumeSite is a volume service with volumes.
type volumeSite struct {
	*agent.Volume
	t     testing.TB
	path  string // of the database
	db    *flaky
	array *array
	root  string
	host  string
	in    string // its cluster
}

func newVolumeSite(tb testing.TB) *volumeSite {
	tb.Helper()
	s := &volumeSite{t: tb, path: databases.New(tb), root: filepath.Join(tb.TempDir(), "alpha"), host: "host1@alpha"}
	db, err := store.Open(tb.Context(), store.Options{URL: "sqlite:///" + s.path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	s.db = &flaky{port: port{db}}
	s.db.saves.Store(1 << 40)
	return s
}

// start starts another process of the service.
func (s *volumeSite) start() {
	s.t.Helper()
	log := telemetry.NewLoggers(telemetry.NewHandler(io.Discard, telemetry.Text), cinder.LogDebug)
	b, err := mirror.New(mirror.Options{
		Name: "alpha", Root: s.root, Targets: []string{"site-b", "site-c"}, Log: log.Logger("stoker.backend.mirror"),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	lost := map[string]map[string]bool{}
	if s.array != nil {
		lost = s.array.lost
	}
	s.array = &array{Backend: b, lost: lost}
	s.Volume = agent.NewVolume(agent.VolumeOptions{
		Options: agent.Options{
			Host: s.host, Zone: "nova", Store: s.db, Bus: noBus{}, Loggers: log,
			ReportInterval: 20 * time.Millisecond, DownTime: time.Minute,
		},
		Cluster: s.in, Backend: s.array, StatsInterval: time.Minute, ReplicationInterval: time.Minute,
	})
	if err := s.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.stop)
}

func (s *volumeSite) stop() {
	if err := s.Stop(context.Background()); err != nil {
		s.t.Error(err)
	}
}

// sql runs a statement as another program would.
func (s *volumeSite) sql(query string, args ...any) {
	s.t.Helper()
	db, err := sql.Open("sqlite", s.path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(s.t.Context(), query, args...); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
}

// volume inserts a volume with one snapshot.
func (s *volumeSite) volume(id, status, previous, replication, group string) {
	s.t.Helper()
	null := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	host, in := s.host+"#alpha", ""
	if s.in != "" {
		in = s.in + "#alpha"
	}
	s.sql(`INSERT INTO volumes (id, host, cluster_name, status, previous_status, replication_status, group_id, volume_type_id, deleted)
		VALUES (?, ?, ?, ?, ?, ?, ?, 'type', 0)`, id, host, null(in), status, null(previous), null(replication), null(group))
	s.sql(`INSERT INTO snapshots (id, volume_id, status, volume_type_id, deleted) VALUES (?, ?, 'available', 'type', 0)`, "snap-"+id, id)
}

// fill inserts volumes, snapshots and groups of each kind.
func (s *volumeSite) fill() {
	s.t.Helper()
	for _, group := range []string{"whole", "torn"} {
		s.sql(`INSERT INTO "groups" (id, host, cluster_name, status, replication_status, deleted) VALUES (?, ?, ?, 'available', 'enabled', 0)`,
			group, s.host+"#alpha", s.in)
	}
	s.volume("rep", "in-use", "", "enabled", "whole")
	s.volume("rep-null", "available", "", "", "")
	s.volume("rep-lost", "available", "", "enabled", "torn")
	s.volume("plain", "in-use", "available", "disabled", "")
	s.volume("plain-error", "error", "available", "not-capable", "")
	s.volume("plain-busy", "creating", "", "not-capable", "")
	s.sql(`INSERT INTO volumes (id, host, status, replication_status, volume_type_id, deleted) VALUES ('other', 'host2@alpha', 'available', 'disabled', 'type', 0)`)
}

// wants compares the rows; each is "status previous_status replication_status".
func (s *volumeSite) wants(name string, want map[string]string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.only(want)); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// only returns the rows that want has.
func (s *volumeSite) only(want map[string]string) map[string]string {
	s.t.Helper()
	got := s.look()
	maps.DeleteFunc(got, func(id, _ string) bool { _, asked := want[id]; return !asked })
	return got
}

// becomes waits for the rows: a task changes them one by one.
func (s *volumeSite) becomes(name string, want map[string]string) {
	s.t.Helper()
	await(s.t, func() bool { return cmp.Equal(want, s.only(want)) })
	s.wants(name, want)
}

// await waits until so is true, or fails after far longer than that takes.
func await(tb testing.TB, so func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); !so() && time.Now().Before(deadline); {
		<-time.After(10 * time.Millisecond)
	}
}

func (s *volumeSite) look() map[string]string {
	s.t.Helper()
	db, err := sql.Open("sqlite", s.path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(s.t.Context(), `
		SELECT id, status || ' ' || COALESCE(previous_status, '-') || ' ' || COALESCE(replication_status, '-') || COALESCE(' ' || replication_driver_data, '') FROM volumes
		UNION SELECT id, status FROM snapshots UNION SELECT id, status || ' ' || replication_status FROM "groups"`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var id, words string
		if err := rows.Scan(&id, &words); err != nil {
			s.t.Fatal(err)
		}
		found[id] = words
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return found
}

// failover fails the service over, after writing control's marks.
func (s *volumeSite) failover(target string) error {
	s.t.Helper()
	s.sql(`UPDATE services SET replication_status = 'failing-over'`)
	s.sql(`UPDATE clusters SET replication_status = 'failing-over'`)
	return s.Failover(s.t.Context(), &target)
}

func (s *volumeSite) mustFailover(target string) {
	s.t.Helper()
	if err := s.failover(target); err != nil {
		s.t.Fatal(err)
	}
}

// withChanges returns rows with changes.
func withChanges(rows, changes map[string]string) map[string]string {
	maps.Copy(rows, changes)
	return rows
}

// many inserts more than two pages of volumes.
func (s *volumeSite) many() { s.t.Helper(); s.manyMore(450) }

func (s *volumeSite) manyMore(n int) {
	s.t.Helper()
	s.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO volumes (id, host, cluster_name, status, replication_status, volume_type_id, deleted)
		SELECT printf('v%05d', i), ?, ?, 'available', CASE WHEN i % 2 THEN 'enabled' ELSE 'disabled' END, 'type', 0 FROM n`, n, s.host, s.in)
}

func (s *volumeSite) count(name string, want map[string]int) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.counted()); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func (s *volumeSite) counted() map[string]int {
	s.t.Helper()
	got := map[string]int{}
	for _, words := range s.look() {
		got[words]++
	}
	return got
}

// eventually waits until a task has changed the rows.
func (s *volumeSite) eventually(name string, want map[string]int) {
	s.t.Helper()
	await(s.t, func() bool { return cmp.Equal(want, s.counted()) })
	s.count(name, want)
}

func (s *volumeSite) row() cinder.Service {
	s.t.Helper()
	view, err := s.db.View(s.t.Context(), cinder.ServiceQuery{})
	if err != nil || len(view.Services) != 1 {
		s.t.Fatalf("%d services, %v", len(view.Services), err)
	}
	return view.Services[0]
}
