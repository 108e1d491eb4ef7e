package agent_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"stoker/internal/cinder"
)

// atHome has the rows that fill inserts, away the same after a failover to a site that
// lost rep-lost.
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
	return withChanges(atHome(), map[string]string{"rep-null": "available - enabled", "plain-busy": "error creating not-capable"})
}

// TestVolumesFollowAFailover fails over to one site, to another, and back.
func TestVolumesFollowAFailover(t *testing.T) {
	for _, cluster := range []string{"", "mycl@alpha"} {
		t.Run("in "+cluster, func(t *testing.T) {
			s := newVolumeSite(t)
			s.in = cluster
			s.fill()
			s.start()
			s.wants("before", atHome())
			s.array.lost["site-b"] = map[string]bool{"rep-lost": true}
			s.mustFailover("site-b")
			s.wants("at site-b", away())
			s.stop()
			s.start()
			s.wants("after a restart", away())
			s.mustFailover("site-c")
			s.wants("at site-c", withChanges(away(), map[string]string{
				"rep": "in-use - failed-over moved", "rep-lost": "available - failed-over", "snap-rep-lost": "available", "torn": "available failed-over",
			}))
			s.mustFailover("default")
			s.wants("back", withChanges(backHome(), map[string]string{"rep": "in-use - enabled moved"}))
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
			s := newVolumeSite(t)
			s.fill()
			s.start()
			s.array.fail = fail
			if err := s.failover("site-b"); err == nil {
				t.Error("the failover did not fail")
			}
			s.wants("the rows", atHome())
		})
	}
}

// TestVolumesThatOthersChange checks that rows which others change while the backend is
// away are left alone.
func TestVolumesThatOthersChange(t *testing.T) {
	s := newVolumeSite(t)
	s.fill()
	s.start()
	s.mustFailover("site-b")
	s.sql(`UPDATE volumes SET status = 'available' WHERE id = 'plain'`)
	s.sql(`UPDATE snapshots SET status = 'deleting' WHERE id = 'snap-plain'`)
	s.sql(`UPDATE volumes SET deleted = 1 WHERE id = 'plain-busy'`)
	s.mustFailover("site-c")
	s.wants("elsewhere", map[string]string{"plain": "available in-use not-capable", "snap-plain": "deleting", "plain-busy": "error creating not-capable"})
	s.mustFailover("default")
	s.wants("back", map[string]string{"plain": "available in-use disabled", "snap-plain": "deleting", "plain-busy": "error creating not-capable"})
}

// TestVolumesAnotherMemberBringsBack checks a failback by a member of Cinder's own,
// which does not restore what a failover left behind: we restore that, and leave the
// rest alone.
func TestVolumesAnotherMemberBringsBack(t *testing.T) {
	s := newVolumeSite(t)
	s.in = "mycl@alpha"
	s.fill()
	s.start()
	s.array.lost["site-b"] = map[string]bool{"rep-lost": true}
	s.mustFailover("site-b")
	s.wants("at site-b", away())
	s.sql(`UPDATE clusters SET replication_status = 'enabled', active_backend_id = '', disabled = 0, disabled_reason = ''`)
	s.sql(`UPDATE volumes SET replication_status = 'enabled' WHERE id = 'rep'`)
	s.sql(`UPDATE volumes SET replication_status = 'error' WHERE id = 'rep-null'`)
	outcome := cinder.FailoverOutcome{
		ReplicationStatus: "enabled", ActiveBackendID: new(""), Disabled: new(false), DisabledReason: new(""),
	}
	if err := s.FailoverCompleted(t.Context(), outcome); err != nil {
		t.Fatal(err)
	}
	s.becomes("brought back", withChanges(backHome(), map[string]string{"rep-null": "available - error"}))
}

// TestVolumesAfterAKill checks that the next process completes a round of which the
// previous one was killed halfway, in either direction.
func TestVolumesAfterAKill(t *testing.T) {
	home := map[string]int{"available - enabled": 225, "available - disabled": 225}
	gone := map[string]int{"available - failed-over": 225, "error available not-capable": 225}
	half := map[string]int{
		"available - failed-over": 200, "error available not-capable": 200, "available - enabled": 25, "available - disabled": 25,
	}
	for _, tt := range []struct {
		name   string
		row    string // the service's row by then
		after  map[string]int
		status string
	}{
		{"before the row says so", `UPDATE services SET replication_status = 'failing-over', active_backend_id = NULL, disabled = 0, disabled_reason = NULL`, home, "enabled"},
		{"after that", `UPDATE services SET replication_status = 'failed-over', active_backend_id = 'site-b', disabled = 1`, gone, "failed-over"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newVolumeSite(t)
			s.many()
			s.start()
			s.db.saves.Store(2)
			s.mustFailover("site-b")
			s.count("half-way", half)
			s.stop()
			s.sql(tt.row)
			s.db.saves.Store(1 << 40)
			s.start()
			s.eventually("after the next start", tt.after)
		})
	}
}

