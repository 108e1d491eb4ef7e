package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

func registration(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	t.Run("a new service", func(t *testing.T) {
		db := create(t).Open(t)
		before := time.Now().Truncate(time.Second)
		got := register(t, db, volume("h@b"))
		if got.CreatedAt.Before(before) || got.CreatedAt.After(time.Now()) {
			t.Errorf("created at %v, want now", got.CreatedAt)
		}
		if len(got.UUID) != 36 {
			t.Errorf("uuid %q", got.UUID)
		}
		want := volume("h@b")
		want.ID, want.UUID, want.CreatedAt = got.ID, got.UUID, got.CreatedAt
		wantSame(t, "answer", got, want)
		wantSame(t, "row", row(t, db, got.ID), want)
		if other := register(t, db, volume("h2@b")); other.ID == got.ID || other.UUID == got.UUID {
			t.Errorf("two services have one identity: %v, %v", got, other)
		}
	})
	t.Run("a restart", func(t *testing.T) { restart(t, create) })
	t.Run("a restart while a failover stands", func(t *testing.T) {
		for _, status := range []cinder.ReplicationStatus{cinder.ReplicationFailedOver, cinder.ReplicationFailingOver, cinder.ReplicationFailoverError} {
			d := create(t)
			db := d.Open(t)
			id := register(t, db, volume("h@b")).ID
			d.Exec(t, `UPDATE services SET replication_status = ?, active_backend_id = 'site-b'`, string(status))
			register(t, db, volume("h@b"))
			if got := row(t, db, id); got.ReplicationStatus != status || got.ActiveBackendID == nil || *got.ActiveBackendID != "site-b" {
				t.Errorf("%s became %+v", status, got)
			}
		}
	})
	t.Run("who was removed comes back as a new one", func(t *testing.T) {
		d := create(t)
		db := d.Open(t)
		first := register(t, db, volume("h@b"))
		d.Exec(t, `UPDATE services SET deleted = TRUE, disabled = TRUE`)
		second := register(t, db, volume("h@b"))
		if second.ID == first.ID || second.UUID == first.UUID || second.Disabled {
			t.Errorf("second row %+v after %+v, want a new one, enabled", second, first)
		}
	})
	t.Run("names that almost match", func(t *testing.T) {
		db := create(t).Open(t)
		ids := map[int64]bool{}
		for _, s := range []cinder.Service{volume("h"), volume("h@b"), volume("H@b"), volume("h@b2"), {Host: "h@b", Binary: "cinder-backup"}} {
			ids[register(t, db, s).ID] = true
			register(t, db, s)
		}
		if len(ids) != 5 || len(view(t, db, cinder.ServiceQuery{})) != 5 {
			t.Errorf("%d rows, want 5", len(ids))
		}
	})
	t.Run("the oldest of several rows of one name", func(t *testing.T) {
		d := create(t)
		db := d.Open(t)
		for id := 3; id > 1; id-- {
			d.Exec(t, `INSERT INTO services (id, report_count, host, "binary") VALUES (?, 0, 'h@b', 'cinder-volume')`, id)
		}
		if got := register(t, db, volume("h@b")); got.ID != 2 {
			t.Errorf("took row %d, want 2", got.ID)
		}
	})
	t.Run("clusters", func(t *testing.T) { clusterMembers(t, create) })
	t.Run("many at once, as each would be", func(t *testing.T) { registerMany(t, create) })
}

