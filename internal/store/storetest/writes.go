package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// serviceChanges are changes of each column of a service that can be saved.
func serviceChanges() map[string]func(*cinder.Service) {
	return map[string]func(*cinder.Service){
		"disabled":            func(s *cinder.Service) { s.Disabled = !s.Disabled },
		"disabled reason":     func(s *cinder.Service) { s.DisabledReason = new("new") },
		"no disabled reason":  func(s *cinder.Service) { s.DisabledReason = nil },
		"empty reason":        func(s *cinder.Service) { s.DisabledReason = new("") },
		"frozen":              func(s *cinder.Service) { s.Frozen = !s.Frozen },
		"replication status":  func(s *cinder.Service) { s.ReplicationStatus = cinder.ReplicationFailingOver },
		"no replication":      func(s *cinder.Service) { s.ReplicationStatus = "" },
		"active backend":      func(s *cinder.Service) { s.ActiveBackendID = new("site-c") },
		"no active backend":   func(s *cinder.Service) { s.ActiveBackendID = nil },
		"cluster":             func(s *cinder.Service) { s.Cluster = "other@b" },
		"no cluster":          func(s *cinder.Service) { s.Cluster = "" },
		"rpc version":         func(s *cinder.Service) { s.RPCVersion = "3.19" },
		"object version":      func(s *cinder.Service) { s.ObjectVersion = "1.40" },
		"modified":            func(s *cinder.Service) { s.ModifiedAt = at(11, 0) },
		"never modified":      func(s *cinder.Service) { s.ModifiedAt = time.Time{} },
		"several at the time": func(s *cinder.Service) { s.Disabled, s.Frozen, s.ModifiedAt = false, false, at(12, 0) },
	}
}

func clusterChanges() map[string]func(*cinder.Cluster) {
	return map[string]func(*cinder.Cluster){
		"disabled":           func(c *cinder.Cluster) { c.Disabled = !c.Disabled },
		"disabled reason":    func(c *cinder.Cluster) { c.DisabledReason = new("new") },
		"frozen":             func(c *cinder.Cluster) { c.Frozen = !c.Frozen },
		"replication status": func(c *cinder.Cluster) { c.ReplicationStatus = cinder.ReplicationFailingOver },
		"active backend":     func(c *cinder.Cluster) { c.ActiveBackendID = nil },
		"updated":            func(c *cinder.Cluster) { c.UpdatedAt = at(11, 0) },
	}
}

