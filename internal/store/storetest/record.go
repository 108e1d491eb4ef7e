package storetest

import (
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

func causes(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	db := create(t).Open(t)
	get := func(t *testing.T, binary, host string) (got []cinder.Cause) {
		t.Helper()
		update(t, db, func(tx *store.Tx) (err error) {
			got, err = tx.Causes(t.Context(), binary, host)
			return err
		})
		return got
	}
	save := func(t *testing.T, binary, host string, causes ...cinder.Cause) {
		t.Helper()
		update(t, db, func(tx *store.Tx) error { return tx.SaveCauses(t.Context(), binary, host, causes) })
	}
	frozen := cinder.Cause{Kind: cinder.CauseFrozen, Reason: new("frozen"), Since: at(9, 0)}
	admin := cinder.Cause{Kind: cinder.CauseAdmin, Since: at(8, 0)}
	empty := cinder.Cause{Kind: cinder.CauseFailedOver, Reason: new(""), Since: at(10, 0)}

	if got := get(t, "cinder-volume", "h@b"); len(got) != 0 {
		t.Errorf("causes of a service nobody disabled: %v", got)
	}
	save(t, "cinder-volume", "h@b", frozen, admin, empty)
	save(t, "cinder-backup", "h@b", admin)
	save(t, "cinder-volume", "H@b", empty)
	wantSame(t, "oldest first", get(t, "cinder-volume", "h@b"), []cinder.Cause{admin, frozen, empty})
	wantSame(t, "of another binary", get(t, "cinder-backup", "h@b"), []cinder.Cause{admin})
	wantSame(t, "of a name in other letters", get(t, "cinder-volume", "H@b"), []cinder.Cause{empty})

	update(t, db, func(tx *store.Tx) error {
		all, err := tx.AllCauses(t.Context())
		wantSame(t, "all causes", all, map[cinder.ServiceName][]cinder.Cause{
			{Binary: "cinder-backup", Host: "h@b"}: {admin}, {Binary: "cinder-volume", Host: "h@b"}: {admin, frozen, empty},
			{Binary: "cinder-volume", Host: "H@b"}: {empty},
		})
		return err
	})

	frozen.Reason = new("renewed")
	save(t, "cinder-volume", "h@b", frozen)
	wantSame(t, "replaced", get(t, "cinder-volume", "h@b"), []cinder.Cause{frozen})
	save(t, "cinder-volume", "h@b")
	if got := get(t, "cinder-volume", "h@b"); len(got) != 0 {
		t.Errorf("causes after all have ended: %v", got)
	}
	wantSame(t, "of another binary, untouched", get(t, "cinder-backup", "h@b"), []cinder.Cause{admin})
}

// operation has something in every field.
func operation() cinder.Operation {
	service := cinder.ServiceState{
		ID: 5, Binary: "cinder-volume", Host: "h@b", Disabled: true, DisabledReason: new("why"), Frozen: true,
		ReplicationStatus: cinder.ReplicationEnabled, ActiveBackendID: new("site-b"),
	}
	cluster := cinder.ClusterState{
		ID: 9, Binary: "cinder-volume", Name: "c@b", Disabled: true, DisabledReason: new(""), Frozen: true,
		ReplicationStatus: cinder.ReplicationFailedOver, ActiveBackendID: new(""),
	}
	enabled := service
	enabled.Disabled, enabled.DisabledReason, enabled.ActiveBackendID = false, nil, nil
	return cinder.Operation{
		ID: "1", Kind: cinder.OpThaw, State: cinder.OpOpen,
		Caller: cinder.Caller{
			UserID: "user", ProjectID: "project", Roles: []string{"admin", "réader"}, IsAdmin: true,
			RequestID: "req-1", GlobalRequestID: "req-0", Address: "192.0.2.1",
		},
		Binary: "cinder-volume", Host: "h@b", Cluster: "c@b", Detail: "detail",
		Before: cinder.Rows{Services: []cinder.ServiceState{service}, Clusters: []cinder.ClusterState{cluster}},
		Shown:  cinder.Rows{Services: []cinder.ServiceState{service, enabled}},
		After:  cinder.Rows{Services: []cinder.ServiceState{enabled}},
		Owner:  "process-1", LeaseUntil: at(9, 1).Add(1500 * time.Microsecond), Deadline: at(9, 2), StartedAt: at(9, 0), SettledAt: at(9, 3),
		Outcome:  "outcome",
		Progress: cinder.Progress{Attempts: 2, Fault: "fault", NextLook: at(9, 4), WatchUntil: at(9, 5), Late: []string{"h@b"}, Undoing: true},
	}
}

func journal(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	open := func(t *testing.T, db *store.DB) []cinder.Operation {
		t.Helper()
		v, err := db.View(t.Context(), cinder.ServiceQuery{})
		if err != nil {
			t.Fatal(err)
		}
		byName, err := db.View(t.Context(), cinder.ServiceQuery{Host: new("nobody")})
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "open operations beside a filtered list", byName.Open, v.Open)
		return v.Open
	}
	t.Run("every field", func(t *testing.T) {
		db := create(t).Open(t)
		for _, op := range []cinder.Operation{operation(), {ID: "0", State: cinder.OpOpen}} {
			update(t, db, func(tx *store.Tx) error { return tx.AddOperation(t.Context(), op) })
		}
		// One without a time is older than any.
		want := []cinder.Operation{{ID: "0", State: cinder.OpOpen}, operation()}
		wantSame(t, "open", open(t, db), want)
		update(t, db, func(tx *store.Tx) error {
			got, err := tx.OpenOperations(t.Context())
			wantSame(t, "inside a transaction", got, want)
			return err
		})
	})
	t.Run("an id is used once", func(t *testing.T) {
		db := create(t).Open(t)
		add := func(tx *store.Tx) error { return tx.AddOperation(t.Context(), operation()) }
		update(t, db, add)
		if err := db.Update(t.Context(), add); err == nil {
			t.Error("no error for a second operation with the same id")
		}
	})
	t.Run("saved by its owner while open", func(t *testing.T) {
		db := create(t).Open(t)
		op := operation()
		update(t, db, func(tx *store.Tx) error { return tx.AddOperation(t.Context(), op) })

		taken := op
		taken.Owner, taken.LeaseUntil = "process-2", at(9, 30)
		update(t, db, func(tx *store.Tx) error { return tx.SaveOperation(t.Context(), op, taken) })
		wantSame(t, "taken over", open(t, db), []cinder.Operation{taken})

		late := op
		late.State, late.Outcome = cinder.OpDone, "late"
		wantKind(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveOperation(t.Context(), op, late) }), cinder.KindConflict)
		wantSame(t, "after the conflict", open(t, db), []cinder.Operation{taken})

		watched := taken
		watched.State = cinder.OpWatched
		update(t, db, func(tx *store.Tx) error { return tx.SaveOperation(t.Context(), taken, watched) })
		wantSame(t, "watched", open(t, db), []cinder.Operation{watched})
		wantKind(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveOperation(t.Context(), taken, taken) }), cinder.KindConflict)
		taken = watched

		done := taken
		done.State, done.SettledAt = cinder.OpDone, at(9, 31)
		update(t, db, func(tx *store.Tx) error { return tx.SaveOperation(t.Context(), taken, done) })
		if got := open(t, db); len(got) != 0 {
			t.Errorf("open after it was settled: %v", got)
		}
		wantKind(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveOperation(t.Context(), taken, taken) }), cinder.KindConflict)
		wantKind(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveOperation(t.Context(), done, taken) }), cinder.KindConflict)
	})
	t.Run("one that is not there", func(t *testing.T) {
		db := create(t).Open(t)
		wantKind(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveOperation(t.Context(), operation(), operation()) }), cinder.KindConflict)
	})
}
