package store_test

import (
	"errors"
	"flag"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

var benchEntries = flag.Int("entries", 1_000_000, "how many entries of the journal BenchmarkJournal is about")

// BenchmarkJournal measures the cost of a long journal: listing it, and the queries of
// a change that run while all other changes wait. The database also has 20,000
// services.
func BenchmarkJournal(b *testing.B) {
	for _, e := range engines() {
		b.Run(e.name, func(b *testing.B) {
			url := e.create(b)
			prepare(b, url)
			other := e.raw(b, url)
			for _, statement := range revertNewest(b, e) {
				execOn(b, other, statement)
			}
			fill(b, e, other, *benchEntries, 20_000)
			db := openURL(b, url)
			began := time.Now()
			if _, err := db.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.Logf("indexes built in %v", time.Since(began).Round(time.Second))
			analyze(b, e, other)
			b.Run("lists", func(b *testing.B) { benchmarkLists(b, db) })
			b.Run("changes", func(b *testing.B) { benchmarkChanges(b, db) })
		})
	}
}

func benchmarkLists(b *testing.B, db *store.DB) {
	b.Helper()
	first, err := db.Operations(b.Context(), cinder.OperationQuery{Limit: 50})
	if err != nil {
		b.Fatal(err)
	}
	middle, err := db.Operations(b.Context(), cinder.OperationQuery{Before: filledAt().Add(filledFor(*benchEntries / 2)), Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	second, half := first[49].ID, middle[0].ID
	for _, c := range []struct {
		name string
		q    cinder.OperationQuery
	}{
		{"page-1", cinder.OperationQuery{}},
		{"page-2", cinder.OperationQuery{Marker: second}},
		{"page-10000", cinder.OperationQuery{Marker: half}},
		{"host-of-a-quarter", cinder.OperationQuery{Host: new("big")}},
		{"host-of-a-quarter,page-2500", cinder.OperationQuery{Host: new("big"), Marker: half}},
		{"backend-of-few", cinder.OperationQuery{Host: new("host7@alpha")}},
		{"host-of-none", cinder.OperationQuery{Host: new("none")}},
		{"cluster-of-none", cinder.OperationQuery{Cluster: new("none")}},
		{"user-of-none", cinder.OperationQuery{UserID: new("none")}},
		{"kind-of-few", cinder.OperationQuery{Kind: new("failover")}},
		{"kind-of-none", cinder.OperationQuery{Kind: new("none")}},
		{"state-of-few", cinder.OperationQuery{State: new("failed")}},
		{"state-of-most,page-10000", cinder.OperationQuery{State: new("done"), Marker: half}},
		{"binary-of-none", cinder.OperationQuery{Binary: new("none")}},
		{"user-of-half-and-kind-of-tenth,none", cinder.OperationQuery{UserID: new("automation"), Kind: new("thaw")}},
		{"kind-of-few-and-state-of-few,none", cinder.OperationQuery{Kind: new("failover"), State: new("failed")}},
		{"six-filters,none", cinder.OperationQuery{
			Host: new("big"), Cluster: new("cluster0@alpha"), UserID: new("automation"), Kind: new("enable"), State: new("rolled-back"), Binary: new("cinder-volume"),
		}},
	} {
		c.q.Limit = 50
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := db.OperationPage(b.Context(), c.q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("one-host-of-services", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.View(b.Context(), cinder.ServiceQuery{Host: new("host7")}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchmarkChanges measures what changes do in their transactions, and rolls back.
func benchmarkChanges(b *testing.B, db *store.DB) {
	b.Helper()
	undone := errors.New("undone")
	for _, c := range []struct {
		name string
		do   func(tx *store.Tx) error
	}{
		{"nothing", func(*store.Tx) error { return nil }},
		{"operation-of-a-request", func(tx *store.Tx) error { _, err := tx.OperationOf(b.Context(), "req-77"); return err }},
		{"operation-of-no-request", func(tx *store.Tx) error { _, err := tx.OperationOf(b.Context(), "none"); return err }},
		{"open-operations", func(tx *store.Tx) error { _, err := tx.OpenOperations(b.Context()); return err }},
		{"service-by-name", func(tx *store.Tx) error {
			_, err := tx.Services(b.Context(), cinder.ServiceQuery{Host: new("host7@alpha"), Binary: new("cinder-volume")})
			return err
		}},
		{"cluster-by-name", func(tx *store.Tx) error {
			_, err := tx.Cluster(b.Context(), "cluster7@alpha", "cinder-volume")
			return err
		}},
		{"causes", func(tx *store.Tx) error { _, err := tx.Causes(b.Context(), "cinder-volume", "host7@alpha"); return err }},
		{"add-operation", func(tx *store.Tx) error {
			return tx.AddOperation(b.Context(), cinder.Operation{ID: "new", State: cinder.OpDone, StartedAt: tx.Now()})
		}},
		{"prune-200", func(tx *store.Tx) error {
			_, err := tx.Prune(b.Context(), filledAt().Add(filledFor(*benchEntries/2)), 200)
			return err
		}},
		{"prune-200-requests", func(tx *store.Tx) error {
			_, err := tx.PruneRequests(b.Context(), filledAt().Add(filledFor(*benchEntries/2)), 200)
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				err := db.Update(b.Context(), func(tx *store.Tx) error {
					if err := c.do(tx); err != nil {
						return err
					}
					return undone
				})
				if !errors.Is(err, undone) {
					b.Fatal(err)
				}
			}
		})
	}
}
