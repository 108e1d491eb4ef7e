package agent_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strings"
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

// flaky is a database that can go away between two pages of volumes.
type flaky struct {
	port
	saves atomic.Int64 // that still get through, while it is not negative
}

func (f *flaky) SaveVolumes(ctx context.Context, changes []cinder.VolumeChange) ([]string, error) {
	if f.saves.Add(-1) == -1 {
		f.saves.Store(0)
		return nil, cinder.Errorf(cinder.KindUnavailable, "the database is away")
	}
	return f.port.SaveVolumes(ctx, changes)
}

// array is a mirror that fails as it is told, and has lost volumes.
type array struct {
	*mirror.Backend
	fail error
	lost map[string]map[string]bool // by site: ids
	at   string
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

// shelf is a volume service with volumes.
type shelf struct {
	*agent.Volume
	t     *testing.T
	path  string // of the database
	db    *flaky
	array *array
	root  string
	host  string
	in    string // its cluster
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{t: t, path: filepath.Join(t.TempDir(), "stoker.db"), root: filepath.Join(t.TempDir(), "alpha"), host: "host1@alpha"}
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:///" + s.path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.db = &flaky{port: port{db}}
	s.db.saves.Store(1 << 40)
	return s
}

// start starts another process of the service.
func (s *shelf) start() {
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
			Host: s.host, Zone: "nova", Store: s.db, Bus: quiet{}, Loggers: log,
			ReportInterval: 20 * time.Millisecond, DownTime: time.Minute,
		},
		Cluster: s.in, Backend: s.array, StatsInterval: time.Minute, ReplicationInterval: time.Minute,
	})
	if err := s.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.stop)
}

func (s *shelf) stop() {
	if err := s.Stop(context.Background()); err != nil {
		s.t.Error(err)
	}
}

