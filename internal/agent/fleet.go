package agent

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"stoker/internal/cinder"
)

// fleetTick is the time between two batches of a fleet's heartbeats.
const fleetTick = 100 * time.Millisecond

// FleetStore keeps the rows of a fleet.
type FleetStore interface {
	// RegisterMany registers services as Store.Register does, all or none, and
	// returns their rows in the same order.
	RegisterMany(ctx context.Context, services []cinder.Service) ([]cinder.Service, error)
	// Beat is Store's.
	Beat(ctx context.Context, ids ...int64) (missing []int64, err error)
}

// FleetOptions are what a fleet is made of.
type FleetOptions struct {
	Size           int
	Zone           string
	Store          FleetStore
	Log            *slog.Logger
	ReportInterval time.Duration // in which every service beats once
}

// Fleet is a number of simulated volume services, sim-00001@mirror and on, that
// have rows and beat. They take no commands and publish nothing.
type Fleet struct {
	o      FleetOptions
	rows   []cinder.Service
	cancel context.CancelFunc
	done   chan struct{}

	next   int // the row that beats next
	silent bool
}

// NewFleet makes a fleet.
func NewFleet(o FleetOptions) *Fleet { return &Fleet{o: o} }

// Start registers the services and keeps them alive until Stop.
func (f *Fleet) Start(ctx context.Context) error {
	services := make([]cinder.Service, f.o.Size)
	for i := range services {
		services[i] = cinder.Service{
			Host: fmt.Sprintf("sim-%05d@mirror", i+1), Binary: cinder.BinaryVolume, Topic: cinder.BinaryVolume,
			Zone: f.o.Zone, ReplicationStatus: cinder.ReplicationDisabled,
			RPCVersion: rpcVolume, ObjectVersion: objectVersion,
		}
	}
	rows, err := f.o.Store.RegisterMany(ctx, services)
	if err != nil {
		return fmt.Errorf("register %d simulated services: %w", f.o.Size, err)
	}
	f.rows = rows
	f.beat(ctx, len(rows))

	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.cancel, f.done = cancel, make(chan struct{})
	go func() {
		defer close(f.done)
		task{fleetTick, f.turn}.run(run)
	}()
	f.o.Log.Info("Simulated services started.", "services", len(rows))
	return nil
}

// Stop ends the heartbeats and waits for the one under way until ctx ends.
func (f *Fleet) Stop(ctx context.Context) error {
	if f.cancel == nil {
		return nil
	}
	f.cancel()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the simulated services: %w", context.Cause(ctx))
	}
}

// turn beats for as many services as are due in one tick.
func (f *Fleet) turn(ctx context.Context) {
	ticks := max(1, int(f.o.ReportInterval/fleetTick))
	f.beat(ctx, (len(f.rows)+ticks-1)/ticks)
}

// beat beats for the next n services.
func (f *Fleet) beat(ctx context.Context, n int) {
	batch := make([]cinder.Service, 0, n)
	ids := make([]int64, 0, n)
	for range n {
		row := f.rows[f.next]
		f.next = (f.next + 1) % len(f.rows)
		batch, ids = append(batch, row), append(ids, row.ID)
	}
	if len(ids) == 0 {
		return
	}
	within, cancel := context.WithTimeout(ctx, f.o.ReportInterval)
	defer cancel()
	missing, err := f.o.Store.Beat(within, ids...)
	_, _ = missing, batch
	_ = err
}
