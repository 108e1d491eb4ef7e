package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// visibility is guarantee G1: every later read shows an acknowledged change.
func visibility(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	t.Run("whoever wrote it", func(t *testing.T) {
		d := create(t)
		db, other := d.Open(t), d.Open(t)
		s := register(t, db, clustered("h@b", "c@b"))
		for i := range 20 {
			reason := fmt.Sprint("round ", i)
			switch i % 3 {
			case 0, 1:
				writer := []*store.DB{db, other}[i%3]
				update(t, writer, func(tx *store.Tx) error {
					rows, err := tx.Services(t.Context(), cinder.ServiceQuery{})
					if err != nil {
						return err
					}
					now := rows[0]
					now.DisabledReason = &reason
					return tx.SaveService(t.Context(), rows[0], now)
				})
			default:
				d.Exec(t, `UPDATE services SET disabled_reason = ?`, reason)
			}
			for name, reader := range map[string]*store.DB{"the same": db, "another": other} {
				if got := row(t, reader, s.ID).DisabledReason; got == nil || *got != reason {
					t.Fatalf("%s process shows %v, want %q", name, got, reason)
				}
				v, err := reader.Clusters(t.Context(), cinder.ClusterQuery{})
				if err != nil || len(v.Members) != 1 || *v.Members[0].DisabledReason != reason {
					t.Fatalf("%s process shows %+v (%v), want a member with %q", name, v, err, reason)
				}
			}
		}
	})
	t.Run("to readers that come all the time", func(t *testing.T) {
		d := create(t)
		processes := []*store.DB{d.Open(t), d.Open(t)}
		id := register(t, processes[0], volume("h@b")).ID
		var acknowledged atomic.Int64
		var writers, readers errgroup.Group
		done := make(chan struct{})
		for w := range 2 {
			writers.Go(func() error {
				for range 60 {
					if err := beatUntilAccepted(t, processes[w], id); err != nil {
						return err
					}
					acknowledged.Add(1)
				}
				return nil
			})
		}
		for r := range 8 {
			readers.Go(func() error {
				for {
					want := acknowledged.Load()
					v, err := processes[r%2].View(t.Context(), cinder.ServiceQuery{})
					if err != nil {
						return err
					}
					if got := v.Services[0].ReportCount; got < want {
						return fmt.Errorf("a list shows %d reports, %d had been acknowledged before", got, want)
					}
					select {
					case <-done:
						return nil
					default:
					}
				}
			})
		}
		if err := writers.Wait(); err != nil {
			t.Error(err)
		}
		close(done)
		if err := readers.Wait(); err != nil {
			t.Error(err)
		}
		if got := row(t, processes[0], id).ReportCount; got != 120 {
			t.Errorf("%d reports, want 120", got)
		}
	})
	t.Run("rows and open operations of one moment", func(t *testing.T) {
		d := create(t)
		db := d.Open(t)
		register(t, db, volume("h@b"))
		var wg sync.WaitGroup
		done := make(chan struct{})
		wg.Go(func() {
			defer close(done)
			for i := range 40 {
				op := cinder.Operation{ID: fmt.Sprint(i), Owner: "me"}
				for _, op.State = range []cinder.OperationState{cinder.OpOpen, cinder.OpDone} {
					if err := db.Update(t.Context(), func(tx *store.Tx) error { return freezeOrSettle(t, tx, op) }); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
		for finished := false; !finished; {
			select {
			case <-done:
				finished = true
			default:
			}
			for _, q := range []cinder.ServiceQuery{{}, {Host: new("h")}} {
				v, err := db.View(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if frozen := v.Services[0].Frozen; frozen != (len(v.Open) == 1) {
					t.Fatalf("frozen is %v beside %d open operations", frozen, len(v.Open))
				}
			}
		}
		wg.Wait()
	})
}

// beatUntilAccepted retries a refused heartbeat: two processes in each other's way may make
// one wait longer than a heartbeat does.
func beatUntilAccepted(tb testing.TB, db *store.DB, id int64) error {
	tb.Helper()
	for attempt := 0; ; attempt++ {
		_, err := db.Beat(tb.Context(), id)
		if attempt == 20 || cinder.KindOf(err) != cinder.KindUnavailable {
			return err
		}
	}
}

// freezeOrSettle keeps an invariant: the service is frozen while an operation is open.
func freezeOrSettle(tb testing.TB, tx *store.Tx, op cinder.Operation) error {
	tb.Helper()
	rows, err := tx.Services(tb.Context(), cinder.ServiceQuery{})
	if err != nil {
		return err
	}
	now := rows[0]
	now.Frozen = op.State == cinder.OpOpen
	if err := tx.SaveService(tb.Context(), rows[0], now); err != nil {
		return err
	}
	if now.Frozen {
		return tx.AddOperation(tb.Context(), op)
	}
	was := op
	was.State = cinder.OpOpen
	return tx.SaveOperation(tb.Context(), was, op)
}

// concurrency has many writers increment a counter in one row.
func concurrency(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	const workers, rounds = 16, 50
	d := create(t)
	processes := []*store.DB{d.Open(t), d.Open(t)}
	binary, host := "cinder-volume", "h@b"
	var group errgroup.Group
	for w := range workers {
		group.Go(func() error {
			for range rounds {
				err := processes[w%2].Update(t.Context(), func(tx *store.Tx) error {
					have, err := tx.Causes(t.Context(), binary, host)
					if err != nil {
						return err
					}
					count := 0
					if len(have) == 1 {
						if _, err := fmt.Sscan(*have[0].Reason, &count); err != nil {
							return err
						}
					}
					return tx.SaveCauses(t.Context(), binary, host, []cinder.Cause{{
						Kind: cinder.CauseAdmin, Reason: new(fmt.Sprint(count + 1)), Since: at(8, 0),
					}})
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	update(t, processes[0], func(tx *store.Tx) error {
		have, err := tx.Causes(t.Context(), binary, host)
		wantSame(t, "count", have, []cinder.Cause{{Kind: cinder.CauseAdmin, Reason: new(fmt.Sprint(workers * rounds)), Since: at(8, 0)}})
		return err
	})
}

// registrationRace registers a service while another process makes it fail over:
// whichever comes first, the failover stands.
func registrationRace(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	d := create(t)
	starting, other := d.Open(t), d.Open(t)
	for round := range 20 {
		host := fmt.Sprintf("h%d@b", round)
		s := volume(host)
		id := register(t, starting, s).ID
		s.ReplicationStatus = cinder.ReplicationDisabled // so that the start has something to write
		var group errgroup.Group
		group.Go(func() error {
			_, err := starting.Register(t.Context(), s)
			return err
		})
		group.Go(func() error {
			for {
				err := other.Update(t.Context(), func(tx *store.Tx) error {
					rows, err := tx.Services(t.Context(), cinder.ServiceQuery{Host: &host})
					if err != nil {
						return err
					}
					now := rows[0]
					now.ReplicationStatus = cinder.ReplicationFailingOver
					return tx.SaveService(t.Context(), rows[0], now)
				})
				if cinder.KindOf(err) != cinder.KindConflict {
					return err
				}
			}
		})
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := row(t, other, id).ReplicationStatus; got != cinder.ReplicationFailingOver {
			t.Fatalf("round %d: the row says %s: the start has written over a failover", round, got)
		}
	}
}
