package agent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"stoker/internal/cinder"
)

// fleetTick is the time between two batches of a fleet's heartbeats. Each batch
// is a commit, after which lists have to be read from the database again: spread
// more evenly, a fleet would cost everybody more than it does here.
const fleetTick = 500 * time.Millisecond

// fleetBatch is how many services register, and beat, at once at the start.
const fleetBatch = 1000

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

	// Of the heartbeat task alone, once it runs.
	tick   int  // in the report interval
	silent bool // the last batch failed
}

// NewFleet makes a fleet.
func NewFleet(o FleetOptions) *Fleet { return &Fleet{o: o} }

// Start registers the services and keeps them alive until Stop.
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
		task{every: fleetTick, do: f.turn}.run(run)
	}()
	f.o.Log.Info("Simulated services started.", "services", len(f.rows))
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

// turn beats for the services that are due in one tick: an even share of them all.
func (f *Fleet) turn(ctx context.Context) {
	ticks := max(1, int(f.o.ReportInterval/fleetTick))
	f.beat(ctx, f.rows[f.tick*len(f.rows)/ticks:(f.tick+1)*len(f.rows)/ticks])
	f.tick = (f.tick + 1) % ticks
}

// beat beats for some of the services, and registers anew those whose row is gone.
// A batch that fails is not tried again before it is due.
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
		err = f.renew(within, rows, missing)
	}
	if err != nil && ctx.Err() == nil && !f.silent {
		f.o.Log.Warn("Heartbeats of simulated services failed; the next ones are not reported until all get through.", "error", err)
	}
	f.silent = err != nil
}

// renew registers those of the services anew whose ids are missing.
func (f *Fleet) renew(ctx context.Context, rows []cinder.Service, missing []int64) error {
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

// service is what a simulated service registers.
func (f *Fleet) service(host string) cinder.Service {
	return cinder.Service{
		Host: host, Binary: cinder.BinaryVolume, Topic: cinder.BinaryVolume, Zone: f.o.Zone,
		ReplicationStatus: cinder.ReplicationDisabled, RPCVersion: cinder.VolumeRPCVersion, ObjectVersion: cinder.ObjectVersion,
	}
}
