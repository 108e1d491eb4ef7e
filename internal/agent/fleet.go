package agent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"stoker/internal/cinder"
)

// fleetTick is the time between two batches of a fleet's heartbeats. After each batch,
// which is a commit, lists are read from the database again: smaller batches would cost
// everybody more.
const fleetTick = 500 * time.Millisecond

// fleetBatch is how many services register, and send their first heartbeat, at once.
const fleetBatch = 1000

// FleetStore holds the rows of a fleet.
type FleetStore interface {
	// RegisterMany registers services like Store.Register, all or none, and returns
	// their rows in the same order.
	RegisterMany(ctx context.Context, services []cinder.Service) ([]cinder.Service, error)
	// Beat is Store.Beat.
	Beat(ctx context.Context, ids ...int64) (missing []int64, err error)
}

// FleetOptions configure a fleet.
type FleetOptions struct {
	Size           int
	Zone           string
	Store          FleetStore
	Log            *slog.Logger
	ReportInterval time.Duration // each service sends one heartbeat per interval
}

// Fleet simulates volume services, sim-00001@mirror and on, that have rows and send
// heartbeats. They serve no commands and publish nothing.
type Fleet struct {
	o      FleetOptions
	rows   []cinder.Service
	cancel context.CancelFunc
	done   chan struct{}

	// Used by the heartbeat task only, once it runs.
	tick    int  // in the report interval
	failing bool // the last batch failed
}

// NewFleet returns a fleet.
func NewFleet(o FleetOptions) *Fleet { return &Fleet{o: o} }

// Start registers the services and sends their heartbeats until Stop.
func (f *Fleet) Start(ctx context.Context) error {
	services := make([]cinder.Service, f.o.Size)
	for i := range services {
		services[i] = f.service(fmt.Sprintf("sim-%05d@mirror", i+1))
	}
	f.rows = nil
	for batch := range slices.Chunk(services, fleetBatch) {
		rows, err := f.o.Store.RegisterMany(ctx, batch)
		if err != nil {
			return fmt.Errorf("register %d simulated services: %w", f.o.Size, err)
		}
		f.rows = append(f.rows, rows...)
	}
	for batch := range slices.Chunk(f.rows, fleetBatch) {
		f.beat(ctx, batch)
	}

	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.cancel, f.done = cancel, make(chan struct{})
	go func() {
		defer close(f.done)
		task{every: fleetTick, do: f.beatShare}.run(run)
	}()
	f.o.Log.Info("simulated services started", "services", len(f.rows))
	return nil
}

// Stop ends the heartbeats and waits for a running one until ctx ends.
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

// beatShare sends the heartbeats due in one tick: an even share of all.
func (f *Fleet) beatShare(ctx context.Context) {
	ticks := max(1, int(f.o.ReportInterval/fleetTick))
	f.beat(ctx, f.rows[f.tick*len(f.rows)/ticks:(f.tick+1)*len(f.rows)/ticks])
	f.tick = (f.tick + 1) % ticks
}

// beat sends heartbeats for some of the services, and registers those whose row is gone
// again. A failed batch is not retried before it is due again.
func (f *Fleet) beat(ctx context.Context, rows []cinder.Service) {
	if len(rows) == 0 {
		return
	}
	within, cancel := context.WithTimeout(ctx, f.o.ReportInterval)
	defer cancel()
	ids := make([]int64, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	missing, err := f.o.Store.Beat(within, ids...)
	if err == nil && len(missing) > 0 {
		err = f.reregister(within, rows, missing)
	}
	if err != nil && ctx.Err() == nil && !f.failing {
		f.o.Log.Warn("heartbeats of simulated services failed; further failures are not logged until all succeed", "error", err)
	}
	f.failing = err != nil
}

// reregister registers the services with missing ids again.
func (f *Fleet) reregister(ctx context.Context, rows []cinder.Service, missing []int64) error {
	var gone []int
	var services []cinder.Service
	for i := range rows {
		if slices.Contains(missing, rows[i].ID) {
			gone = append(gone, i)
			services = append(services, f.service(rows[i].Host))
		}
	}
	fresh, err := f.o.Store.RegisterMany(ctx, services)
	if err != nil {
		return err
	}
	for i, at := range gone {
		rows[at] = fresh[i]
	}
	return nil
}

// service is the row that a simulated service registers.
func (f *Fleet) service(host string) cinder.Service {
	return cinder.Service{
		Host: host, Binary: cinder.BinaryVolume, Topic: cinder.BinaryVolume, Zone: f.o.Zone,
		ReplicationStatus: cinder.ReplicationDisabled, RPCVersion: cinder.VolumeRPCVersion, ObjectVersion: cinder.ObjectVersion,
	}
}