// registerMany registers the same list one by one in one database and at once in
// another, twice each, over existing rows.
func registerMany(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	services := []cinder.Service{
		volume("new@b"), volume("old@b"), volume("removed@b"), clustered("c1@b", "c@b"), clustered("c2@b", "c@b"), volume("OLD@b"), volume("new@b"),
		{Host: "old@b", Binary: cinder.BinaryBackup},
	}
	var answers, lists [2][]cinder.Service
	for i := range 2 {
		d := create(t)
		db := d.Open(t)
		for id, deleted := range []bool{false, false, true} {
			d.Exec(t, insertService, id+1001, fmt.Sprint("u-", id), []string{"old@b", "old@b", "removed@b"}[id], "cinder-volume", "cinder-volume", "zone", nil,
				true, "why", true, "failed-over", "site-b", 42, "3.0", "1.0", "2026-11-23 08:00:00", nil, nil, deleted)
		}
		for range 2 {
			if i == 0 {
				answers[i] = nil
				for _, s := range services {
					answers[i] = append(answers[i], register(t, db, s))
				}
				continue
			}
			var err error
			if answers[i], err = db.RegisterMany(t.Context(), services); err != nil {
				t.Fatal(err)
			}
		}
		lists[i] = view(t, db, cinder.ServiceQuery{})
	}
	own := cmpopts.IgnoreFields(cinder.Service{}, "UUID", "CreatedAt")
	if diff := cmp.Diff(answers[0], answers[1], own); diff != "" {
		t.Errorf("answers (-one by one +at once):\n%s", diff)
	}
	if diff := cmp.Diff(lists[0], lists[1], own); diff != "" {
		t.Errorf("rows (-one by one +at once):\n%s", diff)
	}
}

func restart(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	d := create(t)
	db := d.Open(t)
	d.Exec(t, insertService, 5, "u-5", "h@b", "cinder-volume", "cinder-volume", "zone", nil, true, "why", true, "error", "site-b",
		42, "3.0", "1.0", "2026-11-23 08:00:00", "2026-11-23 09:00:00", "2026-11-23 10:00:00", false)
	want := row(t, db, 5)
	s := volume("h@b")
	s.Zone = "other"
	s.Cluster = "c@b"
	want.Zone, want.Cluster, want.RPCVersion, want.ObjectVersion, want.ReplicationStatus = "other", "c@b", s.RPCVersion, s.ObjectVersion, s.ReplicationStatus
	wantSame(t, "answer", register(t, db, s), want)
	wantSame(t, "row", row(t, db, 5), want)

	s.Cluster, want.Cluster = "", ""
	register(t, db, s)
	wantSame(t, "row, no longer clustered", row(t, db, 5), want)
}

func clusterMembers(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	t.Run("the first member makes it", func(t *testing.T) {
		db := create(t).Open(t)
		first := register(t, db, clustered("h1@b", "c@b"))
		c := cluster(t, db)
		// Two statements of one transaction may have different seconds.
		if made := first.CreatedAt.Sub(c.CreatedAt); made < 0 || made > 5*time.Second {
			t.Errorf("the cluster was made at %v, want just before its member, at %v", c.CreatedAt, first.CreatedAt)
		}
		wantSame(t, "cluster", c, cinder.Cluster{
			ID: c.ID, Name: "c@b", Binary: cinder.BinaryVolume, ReplicationStatus: cinder.ReplicationEnabled, CreatedAt: c.CreatedAt,
		})
		second := clustered("h2@b", "c@b")
		second.ReplicationStatus = cinder.ReplicationDisabled
		register(t, db, second)
		wantSame(t, "cluster, after another came", cluster(t, db), c)
		wantSame(t, "members", hosts(view(t, db, cinder.ServiceQuery{Cluster: new("c")})), []string{"h1@b", "h2@b"})
	})
	t.Run("a new member of one that failed over", func(t *testing.T) {
		for _, before := range []string{"no row", "a row of its own"} {
			t.Run(before, func(t *testing.T) {
				d := create(t)
				db := d.Open(t)
				register(t, db, clustered("h1@b", "c@b"))
				if before != "no row" {
					register(t, db, volume("h2@b"))
				}
				d.Exec(t, `UPDATE clusters SET replication_status = 'failed-over', active_backend_id = 'site-b', frozen = TRUE`)
				got := register(t, db, clustered("h2@b", "c@b"))
				if got.ReplicationStatus != cinder.ReplicationFailedOver || got.ActiveBackendID == nil || *got.ActiveBackendID != "site-b" || !got.Frozen {
					t.Errorf("member %+v, want it failed over and frozen as its cluster is", got)
				}
				wantSame(t, "row", row(t, db, got.ID), got)
			})
		}
	})
	t.Run("a new member of one that is frozen", func(t *testing.T) {
		d := create(t)
		db := d.Open(t)
		register(t, db, clustered("h1@b", "c@b"))
		d.Exec(t, `UPDATE clusters SET frozen = TRUE`)
		if got := register(t, db, clustered("h2@b", "c@b")); !got.Frozen || got.ReplicationStatus != cinder.ReplicationEnabled {
			t.Errorf("member %+v, want it frozen", got)
		}
		if got := register(t, db, clustered("h1@b", "c@b")); got.Frozen {
			t.Errorf("an old member's own flag changed when it restarted: %+v", got)
		}
	})
}

