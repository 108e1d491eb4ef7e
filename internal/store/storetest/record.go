package storetest

import (
	"fmt"
	"strings"
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

	all, err := db.AllCauses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "all causes", all, map[cinder.ServiceName][]cinder.Cause{
		{Binary: "cinder-backup", Host: "h@b"}: {admin}, {Binary: "cinder-volume", Host: "h@b"}: {admin, frozen, empty},
		{Binary: "cinder-volume", Host: "H@b"}: {empty},
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

// operation has a value in every field.
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
		Progress: cinder.Progress{Attempts: 2, LastError: "fault", NextLook: at(9, 4), WatchUntil: at(9, 5), Late: []string{"h@b"}, Undoing: true},
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
		// Without a start time it comes first.
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
		watched.State = cinder.OpMonitoring
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

func journalQueries(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	db := create(t).Open(t)
	add := func(id, host, cluster, kind string, state cinder.OperationState, minute int) {
		op := cinder.Operation{ID: id, Kind: cinder.OperationKind(kind), State: state, Host: host, Cluster: cluster, Binary: "cinder-volume", StartedAt: at(9, minute)}
		op.Caller.UserID, op.Caller.RequestID = "user-"+id, "req-"+id
		update(t, db, func(tx *store.Tx) error { return tx.AddOperation(t.Context(), op) })
	}
	add("a1", "h@b", "", "freeze", cinder.OpDone, 1)
	add("a2", "h@c", "", "thaw", cinder.OpDone, 2)
	add("a3", "", "c@b", "failover", cinder.OpOpen, 3)
	add("a4", "H@b", "", "freeze", cinder.OpRolledBack, 3)
	add("a5", "hh", "", "freeze", cinder.OpMonitoring, 4)
	for _, tt := range []struct {
		name string
		q    cinder.OperationQuery
		want string
	}{
		{"all, the newest first", cinder.OperationQuery{}, "a5 a4 a3 a2 a1"},
		{"of a host and its backends", cinder.OperationQuery{Host: new("h")}, "a2 a1"},
		{"of a backend", cinder.OperationQuery{Host: new("h@b")}, "a1"},
		{"of a cluster", cinder.OperationQuery{Cluster: new("c@b")}, "a3"},
		{"of a kind and state", cinder.OperationQuery{Kind: new("freeze"), State: new("rolled-back")}, "a4"},
		{"of a user", cinder.OperationQuery{UserID: new("user-a2")}, "a2"},
		{"of another binary", cinder.OperationQuery{Binary: new("cinder-backup")}, ""},
		{"of a time", cinder.OperationQuery{Since: at(9, 2), Before: at(9, 4)}, "a4 a3 a2"},
		{"a page", cinder.OperationQuery{Limit: 2}, "a5 a4"},
		{"the next", cinder.OperationQuery{Limit: 2, Marker: "a4"}, "a3 a2"},
		{"the last", cinder.OperationQuery{Limit: 2, Marker: "a2"}, "a1"},
	} {
		ops, err := db.Operations(t.Context(), tt.q)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var ids []string
		for _, op := range ops {
			ids = append(ids, op.ID)
		}
		wantSame(t, tt.name, strings.Join(ids, " "), tt.want)
	}
	_, err := db.Operations(t.Context(), cinder.OperationQuery{Marker: "none"})
	wantKind(t, err, cinder.KindNotFound)
	_, err = db.Operation(t.Context(), "A1")
	wantKind(t, err, cinder.KindNotFound)
	op, err := db.Operation(t.Context(), "a1")
	if err != nil || op.Host != "h@b" {
		t.Errorf("one by its id: %+v, %v", op, err)
	}
	update(t, db, func(tx *store.Tx) error {
		of, err := tx.OperationOf(t.Context(), "req-a2")
		wantSame(t, "by its request", of, "a2")
		return err
	})
	pruned := 0
	update(t, db, func(tx *store.Tx) (err error) {
		pruned, err = tx.Prune(t.Context(), at(9, 5), 2)
		return err
	})
	rest, err := db.Operations(t.Context(), cinder.OperationQuery{})
	if err != nil || pruned != 2 || len(rest) != 3 || rest[2].ID != "a3" {
		t.Errorf("pruned %d, left %+v, %v", pruned, rest, err)
	}
	update(t, db, func(tx *store.Tx) (err error) {
		pruned, err = tx.Prune(t.Context(), at(10, 0), 10)
		return err
	})
	if rest, err = db.Operations(t.Context(), cinder.OperationQuery{}); err != nil || pruned != 1 || len(rest) != 2 {
		t.Errorf("pruned %d, left %+v, %v: what is open and watched stays", pruned, rest, err)
	}
}

func keptRequests(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	db := create(t).Open(t)
	r := cinder.KeptRequest{
		ID: "1a", Caller: "bob", Fingerprint: "2b", Owner: "process-1", LeaseUntil: at(9, 1), ExpiresAt: at(10, 0), Header: map[string]string{"X": "y"}, Body: []byte{},
	}
	get := func() (got cinder.KeptRequest, err error) {
		err = db.Update(t.Context(), func(tx *store.Tx) (err error) {
			got, err = tx.Request(t.Context(), "1a")
			return err
		})
		return got, err
	}
	_, err := get()
	wantKind(t, err, cinder.KindNotFound)
	update(t, db, func(tx *store.Tx) error { return tx.KeepRequest(t.Context(), r) })
	got, err := get()
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "kept", got, r)
	r.Status, r.Body = 409, []byte(`{"ä": "日"}`)
	update(t, db, func(tx *store.Tx) error { return tx.KeepRequest(t.Context(), r) })
	if got, err = get(); err != nil {
		t.Fatal(err)
	}
	wantSame(t, "answered", got, r)
	now := time.Now().UTC().Truncate(time.Second)
	for i, age := range []time.Duration{-time.Hour, time.Hour, 2 * time.Hour, 3 * time.Hour} {
		of := cinder.KeptRequest{ID: fmt.Sprint("of ann ", i), Caller: "ann", ExpiresAt: now.Add(age)}
		update(t, db, func(tx *store.Tx) error { return tx.KeepRequest(t.Context(), of) })
	}
	for most, want := range map[int]time.Time{1: now.Add(3 * time.Hour), 3: now.Add(time.Hour), 4: {}} {
		until, err := db.KeysFull(t.Context(), "ann", most)
		if err != nil || !until.Equal(want) {
			t.Errorf("of ann's keys %d are too many until %v, error %v, want %v: the first has expired", most, until, err, want)
		}
	}
	for then, want := range map[time.Time]int{at(9, 59): 0, at(10, 1): 1} {
		pruned := 0
		update(t, db, func(tx *store.Tx) (err error) {
			if then.Equal(at(10, 1)) {
				err = tx.KeepRequest(t.Context(), r)
			}
			if err == nil {
				pruned, err = tx.PruneRequests(t.Context(), then, 10)
			}
			return err
		})
		wantSame(t, "pruned at "+then.String(), pruned, want)
	}
}