func conditionalWrites(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	full := func(t *testing.T) (*store.DB, cinder.Service) {
		t.Helper()
		d := create(t)
		d.Exec(t, insertService, 5, "u-5", "h@b", "cinder-volume", "cinder-volume", "zone", "c@b", true, "why", true, "failed-over", "site-b",
			42, "3.18", "1.39", "2026-11-23 08:00:00", "2026-11-23 09:00:00.123456", "2026-11-23 10:00:00", false)
		db := d.Open(t)
		return db, row(t, db, 5)
	}
	for name, change := range serviceChanges() {
		t.Run("service, "+name, func(t *testing.T) {
			db, was := full(t)
			now := was
			change(&now)
			save := func(tx *store.Tx) error { return tx.SaveService(t.Context(), was, now) }
			update(t, db, save)
			wantSame(t, "row", row(t, db, 5), now)
			// The saved columns no longer match what was read.
			wantKind(t, db.Update(t.Context(), save), cinder.KindConflict)
			wantSame(t, "row after the conflict", row(t, db, 5), now)
		})
	}
	t.Run("service, only what differs is looked at", func(t *testing.T) {
		db, was := full(t)
		mine, other := was, was
		mine.Disabled = false
		other.RPCVersion = "3.19"
		update(t, db, func(tx *store.Tx) error { return tx.SaveService(t.Context(), was, other) })
		update(t, db, func(tx *store.Tx) error { return tx.SaveService(t.Context(), was, mine) })
		other.Disabled = false
		wantSame(t, "row", row(t, db, 5), other)
	})
	t.Run("service, what is not the caller's is never written", func(t *testing.T) {
		db, was := full(t)
		now := was
		now.UpdatedAt, now.CreatedAt, now.ReportCount, now.UUID, now.Host, now.Zone = at(20, 0), at(20, 0), 99, "x", "x", "x"
		update(t, db, func(tx *store.Tx) error { return tx.SaveService(t.Context(), was, now) })
		wantSame(t, "row", row(t, db, 5), was)
	})
	t.Run("service, a time is compared by the second", func(t *testing.T) {
		db, was := full(t)
		now := was
		was.ModifiedAt = was.ModifiedAt.Add(400 * time.Millisecond)
		now.ModifiedAt = at(13, 0).Add(900 * time.Millisecond)
		update(t, db, func(tx *store.Tx) error { return tx.SaveService(t.Context(), was, now) })
		if got, want := row(t, db, 5).ModifiedAt, at(13, 0); !got.Equal(want) {
			t.Errorf("modified %v, want %v: whole seconds", got, want)
		}
	})
	t.Run("service, a text is compared to the letter", func(t *testing.T) {
		for _, read := range []string{"Why", "why ", "whý"} {
			db, was := full(t) // with "why"
			was.DisabledReason = &read
			now := was
			now.DisabledReason = new("new")
			wantKind(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveService(t.Context(), was, now) }), cinder.KindConflict)
			was.DisabledReason, now.DisabledReason = new("why"), new("Why")
			update(t, db, func(tx *store.Tx) error { return tx.SaveService(t.Context(), was, now) })
			wantSame(t, "row", row(t, db, 5), now)
			was, now.Cluster = now, "C@b"
			update(t, db, func(tx *store.Tx) error { return tx.SaveService(t.Context(), was, now) })
			wantSame(t, "row", row(t, db, 5), now)
		}
	})
	t.Run("service, deleted or never there", func(t *testing.T) {
		d := create(t)
		db := d.Open(t)
		was := register(t, db, volume("h@b"))
		d.Exec(t, `UPDATE services SET deleted = TRUE`)
		for _, id := range []int64{was.ID, 4711} {
			was.ID = id
			now := was
			now.Disabled = true
			wantKind(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveService(t.Context(), was, now) }), cinder.KindConflict)
		}
	})
	for name, change := range clusterChanges() {
		t.Run("cluster, "+name, func(t *testing.T) {
			d := create(t)
			db := d.Open(t)
			d.Exec(t, `INSERT INTO clusters (id, name, "binary", race_preventer, frozen, disabled, disabled_reason, replication_status,
				active_backend_id, created_at, updated_at) VALUES (9, 'c@b', 'cinder-volume', 0, TRUE, TRUE, 'why', 'failed-over', 'site-b',
				'2026-11-23 08:00:00', '2026-11-23 09:00:00')`)
			was := cluster(t, db)
			now := was
			change(&now)
			save := func(tx *store.Tx) error { return tx.SaveCluster(t.Context(), was, now) }
			update(t, db, save)
			wantSame(t, "row", cluster(t, db), now)
			wantKind(t, db.Update(t.Context(), save), cinder.KindConflict)
			d.Exec(t, `UPDATE clusters SET deleted = TRUE`)
			wantKind(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveCluster(t.Context(), now, was) }), cinder.KindConflict)
		})
	}
}

