package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// unrecorded is a store that keeps no journal.
type unrecorded struct{ control.Store }

func (u unrecorded) Update(ctx context.Context, fn func(control.Tx) error) error {
	return u.Store.Update(ctx, func(tx control.Tx) error { return fn(unrecordedTx{tx}) })
}

type unrecordedTx struct{ control.Tx }

func (unrecordedTx) AddOperation(context.Context, cinder.Operation) error { return nil }

func (unrecordedTx) OpenOperations(context.Context) ([]cinder.Operation, error) { return nil, nil }

// BenchmarkChanges is what the journal costs: disabling and enabling services, with
// it and without. doc/performance.md has the figures.
func BenchmarkChanges(b *testing.B) {
	for _, journal := range []bool{true, false} {
		b.Run(fmt.Sprintf("journal=%v", journal), func(b *testing.B) {
			s := newSite(b)
			for i := range 100 {
				s.volume(fmt.Sprintf("host%d@alpha", i), "", cinder.ReplicationEnabled)
			}
			o := s.options("api-1")
			o.Log = slog.New(slog.DiscardHandler)
			if !journal {
				o.Store = unrecorded{o.Store}
			}
			c := control.New(o)
			for i := 0; b.Loop(); i++ {
				host := fmt.Sprintf("host%d@alpha", i%100)
				if _, err := c.DisableWithReason(b.Context(), host, cinder.BinaryVolume, new("maintenance")); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Enable(b.Context(), host, cinder.BinaryVolume); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(2*b.N)/b.Elapsed().Seconds(), "changes/s")
		})
	}
}
