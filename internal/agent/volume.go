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

// VolumeOptions configure a volume service.
type VolumeOptions struct {
	Options
	Cluster string // cluster@backend; "" when not clustered
	Backend backend.Backend

	StatsInterval       time.Duration // backend_stats_polling_interval
	ReplicationInterval time.Duration // between rounds of a backend.Replicator; 0 means no rounds
	// FailoverExpiry bounds the age of a failover's command ([stoker] failover_expiry);
	// 0 means no bound.
	FailoverExpiry time.Duration

	// Serve starts serving the service's commands. With nil it serves none.
	Serve func(ctx context.Context, v *Volume) (Server, error)
}

// Volume is a volume service: it drives a backend, alone or as a member of a cluster.
// Its commands may be called at any time; they run one after another.
type Volume struct {
	*service
	vo VolumeOptions

	turn chan struct{} // holds a token while nobody uses the backend

	failingSince time.Time // when a heartbeat first saw a failover whose command has not come; zero without one; guarded by turn

	mu            sync.Mutex // guards the fields below
	state         backend.State
	setupErr      error                   // why the backend is not set up; nil when it is
	pending       *cinder.FailoverOutcome // an outcome that the rows or members do not show yet
	pendingFollow followScope             // what to do for the rows of volumes
}

// NewVolume returns a volume service.
func NewVolume(o VolumeOptions) *Volume {
	v := &Volume{vo: o, turn: make(chan struct{}, 1)}
	v.turn <- struct{}{}
	v.setupErr = cinder.Errorf(cinder.KindUnavailable, "The backend is not set up yet.")
	v.service = newService(o.Options, cinder.BinaryVolume, cinder.VolumeRPCVersion, o.Cluster, v)
	return v
}

// FreezeHost freezes the backend and updates the service's row. KindConflict, with the
// backend's message, when it refuses. Any error leaves everything as it was.
func (v *Volume) FreezeHost(ctx context.Context) error {
	return v.setFrozen(ctx, true)
}

// ThawHost undoes FreezeHost. A service that is also failed over stays disabled.
func (v *Volume) ThawHost(ctx context.Context) error {
	return v.setFrozen(ctx, false)
}

func (v *Volume) setFrozen(ctx context.Context, frozen bool) error {
	done, err := v.acquire(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := v.working(); err != nil {
		return err
	}
	word := map[bool]string{true: "freeze", false: "thaw"}[frozen]
	log := v.log.With("command", word, "request_id", cinder.CallerFrom(ctx).RequestID)
	if err := v.setBackendFrozen(ctx, frozen); err != nil {
		log.Warn("backend command failed", "error", err)
		return fmt.Errorf("%s %s: %w", word, v.row.Host, err)
	}
	// From here on, cancellation must not leave the row behind the backend.
	ctx = context.WithoutCancel(ctx)
	err = v.change(ctx, func(tx control.Tx, row *cinder.Service) error {
		if row.Frozen != frozen { // the sender set it before the command, and has since given up
			return cinder.Errorf(cinder.KindUnavailable, "The %s came too late: it was given up.", word)
		}
		if frozen {
			disable(row, cinder.ReasonFrozen, tx.Now())
		} else {
			unfreeze(row, tx.Now())
		}
		return v.updateOtherMembers(ctx, tx, frozen)
	})
	if err != nil {
		log.Error("row could not be written; reverting the backend", "error", err)
		v.revertBackend(ctx)
		return fmt.Errorf("%s %s: %w", word, v.row.Host, err)
	}
	v.updateState(func(s *backend.State) { s.Frozen = frozen })
	log.Info("command completed")
	return nil
}

// updateOtherMembers changes the rows of the other members as far as they are marked:
// only one member gets the command, and the next command may go to another. A member
// that an administrator disabled keeps its reason.
func (v *Volume) updateOtherMembers(ctx context.Context, tx control.Tx, frozen bool) error {
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
			unfreeze(&now, tx.Now())
		}
		if err := tx.SaveService(ctx, was, now); err != nil {
			return err
		}
	}
	return nil
}