func transactions(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	disable := func(ctx context.Context, tx *store.Tx, was cinder.Service) error {
		now := was
		now.Disabled = true
		return tx.SaveService(ctx, was, now)
	}
	t.Run("an error undoes everything and comes back as it is", func(t *testing.T) {
		db := create(t).Open(t)
		was := register(t, db, volume("h@b"))
		mine := cinder.Errorf(cinder.KindInvalid, "no")
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			if err := disable(t.Context(), tx, was); err != nil {
				return err
			}
			if err := tx.SaveCauses(t.Context(), was.Binary, was.Host, []cinder.Cause{{Kind: cinder.CauseAdmin, Since: at(8, 0)}}); err != nil {
				return err
			}
			if err := tx.AddOperation(t.Context(), cinder.Operation{ID: "1", State: cinder.OpOpen}); err != nil {
				return err
			}
			return mine
		})
		if !errors.Is(err, mine) {
			t.Errorf("error %v, want %v", err, mine)
		}
		wantSame(t, "row", row(t, db, was.ID), was)
		wantNothingRecorded(t, db, was)
	})
	t.Run("a panic undoes everything and goes on", func(t *testing.T) {
		db := create(t).Open(t)
		was := register(t, db, volume("h@b"))
		func() {
			defer func() {
				if got := recover(); got != "out of the blue" {
					t.Errorf("recovered %v", got)
				}
			}()
			_ = db.Update(t.Context(), func(tx *store.Tx) error {
				if err := disable(t.Context(), tx, was); err != nil {
					return err
				}
				panic("out of the blue")
			})
		}()
		wantSame(t, "row", row(t, db, was.ID), was)
		update(t, db, func(tx *store.Tx) error { return disable(t.Context(), tx, was) })
	})
	t.Run("a caller that has gone", func(t *testing.T) {
		db := create(t).Open(t)
		was := register(t, db, volume("h@b"))
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Update(ctx, func(tx *store.Tx) error {
			err := disable(ctx, tx, was)
			cancel()
			return err
		})
		wantKind(t, err, cinder.KindUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v does not say that the caller has gone", err)
		}
		wantSame(t, "row", row(t, db, was.ID), was)
		_, err = db.View(ctx, cinder.ServiceQuery{Host: new("h")})
		wantKind(t, err, cinder.KindUnavailable)
		_, err = db.Clusters(ctx, cinder.ClusterQuery{})
		wantKind(t, err, cinder.KindUnavailable)
	})
	t.Run("reads see the transaction's own writes", func(t *testing.T) {
		db := create(t).Open(t)
		was := register(t, db, volume("h@b"))
		update(t, db, func(tx *store.Tx) error {
			if err := disable(t.Context(), tx, was); err != nil {
				return err
			}
			got, err := tx.Services(t.Context(), cinder.ServiceQuery{Host: &was.Host})
			if err == nil && (len(got) != 1 || !got[0].Disabled) {
				t.Errorf("inside: %+v, want it disabled", got)
			}
			if outside := row(t, db, was.ID); outside.Disabled {
				t.Error("a write shows outside before its transaction has ended")
			}
			return err
		})
	})
	t.Run("its time is now, in whole seconds", func(t *testing.T) {
		db := create(t).Open(t)
		before := time.Now().Truncate(time.Second)
		update(t, db, func(tx *store.Tx) error {
			now := tx.Now()
			if now.Before(before) || now.After(time.Now()) || now.Nanosecond() != 0 || now.Location() != time.UTC {
				t.Errorf("now is %v, want a whole second of UTC from %v on", now, before)
			}
			return nil
		})
	})
	t.Run("a closed database", func(t *testing.T) {
		db := create(t).Open(t)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("to close it again: %v", err)
		}
		ctx := t.Context()
		_, err := db.View(ctx, cinder.ServiceQuery{})
		wantKind(t, err, cinder.KindUnavailable)
		_, err = db.View(ctx, cinder.ServiceQuery{Host: new("h")})
		wantKind(t, err, cinder.KindUnavailable)
		_, err = db.Clusters(ctx, cinder.ClusterQuery{})
		wantKind(t, err, cinder.KindUnavailable)
		wantKind(t, db.Update(ctx, func(*store.Tx) error { return nil }), cinder.KindUnavailable)
		_, err = db.Beat(ctx, 1)
		wantKind(t, err, cinder.KindUnavailable)
		_, err = db.Register(ctx, volume("h"))
		wantKind(t, err, cinder.KindUnavailable)
		wantKind(t, db.Ready(ctx), cinder.KindUnavailable)
	})
}

func wantNothingRecorded(tb testing.TB, db *store.DB, s cinder.Service) {
	tb.Helper()
	update(tb, db, func(tx *store.Tx) error {
		open, err := tx.OpenOperations(tb.Context())
		if err != nil {
			return err
		}
		causes, err := tx.Causes(tb.Context(), s.Binary, s.Host)
		if len(open) != 0 || len(causes) != 0 {
			tb.Errorf("operations %v, causes %v, want none", open, causes)
		}
		return err
	})
}
