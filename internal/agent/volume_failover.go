package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// Failover sends the backend to another site and writes the outcome to the service's
// row or, in a cluster, to the cluster's, and sends it to every member. With a nil
// target the backend chooses; cinder.FailbackTarget fails back.
//
// The rows of volumes change first, so that whoever sees the outcome sees the volumes'
// final state. What cannot be written or sent is retried after later heartbeats. A
// failover that the rows do not show as running came too late, its sender having given
// up: it is not carried out, and fails with KindUnavailable. Errors are for the log;
// the sender looks at the rows.
func (v *Volume) Failover(ctx context.Context, target *string) error {
	done, err := v.acquire(ctx)
	if err != nil {
		return err
	}
	defer done()
	v.failingSince = time.Time{}
	log := v.log.With("target", value(target), "request_id", cinder.CallerFrom(ctx).RequestID)
	if err := v.checkWanted(ctx); err != nil {
		return fmt.Errorf("failover %s: %w", v.row.Host, err)
	}
	log.Info("failover started")
	active, failure := v.vo.Backend.Failover(ctx, target)
	if failure == nil {
		v.setActive(active)
		log.Warn("backend failed over", "active_backend_id", active)
		v.followVolumes(ctx, followAll)
	} else {
		log.Error("failover failed", "error", failure)
	}
	// Whatever became of the caller, the rows must show the outcome.
	err = v.conclude(context.WithoutCancel(ctx), failoverOutcome(active, failure), false)
	if failure != nil {
		err = failure
	}
	if err != nil {
		return fmt.Errorf("failover %s: %w", v.row.Host, err)
	}
	log.Info("failover completed", "active_backend_id", active)
	return nil
}

// checkWanted fails when neither the service's row nor the cluster's shows a running
// failover: whoever sends one marks them first.
func (v *Volume) checkWanted(ctx context.Context) error {
	running := false
	err := v.update(ctx, func(ctx context.Context, tx control.Tx) error {
		row, err := v.ownRow(ctx, tx)
		if err != nil {
			return err
		}
		running = row.ReplicationStatus == cinder.ReplicationFailingOver
		if running || v.row.Cluster == "" {
			return nil
		}
		c, err := tx.Cluster(ctx, v.row.Cluster, v.row.Binary)
		running = c.ReplicationStatus == cinder.ReplicationFailingOver
		return err
	})
	if err != nil {
		v.log.Warn("database unavailable; failover carried out without checking whether it is still wanted", "error", err)
		return nil
	}
	if !running {
		return cinder.Errorf(cinder.KindUnavailable, "The failover came too late: it was given up.")
	}
	return nil
}

// FailoverCompleted handles the message that a member of the cluster, perhaps this one,
// has failed the backend over. It may arrive twice, and late: the current row of the
// cluster decides.
func (v *Volume) FailoverCompleted(ctx context.Context, o cinder.FailoverOutcome) error {
	done, err := v.acquire(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := v.update(ctx, func(ctx context.Context, tx control.Tx) error {
		var err error
		o, err = v.currentOutcome(ctx, tx, o)
		return err
	}); err != nil {
		return fmt.Errorf("failover completed on %s: %w", v.row.Host, err)
	}
	if o.ActiveBackendID != nil {
		if err := v.vo.Backend.FailoverCompleted(ctx, *o.ActiveBackendID); err != nil {
			v.log.Error("backend could not follow its cluster to another site",
				"active_backend_id", *o.ActiveBackendID, "error", err)
			yes := true
			o = cinder.FailoverOutcome{ReplicationStatus: cinder.ReplicationError, Disabled: &yes}
		} else {
			v.setActive(*o.ActiveBackendID)
		}
	}
	if err := v.writeOwn(context.WithoutCancel(ctx), o); err != nil {
		v.setPending(&o)
		return fmt.Errorf("failover completed on %s: %w", v.row.Host, err)
	}
	v.requestFollow(followRest) // left by a member that died, or that does not bring back what we left behind
	return nil
}

// currentOutcome is the outcome to follow: the cluster's state, if it has changed since
// the message was sent.
func (v *Volume) currentOutcome(ctx context.Context, tx control.Tx, o cinder.FailoverOutcome) (cinder.FailoverOutcome, error) {
	if v.row.Cluster == "" {
		return o, nil
	}
	c, err := tx.Cluster(ctx, v.row.Cluster, v.row.Binary)
	if cinder.KindOf(err) == cinder.KindNotFound {
		return o, nil
	}
	if err != nil {
		return o, err
	}
	if shows(o, c.ReplicationStatus, c.ActiveBackendID) || c.ReplicationStatus == cinder.ReplicationFailingOver {
		return o, nil
	}
	v.log.Info("late failover message ignored; the cluster has changed since", "cluster", c.Name)
	return clusterOutcome(&c), nil
}

// conclude writes an outcome to the rows and sends it to the cluster, or keeps it
// pending. A late one, retried by a later heartbeat, is dropped when the cluster has
// moved on without it.
func (v *Volume) conclude(ctx context.Context, o cinder.FailoverOutcome, late bool) error {
	v.setPending(nil)
	outcome := o
	var err error
	if v.row.Cluster != "" {
		outcome, err = v.writeCluster(ctx, o, late)
	}
	if err == nil {
		err = v.writeOwn(ctx, outcome)
	}
	if err == nil && v.row.Cluster != "" {
		ctx, cancel := context.WithTimeout(ctx, busTimeout)
		defer cancel()
		err = v.o.Bus.FailoverCompleted(ctx, v.row.Cluster, outcome)
	}
	if err != nil {
		v.setPending(&outcome)
	}
	return err
}

// writeCluster writes an outcome to the cluster's row and returns the outcome to send
// to the members.
func (v *Volume) writeCluster(ctx context.Context, o cinder.FailoverOutcome, late bool) (cinder.FailoverOutcome, error) {
	outcome := o
	err := v.update(ctx, func(ctx context.Context, tx control.Tx) error {
		was, err := tx.Cluster(ctx, v.row.Cluster, v.row.Binary)
		if err != nil {
			return err
		}
		outcome = completeOutcome(o, was.ReplicationStatus, was.ActiveBackendID)
		if late && was.ReplicationStatus != cinder.ReplicationFailingOver {
			if !shows(outcome, was.ReplicationStatus, was.ActiveBackendID) {
				outcome = clusterOutcome(&was)
			}
			return nil
		}
		now := was
		applyToCluster(&now, outcome, tx.Now())
		return tx.SaveCluster(ctx, was, now)
	})
	return outcome, err
}

// writeOwn writes an outcome to the service's own row, unless the row shows it already:
// an administrator may have enabled the service since.
func (v *Volume) writeOwn(ctx context.Context, o cinder.FailoverOutcome) error {
	return v.change(ctx, func(tx control.Tx, row *cinder.Service) error {
		o := completeOutcome(o, row.ReplicationStatus, row.ActiveBackendID)
		if !shows(o, row.ReplicationStatus, row.ActiveBackendID) {
			applyOutcome(row, o, tx.Now())
		}
		return nil
	})
}

// shows reports whether a row already shows an outcome.
func shows(o cinder.FailoverOutcome, status cinder.ReplicationStatus, active *string) bool {
	return status == o.ReplicationStatus && (o.ActiveBackendID == nil || *o.ActiveBackendID == value(active))
}

// setActive records that the backend works, at that site.
func (v *Volume) setActive(active string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state.Active = active
	v.setupErr = nil
}

// setPending keeps an outcome to be concluded later; nil clears it.
func (v *Volume) setPending(o *cinder.FailoverOutcome) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pending = o
}

