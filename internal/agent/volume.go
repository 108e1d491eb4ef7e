package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"stoker/internal/backend"
	"stoker/internal/cinder"
	"stoker/internal/control"
)

// VolumeOptions are what a volume service is made of.
type VolumeOptions struct {
	Options
	Cluster string // cluster@backend; "" when not clustered
	Backend backend.Backend

	StatsInterval       time.Duration // backend_stats_polling_interval
	ReplicationInterval time.Duration // between rounds of a backend.Replicator; 0 means never
	// FailoverExpiry is how long the command of a failover may be under way
	// ([stoker] failover_expiry); 0 means for ever.
	FailoverExpiry time.Duration

	// Serve starts to take the service's commands. Nil means that it takes none.
	Serve func(ctx context.Context, v *Volume) (Server, error)
}

// Volume is a volume service: one backend, or one member of a cluster that
// drives it. Its commands are safe to call at any time; they are carried out one
// after another.
type Volume struct {
	*service
	vo VolumeOptions

	turn chan struct{} // holds a token while nobody works on the backend

	failing time.Time // since when heartbeats see a failover that has not come; zero when there is none; of whoever has the turn

	mu      sync.Mutex // guards what follows
	state   backend.State
	broken  error                   // why the backend is not set up; nil when it is
	owed    *cinder.FailoverOutcome // what rows or members do not know of yet
	volumes owes                    // what rows of volumes do not show yet
}

// NewVolume makes a volume service.
func NewVolume(o VolumeOptions) *Volume {
	v := &Volume{vo: o, turn: make(chan struct{}, 1)}
	v.turn <- struct{}{}
	v.broken = cinder.Errorf(cinder.KindUnavailable, "The backend is not set up yet.")
	v.service = newService(o.Options, cinder.BinaryVolume, cinder.VolumeRPCVersion, o.Cluster, v)
	return v
}

// FreezeHost freezes the backend and notes it in the service's row. KindConflict,
// with the backend's words, when it refuses; nothing has changed then, nor after
// any other error.
func (v *Volume) FreezeHost(ctx context.Context) error {
	return v.setFrozen(ctx, true)
}

// ThawHost is FreezeHost's opposite. A service that is failed over as well stays
// disabled for that.
func (v *Volume) ThawHost(ctx context.Context) error {
	return v.setFrozen(ctx, false)
}

func (v *Volume) setFrozen(ctx context.Context, frozen bool) error {
	done, err := v.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := v.working(); err != nil {
		return err
	}
	word := map[bool]string{true: "freeze", false: "thaw"}[frozen]
	log := v.log.With("command", word, "request_id", cinder.CallerFrom(ctx).RequestID)
	if err := v.commandFrozen(ctx, frozen); err != nil {
		log.Warn("The backend did not do as told.", "error", err)
		return fmt.Errorf("%s %s: %w", word, v.row.Host, err)
	}
	// From here on, the caller going away must not leave the row behind the backend.
	ctx = context.WithoutCancel(ctx)
	err = v.change(ctx, func(tx control.Tx, row *cinder.Service) error {
		if row.Frozen != frozen { // marked before the command came: whoever sent it has given up since
			return cinder.Errorf(cinder.KindUnavailable, "The %s came too late: it was given up.", word)
		}
		if frozen {
			disable(row, cinder.ReasonFrozen, tx.Now())
		} else {
			release(row, tx.Now())
		}
		return v.others(ctx, tx, frozen)
	})
	if err != nil {
		log.Error("The row could not be written: the backend goes back.", "error", err)
		v.putBack(ctx)
		return fmt.Errorf("%s %s: %w", word, v.row.Host, err)
	}
	v.remember(func(s *backend.State) { s.Frozen = frozen })
	log.Info("Command carried out.")
	return nil
}

// others makes the rows of the cluster's other members, as far as they are marked
// for it, say what this one's does: only one member gets the command, and the
// next one may go to another. What an administrator disabled stays as it is.
func (v *Volume) others(ctx context.Context, tx control.Tx, frozen bool) error {
	if v.row.Cluster == "" {
		return nil
	}
	rows, err := tx.Services(ctx, cinder.ServiceQuery{Cluster: &v.row.Cluster, Binary: &v.row.Binary})
	if err != nil {
		return err
	}
	for _, was := range rows {
		if was.Host == v.row.Host || was.Cluster != v.row.Cluster || was.Frozen != frozen {
			continue
		}
		now := was
		switch {
		case frozen && !was.Disabled:
			disable(&now, cinder.ReasonFrozen, tx.Now())
		case !frozen && was.Disabled && value(was.DisabledReason) == cinder.ReasonFrozen:
			release(&now, tx.Now())
		}
		if err := tx.SaveService(ctx, was, now); err != nil {
			return err
		}
	}
	return nil
}