// sql runs a statement as another program would.
func (s *shelf) sql(query string, args ...any) {
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

// volume makes a volume with one snapshot.
func (s *shelf) volume(id, status, previous, replication, group string) {
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

// fill makes one of each kind.
func (s *shelf) fill() {
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
func (s *shelf) wants(name string, want map[string]string) {
	s.t.Helper()
	got := s.look()
	for id := range got {
		if _, asked := want[id]; !asked {
			delete(got, id)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func (s *shelf) look() map[string]string {
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

// to fails the service over, after what control writes.
func (s *shelf) to(target string) error {
	s.t.Helper()
	s.sql(`UPDATE services SET replication_status = 'failing-over'`)
	s.sql(`UPDATE clusters SET replication_status = 'failing-over'`)
	return s.Failover(s.t.Context(), &target)
}

func (s *shelf) mustTo(target string) {
	s.t.Helper()
	if err := s.to(target); err != nil {
		s.t.Fatal(err)
	}
}

// but is rows with changes.
func but(rows, changes map[string]string) map[string]string {
	maps.Copy(rows, changes)
	return rows
}

// atHome is how fill's rows are, away how they are at a site that has lost rep-lost.
func atHome() map[string]string {
	return map[string]string{
		"rep": "in-use - enabled", "rep-null": "available - -", "rep-lost": "available - enabled",
		"plain": "in-use available disabled", "plain-error": "error available not-capable", "plain-busy": "creating - not-capable",
		"snap-rep": "available", "snap-rep-lost": "available", "snap-plain": "available", "snap-plain-error": "available",
		"whole": "available enabled", "torn": "available enabled", "other": "available - disabled",
	}
}

func away() map[string]string {
	return map[string]string{
		"rep": "in-use - failed-over", "rep-null": "available - failed-over", "rep-lost": "error available failover-error",
		"plain": "error in-use not-capable", "plain-error": "error available not-capable", "plain-busy": "error creating not-capable",
		"snap-rep": "available", "snap-rep-lost": "error", "snap-plain": "error", "snap-plain-error": "available",
		"whole": "available failed-over", "torn": "error failover-error", "other": "available - disabled",
	}
}

func backHome() map[string]string {
	return but(atHome(), map[string]string{"rep-null": "available - enabled", "plain-busy": "error creating not-capable"})
}

// Volumes follow their backend: to a site, on to another one, and back.
func TestVolumesFollowAFailover(t *testing.T) {
	for _, cluster := range []string{"", "mycl@alpha"} {
		t.Run("in "+cluster, func(t *testing.T) {
			s := newShelf(t)
			s.in = cluster
			s.fill()
			s.start()
			s.wants("before", atHome())
			s.array.lost["site-b"] = map[string]bool{"rep-lost": true}
			s.mustTo("site-b")
			s.wants("at site-b", away())
			s.stop()
			s.start()
			s.array.at = "site-b"
			s.wants("after a restart", away())
			s.mustTo("site-c")
			s.wants("at site-c", but(away(), map[string]string{
				"rep": "in-use - failed-over moved", "rep-lost": "available - failed-over", "snap-rep-lost": "available", "torn": "available failed-over",
			}))
			s.mustTo("default")
			s.wants("back", but(backHome(), map[string]string{"rep": "in-use - enabled moved"}))
		})
	}
}

func TestVolumesStayWhenTheBackendDoes(t *testing.T) {
	for name, fail := range map[string]error{
		"a target that is none":  cinder.Errorf(cinder.KindInvalid, "no such site"),
		"a backend that refuses": cinder.Errorf(cinder.KindConflict, "not now"),
		"a backend that fails":   cinder.Errorf(cinder.KindInternal, "the array is on fire"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			s.fill()
			s.start()
			s.array.fail = fail
			if err := s.to("site-b"); err == nil {
				t.Error("the failover did not fail")
			}
			s.wants("the rows", atHome())
		})
	}
}

// What somebody else has changed while the backend was away is theirs.
func TestVolumesThatOthersChange(t *testing.T) {
	s := newShelf(t)
	s.fill()
	s.start()
	s.mustTo("site-b")
	s.sql(`UPDATE volumes SET status = 'available' WHERE id = 'plain'`)
	s.sql(`UPDATE snapshots SET status = 'deleting' WHERE id = 'snap-plain'`)
	s.sql(`UPDATE volumes SET deleted = 1 WHERE id = 'plain-busy'`)
	s.mustTo("site-c")
	s.wants("elsewhere", map[string]string{"plain": "available in-use not-capable", "snap-plain": "deleting", "plain-busy": "error creating not-capable"})
	s.mustTo("default")
	s.wants("back", map[string]string{"plain": "available in-use disabled", "snap-plain": "deleting", "plain-busy": "error creating not-capable"})
}

// many makes volumes for more than two pages.
func (s *shelf) many() {
	s.t.Helper()
	s.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450)
		INSERT INTO volumes (id, host, cluster_name, status, replication_status, volume_type_id, deleted)
		SELECT printf('v%04d', i), ?, ?, 'available', CASE WHEN i % 2 THEN 'enabled' ELSE 'disabled' END, 'type', 0 FROM n`, s.host, s.in)
}

func (s *shelf) count(name string, want map[string]int) {
	s.t.Helper()
	got := map[string]int{}
	for _, words := range s.look() {
		got[words]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// eventually waits for what a task does.
func (s *shelf) eventually(name string, want map[string]int) {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		got := map[string]int{}
		for _, words := range s.look() {
			got[words]++
		}
		if cmp.Equal(want, got) {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	s.count(name, want)
}

// A process that is killed half-way leaves nothing half done: its next one ends
// what the rows of the service say, there or back.
func TestVolumesAfterAKill(t *testing.T) {
	home := map[string]int{"available - enabled": 225, "available - disabled": 225}
	gone := map[string]int{"available - failed-over": 225, "error available not-capable": 225}
	half := map[string]int{
		"available - failed-over": 200, "error available not-capable": 200, "available - enabled": 25, "available - disabled": 25,
	}
	for _, tt := range []struct {
		name   string
		row    string // what the row of the service says by then
		after  map[string]int
		status string
	}{
		{"before the row says so", `UPDATE services SET replication_status = 'failing-over', active_backend_id = NULL, disabled = 0, disabled_reason = NULL`, home, "enabled"},
		{"after that", `UPDATE services SET replication_status = 'failed-over', active_backend_id = 'site-b', disabled = 1`, gone, "failed-over"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShelf(t)
			s.many()
			s.start()
			s.db.saves.Store(2)
			s.mustTo("site-b")
			s.count("half-way", half)
			s.stop()
			s.sql(tt.row)
			s.db.saves.Store(1 << 40)
			s.start()
			s.eventually("after the next start", tt.after)
		})
	}
}

// A database that goes away half-way is no reason to stop there.
func TestVolumesAfterAnOutage(t *testing.T) {
	s := newShelf(t)
	s.many()
	s.start()
	s.db.saves.Store(1)
	s.mustTo("site-b")
	s.db.saves.Store(1 << 40)
	s.eventually("once it is back", map[string]int{"available - failed-over": 225, "error available not-capable": 225})
}

func TestInterruptedWork(t *testing.T) {
	s := newShelf(t)
	s.start()
	s.volume("new", "creating", "", "disabled", "")
	s.volume("upload", "uploading", "", "disabled", "")
	s.volume("deletion", "deleting", "", "disabled", "")
	for i, id := range []string{"new", "upload", "deletion"} {
		s.sql(`INSERT INTO workers (id, resource_type, resource_id, status, service_id, updated_at, deleted)
			SELECT ?, 'Volume', id, status, 1, '2026-11-24 10:00:00', 0 FROM volumes WHERE id = ?`, 10+i, id)
	}
	if err := s.Cleanup(t.Context(), cinder.CleanupRequest{}); cinder.KindOf(err) != cinder.KindInvalid {
		t.Errorf("a request without a service: %v", err)
	}
	if err := s.Cleanup(t.Context(), cinder.CleanupRequest{ServiceID: new(int64(1)), ResourceID: "upload"}); err != nil {
		t.Fatal(err)
	}
	s.wants("after a request for one", map[string]string{"new": "creating - disabled", "upload": "available - disabled", "deletion": "deleting - disabled"})
	s.stop()
	s.start()
	s.wants("after a start", map[string]string{"new": "error - disabled", "upload": "available - disabled", "deletion": "deleting - disabled"})
	left, err := s.db.Workers(t.Context(), 1, cinder.CleanupRequest{})
	if err != nil || len(left) != 1 || !strings.Contains(fmt.Sprint(left), "deletion") {
		t.Errorf("work is left: %+v, %v", left, err)
	}
}