// afterBeat concludes a pending outcome: the database is back, and perhaps the bus.
func (v *Volume) afterBeat(ctx context.Context) {
	select {
	case <-v.turn:
		defer func() { v.turn <- struct{}{} }()
	default: // A command is running, and heartbeats do not wait.
		return
	}
	v.mu.Lock()
	o := v.pending
	v.mu.Unlock()
	if o == nil {
		if err := v.abandonOverdue(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("overdue failover could not be checked", "error", err)
		}
		return
	}
	if err := v.conclude(ctx, *o, true); err != nil {
		v.log.Warn("failover outcome could not be completed; will retry", "error", err)
	}
}

// abandonOverdue restores the status of a failover whose command does not come: it was
// never sent, was lost, or expired in the queue while the service hung. The caller has
// the turn, so no failover is running here, and one that comes later is refused: only
// this service can know both. In a cluster another member may be failing over, so the
// rows of members are left alone.
func (v *Volume) abandonOverdue(ctx context.Context) error {
	if v.row.Cluster != "" || v.vo.FailoverExpiry <= 0 {
		return nil
	}
	var row cinder.Service
	err := v.update(ctx, func(ctx context.Context, tx control.Tx) (err error) {
		row, err = v.ownRow(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	if row.ReplicationStatus != cinder.ReplicationFailingOver {
		v.failingSince = time.Time{}
		return nil
	}
	if v.failingSince.IsZero() {
		v.failingSince = time.Now()
	}
	if time.Since(v.failingSince) <= v.vo.FailoverExpiry {
		return nil
	}
	return v.restoreStatus(ctx)
}

// restoreStatus ends abandonOverdue: it restores the status that the row had before it
// was marked, unless the journal has a failover that began since.
func (v *Volume) restoreStatus(ctx context.Context) error {
	var was, now cinder.ReplicationStatus
	err := v.update(ctx, func(ctx context.Context, tx control.Tx) error {
		row, err := v.ownRow(ctx, tx)
		if err != nil {
			return err
		}
		was, now = row.ReplicationStatus, row.ReplicationStatus
		if was != cinder.ReplicationFailingOver {
			return nil
		}
		status := settledStatus(was, row.ActiveBackendID, true)
		open, err := tx.OpenOperations(ctx)
		if err != nil {
			return err
		}
		for _, op := range open {
			i := slices.IndexFunc(op.Before.Services, func(st cinder.ServiceState) bool { return st.Binary == row.Binary && st.Host == row.Host })
			if op.Kind != cinder.OpFailover || op.State != cinder.OpOpen || i < 0 {
				continue
			}
			if tx.Now().Sub(op.StartedAt) <= v.vo.FailoverExpiry {
				return nil
			}
			status = op.Before.Services[i].ReplicationStatus
		}
		next := row
		next.ReplicationStatus, now = status, status
		return tx.SaveService(ctx, row, next)
	})
	if err == nil && was != now {
		v.failingSince = time.Time{}
		v.log.Warn("failover command never came; status restored", "status", string(now))
	}
	return err
}