func (v *Volume) commandFrozen(ctx context.Context, frozen bool) error {
	if frozen {
		return v.vo.Backend.Freeze(ctx)
	}
	return v.vo.Backend.Thaw(ctx)
}

// putBack makes the backend as frozen as it was before a command that failed half-way.
func (v *Volume) putBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	if err := v.commandFrozen(ctx, v.known().Frozen); err != nil {
		v.log.Error("The backend could not be put back.", "error", err)
	}
}

// PublishCapabilities tells every scheduler what the backend can do.
func (v *Volume) PublishCapabilities(ctx context.Context) error { return v.publish(ctx) }

func (v *Volume) publish(ctx context.Context) error {
	stats := v.stats(ctx)
	return v.broadcast(ctx, "volume", v.vo.Cluster, stats.Capabilities())
}

// Capabilities says what the backend can do, and which properties volumes of it
// may be asked to have.
func (v *Volume) Capabilities(ctx context.Context) (map[string]any, error) {
	stats := v.stats(ctx)
	values := stats.Capabilities()
	values["properties"] = stats.Properties()
	return values, nil
}

// stats is what the backend says of itself; one that says nothing, or that
// cannot be used, is down.
func (v *Volume) stats(ctx context.Context) backend.Stats {
	stats, err := v.vo.Backend.Stats(ctx)
	if err != nil {
		v.log.Error("The backend does not say what it can do: it is published as down.", "error", err)
		name := backendName(v.row.Host)
		stats = backend.Stats{Name: name, Pools: []backend.Pool{{Name: name}}}
	}
	if v.working() != nil {
		for i := range stats.Pools {
			stats.Pools[i].Up = false
		}
	}
	return stats
}

// alone waits for its turn to work on the backend. done gives it to the next.
func (v *Volume) alone(ctx context.Context) (done func(), err error) {
	select {
	case <-v.turn:
		return func() { v.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, cinder.Wrap(cinder.KindTimeout, context.Cause(ctx), "The service is busy with another command.")
	}
}

// working says why the backend cannot be used; nil when it can.
func (v *Volume) working() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.broken
}

// known is what the service remembers of its backend, without asking the rows.
func (v *Volume) known() backend.State {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state
}

func (v *Volume) remember(fn func(*backend.State)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fn(&v.state)
}

func (v *Volume) serve(ctx context.Context) (Server, error) {
	return serving(ctx, v.vo.Serve, v)
}

func (v *Volume) tasks() []task {
	tasks := []task{{every: v.vo.StatsInterval, do: v.look}, {every: v.o.ReportInterval, do: v.settleVolumes, atOnce: true}}
	if r, ok := v.vo.Backend.(backend.Replicator); ok && v.vo.ReplicationInterval > 0 {
		tasks = append(tasks, task{every: v.vo.ReplicationInterval, do: func(ctx context.Context) { v.replicate(ctx, r) }})
	}
	return tasks
}

// look is what comes every StatsInterval: a backend that could not be set up
// gets another chance, and the schedulers hear how it is.
func (v *Volume) look(ctx context.Context) {
	if v.working() != nil {
		v.setup(ctx)
	} else if v.row.Cluster != "" {
		v.align(ctx)
	}
	v.tell(ctx)
}

// align makes the backend as frozen as the row says: another member of the
// cluster may have got the command. It is in no hurry, and respects a refusal.
func (v *Volume) align(ctx context.Context) {
	done, err := v.alone(ctx)
	if err != nil {
		return
	}
	defer done()
	var row cinder.Service
	err = v.update(ctx, func(ctx context.Context, tx control.Tx) (err error) {
		row, err = v.own(ctx, tx)
		return err
	})
	if err != nil || row.Frozen == v.known().Frozen {
		return // the database is away, or all is well
	}
	if err := v.commandFrozen(ctx, row.Frozen); err != nil {
		v.log.Warn("The backend is not as its cluster is.", "frozen", row.Frozen, "error", err)
		return
	}
	v.remember(func(s *backend.State) { s.Frozen = row.Frozen })
	v.log.Info("The backend is as its cluster is.", "frozen", row.Frozen)
}

func (v *Volume) replicate(ctx context.Context, r backend.Replicator) {
	if v.working() != nil {
		return
	}
	if err := r.Replicate(ctx); err != nil && ctx.Err() == nil {
		v.log.Warn("Replication did not reach every site.", "error", err)
	}
}