func (v *Volume) setBackendFrozen(ctx context.Context, frozen bool) error {
	if frozen {
		return v.vo.Backend.Freeze(ctx)
	}
	return v.vo.Backend.Thaw(ctx)
}

// revertBackend restores the backend's frozen state after a command that failed
// halfway.
func (v *Volume) revertBackend(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	if err := v.setBackendFrozen(ctx, v.backendState().Frozen); err != nil {
		v.log.Error("backend could not be reverted", "error", err)
	}
}

// PublishCapabilities sends the backend's capabilities to every scheduler.
func (v *Volume) PublishCapabilities(ctx context.Context) error { return v.publish(ctx) }

func (v *Volume) publish(ctx context.Context) error {
	stats := v.stats(ctx)
	return v.broadcast(ctx, "volume", v.vo.Cluster, stats.Capabilities())
}

// Capabilities returns the backend's capabilities, and the properties that its volumes
// may request.
func (v *Volume) Capabilities(ctx context.Context) (map[string]any, error) {
	stats := v.stats(ctx)
	values := stats.Capabilities()
	values["properties"] = stats.Properties()
	return values, nil
}

// stats returns the backend's stats. A backend that returns none, or that is not set
// up, is down.
func (v *Volume) stats(ctx context.Context) backend.Stats {
	stats, err := v.vo.Backend.Stats(ctx)
	if err != nil {
		v.log.Error("backend stats unavailable; publishing it as down", "error", err)
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

// acquire waits for exclusive use of the backend. done releases it.
func (v *Volume) acquire(ctx context.Context) (done func(), err error) {
	select {
	case <-v.turn:
		return func() { v.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, cinder.Wrap(cinder.KindTimeout, context.Cause(ctx), "The service is busy with another command.")
	}
}

// working returns why the backend is unusable; nil when it is usable.
func (v *Volume) working() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.setupErr
}

// backendState is the backend's state as the service remembers it.
func (v *Volume) backendState() backend.State {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state
}

func (v *Volume) updateState(fn func(*backend.State)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fn(&v.state)
}

func (v *Volume) serve(ctx context.Context) (Server, error) {
	return serveWith(ctx, v.vo.Serve, v)
}

func (v *Volume) tasks() []task {
	tasks := []task{{every: v.vo.StatsInterval, do: v.poll}, {every: v.o.ReportInterval, do: v.followPending, atOnce: true}}
	if r, ok := v.vo.Backend.(backend.Replicator); ok && v.vo.ReplicationInterval > 0 {
		tasks = append(tasks, task{every: v.vo.ReplicationInterval, do: func(ctx context.Context) { v.replicate(ctx, r) }})
	}
	return tasks
}

// poll runs every StatsInterval: it retries a failed setup and publishes the
// capabilities.
func (v *Volume) poll(ctx context.Context) {
	if v.working() != nil {
		v.retrySetup(ctx)
	} else if v.row.Cluster != "" {
		v.alignFrozen(ctx)
	}
	v.announce(ctx)
}

// alignFrozen freezes or thaws the backend as the row says: another member of the
// cluster may have got the command. A refusal is accepted until the next poll.
func (v *Volume) alignFrozen(ctx context.Context) {
	done, err := v.acquire(ctx)
	if err != nil {
		return
	}
	defer done()
	var row cinder.Service
	err = v.update(ctx, func(ctx context.Context, tx control.Tx) (err error) {
		row, err = v.ownRow(ctx, tx)
		return err
	})
	if err != nil || row.Frozen == v.backendState().Frozen {
		return // the database is away, or they agree
	}
	if err := v.setBackendFrozen(ctx, row.Frozen); err != nil {
		v.log.Warn("backend could not be aligned with its cluster", "frozen", row.Frozen, "error", err)
		return
	}
	v.updateState(func(s *backend.State) { s.Frozen = row.Frozen })
	v.log.Info("backend aligned with its cluster", "frozen", row.Frozen)
}

func (v *Volume) replicate(ctx context.Context, r backend.Replicator) {
	if v.working() != nil {
		return
	}
	if err := r.Replicate(ctx); err != nil && ctx.Err() == nil {
		v.log.Warn("replication failed", "error", err)
	}
}