func beats(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	t.Run("one more report, now, and nothing else", func(t *testing.T) {
		d := create(t)
		db := d.Open(t)
		d.Exec(t, insertService, 5, "u-5", "h@b", "cinder-volume", "cinder-volume", "zone", "c@b", true, "why", true, "failed-over", "site-b",
			42, "3.18", "1.39", "2026-11-23 08:00:00", "2026-11-23 09:00:00", "2026-11-23 10:00:00", false)
		want := row(t, db, 5)
		before := time.Now().Truncate(time.Second)
		missing, err := db.Beat(t.Context(), 5)
		if err != nil || len(missing) != 0 {
			t.Fatalf("missing %v, error %v", missing, err)
		}
		got := row(t, db, 5)
		if got.UpdatedAt.Before(before) || got.UpdatedAt.After(time.Now()) || got.UpdatedAt.Nanosecond() != 0 {
			t.Errorf("heartbeat at %v, want now, in whole seconds", got.UpdatedAt)
		}
		want.ReportCount, want.UpdatedAt = 43, got.UpdatedAt
		wantSame(t, "row", got, want)
	})
	t.Run("nobody", func(t *testing.T) {
		db := create(t).Open(t)
		if missing, err := db.Beat(t.Context()); err != nil || len(missing) != 0 {
			t.Errorf("missing %v, error %v", missing, err)
		}
	})
	t.Run("who has no row is named, the others beat", func(t *testing.T) {
		d := create(t)
		db := d.Open(t)
		a, b := register(t, db, volume("a")).ID, register(t, db, volume("b")).ID
		d.Exec(t, `UPDATE services SET deleted = TRUE WHERE id = ?`, b)
		missing, err := db.Beat(t.Context(), 4711, a, b)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "missing", missing, []int64{4711, b})
		if got := row(t, db, a); got.ReportCount != 1 {
			t.Errorf("reports %d, want 1", got.ReportCount)
		}
	})
	t.Run("thousands at once", func(t *testing.T) {
		d := create(t)
		db := d.Open(t)
		var ids []int64
		for id := range int64(3500) {
			ids = append(ids, id+1)
		}
		for chunk := range slices.Chunk(ids, 500) {
			var values []string
			for _, id := range chunk {
				values = append(values, fmt.Sprintf("(%d, 0)", id))
			}
			d.Exec(t, `INSERT INTO services (id, report_count) VALUES `+strings.Join(values, ", "))
		}
		missing, err := db.Beat(t.Context(), append(ids, 9999)...)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "missing", missing, []int64{9999})
		all := view(t, db, cinder.ServiceQuery{})
		if len(all) != 3500 || slices.ContainsFunc(all, func(s cinder.Service) bool { return s.ReportCount != 1 || s.UpdatedAt.IsZero() }) {
			t.Error("not every one of 3500 services has one report")
		}
	})
	t.Run("while another process keeps the database, it gives up soon", func(t *testing.T) {
		d := create(t)
		db, other := d.Open(t), d.Open(t)
		id := register(t, db, volume("h")).ID
		update(t, other, func(tx *store.Tx) error {
			if err := tx.SaveCauses(t.Context(), "b", "h", []cinder.Cause{{Kind: cinder.CauseAdmin, Since: at(8, 0)}}); err != nil {
				return err
			}
			start := time.Now()
			if _, err := db.Beat(t.Context(), id); err != nil { // an engine that locks rows does not block it
				wantKind(t, err, cinder.KindUnavailable)
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("gave up after %v", took)
			}
			return nil
		})
		if _, err := db.Beat(t.Context(), id); err != nil {
			t.Errorf("when it is free again: %v", err)
		}
	})
}
