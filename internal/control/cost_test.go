package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/store"
	"stoker/test/peers"
)

// unrecorded is a store that keeps no journal.
type unrecorded struct{ control.Store }

func (u unrecorded) Update(ctx context.Context, fn func(control.Tx) error) error {
	return u.Store.Update(ctx, func(tx control.Tx) error { return fn(unrecordedTx{tx}) })
}

type unrecordedTx struct{ control.Tx }

func (unrecordedTx) AddOperation(context.Context, cinder.Operation) error { return nil }

func (unrecordedTx) OpenOperations(context.Context) ([]cinder.Operation, error) { return nil, nil }

// BenchmarkChanges is what the journal costs on each database: disabling and
// enabling services, with it and without, one after another and by eight callers
// at once. doc/performance.md has the figures.
func BenchmarkChanges(b *testing.B) {
	for _, engine := range []string{"sqlite", "mariadb", "postgresql"} {
		b.Run(engine, func(b *testing.B) {
			s := siteOn(b, preparedDatabase(b, engine))
			for i := range hosts {
				s.volume(hostNumber(i), "", cinder.ReplicationEnabled)
			}
			for _, callers := range []int{1, 8} {
				for _, journal := range []bool{true, false} {
					b.Run(fmt.Sprintf("callers=%d/journal=%v", callers, journal), func(b *testing.B) { s.changes(b, callers, journal) })
				}
			}
		})
	}
}

func preparedDatabase(b *testing.B, engine string) (url string) {
	b.Helper()
	switch engine {
	case "mariadb":
		url = peers.StartMariaDB(b).New(b)
	case "postgresql":
		url = peers.StartPostgres(b).New(b)
	default:
		return "sqlite:///" + databases.New(b)
	}
	db, err := store.Open(b.Context(), store.Options{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := db.Sync(b.Context()); err != nil {
		b.Error(err)
	}
	if err := db.Close(); err != nil {
		b.Error(err)
	}
	return url
}

const hosts = 96 // divides among the callers: nobody changes another's

func hostNumber(i int) string { return fmt.Sprintf("host%d@alpha", i%hosts) }

func (s *site) changes(b *testing.B, callers int, journal bool) {
	b.Helper()
	o := s.options("api-1")
	o.Log = slog.New(slog.DiscardHandler)
	if !journal {
		o.Store = unrecorded{o.Store}
	}
	c := control.New(o)
	var next atomic.Int64
	b.ResetTimer()
	var all errgroup.Group
	for caller := range callers {
		all.Go(func() error {
			for i := caller; next.Add(1) <= int64(b.N); i += callers {
				if _, err := c.DisableWithReason(b.Context(), hostNumber(i), cinder.BinaryVolume, new("maintenance")); err != nil {
					return err
				}
				if _, err := c.Enable(b.Context(), hostNumber(i), cinder.BinaryVolume); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(2*b.N)/b.Elapsed().Seconds(), "changes/s")
}