// TestVolumesAfterAnOutage checks that a round is completed after the database was
// away.
func TestVolumesAfterAnOutage(t *testing.T) {
	s := newVolumeSite(t)
	s.many()
	s.start()
	s.db.saves.Store(1)
	s.mustFailover("site-b")
	s.db.saves.Store(1 << 40)
	s.eventually("once it is back", map[string]int{"available - failed-over": 225, "error available not-capable": 225})
}

// TestStopDuringAFailover checks that a service stopped in the middle records where its
// backend is, and that its next process carries the remaining volumes there.
func TestStopDuringAFailover(t *testing.T) {
	s := newVolumeSite(t)
	s.many()
	s.start()
	ctx, cancel := context.WithCancel(t.Context())
	s.db.saves.Store(1)
	s.db.last = cancel
	s.sql(`UPDATE services SET replication_status = 'failing-over'`)
	if err := s.Failover(ctx, new("site-b")); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if row := s.row(); row.ReplicationStatus != "failed-over" || *row.ActiveBackendID != "site-b" {
		t.Errorf("the row says %s", row.ReplicationStatus)
	}
	s.db.saves.Store(1 << 40)
	s.start()
	s.eventually("after the next start", map[string]int{"available - failed-over": 225, "error available not-capable": 225})
}

// TestEverythingAtOnce checks that concurrent commands, between heartbeats, run one
// after another and leave the volumes where the backend is.
func TestEverythingAtOnce(t *testing.T) {
	s := newVolumeSite(t)
	s.many()
	s.start()
	var commands sync.WaitGroup
	for _, command := range []func(context.Context) error{
		s.FreezeHost, s.ThawHost, s.PublishCapabilities,
		func(context.Context) error { return s.failover("site-b") },
		func(context.Context) error { return s.failover("default") },
		func(ctx context.Context) error { return s.FailoverCompleted(ctx, cinder.FailoverOutcome{}) },
		func(ctx context.Context) error {
			return s.Cleanup(ctx, cinder.CleanupRequest{ServiceID: new(int64(1))})
		},
	} {
		commands.Go(func() {
			for range 3 {
				// An unmarked freeze is refused as one that came too late, and so is a
				// failover whose mark another one has taken.
				if err := command(t.Context()); err != nil && cinder.KindOf(err) != cinder.KindUnavailable {
					t.Error(err)
				}
			}
		})
	}
	commands.Wait()
	want := map[string]int{"available - enabled": 225, "available - disabled": 225}
	if row := s.row(); row.ReplicationStatus == "failed-over" {
		want = map[string]int{"available - failed-over": 225, "error available not-capable": 225}
	} else if row.ReplicationStatus != "enabled" {
		t.Errorf("the row says %s", row.ReplicationStatus)
	}
	s.eventually("in the end", want)
}

func TestInterruptedWork(t *testing.T) {
	s := newVolumeSite(t)
	s.start()
	s.volume("new", "creating", "", "disabled", "")
	s.volume("upload", "uploading", "", "disabled", "")
	s.volume("deletion", "deleting", "", "disabled", "")
	s.volume("ahead", "creating", "", "disabled", "") // begun before the clock was set back
	for i, id := range []string{"new", "upload", "deletion", "ahead"} {
		s.sql(`INSERT INTO workers (id, resource_type, resource_id, status, service_id, updated_at, deleted)
			SELECT ?, 'Volume', id, status, 1, CASE id WHEN 'ahead' THEN '2999-11-24 10:00:00' ELSE '2026-11-24 10:00:00' END, 0 FROM volumes WHERE id = ?`, 10+i, id)
	}
	if err := s.Cleanup(t.Context(), cinder.CleanupRequest{}); cinder.KindOf(err) != cinder.KindInvalid {
		t.Errorf("a request without a service: %v", err)
	}
	if err := s.Cleanup(t.Context(), cinder.CleanupRequest{ServiceID: new(int64(1)), ResourceID: "upload"}); err != nil {
		t.Fatal(err)
	}
	s.wants("after a request for one", map[string]string{"new": "creating - disabled", "upload": "available - disabled", "deletion": "deleting - disabled", "ahead": "creating - disabled"})
	s.stop()
	s.start()
	s.wants("after a start", map[string]string{"new": "error - disabled", "ahead": "error - disabled", "upload": "available - disabled", "deletion": "deleting - disabled"})
	left, err := s.db.Workers(t.Context(), 1, cinder.CleanupRequest{})
	if err != nil || len(left) != 1 || !strings.Contains(fmt.Sprint(left), "deletion") {
		t.Errorf("work is left: %+v, %v", left, err)
	}
}

// BenchmarkVolumesFollow fails over 10,000 volumes, half of them replicated, and back.
func BenchmarkVolumesFollow(b *testing.B) {
	for _, target := range []string{"site-b", "default"} {
		b.Run("to "+target, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := newVolumeSite(b)
				s.manyMore(10_000)
				s.start()
				if target == "default" {
					s.mustFailover("site-b")
				}
				b.StartTimer()
				s.mustFailover(target)
				b.StopTimer()
				s.stop()
				b.StartTimer()
			}
		})
	}
}
