package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// Failover sends the backend to another site and writes the outcome into the
// service's row or, when it is clustered, the cluster's, and tells every member.
// A nil target leaves the choice to the backend; cinder.FailbackTarget goes back.
// The rows of its volumes follow before that, so that whoever sees the outcome
// sees them as they are to be.
// What could not be written or told is so after a later heartbeat. A failover that
// the rows do not say is under way came too late, whoever sent it having given it
// up since: it is not carried out, which is KindUnavailable. The error is
// for the log: whoever asked looks at the rows.
func (v *Volume) Failover(ctx context.Context, target *string) error {
	done, err := v.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	v.failing = time.Time{}
	log := v.log.With("target", value(target), "request_id", cinder.CallerFrom(ctx).RequestID)
	if err := v.givenUp(ctx); err != nil {
		return fmt.Errorf("failover %s: %w", v.row.Host, err)
	}
	log.Info("Failing over.")
	active, failure := v.vo.Backend.Failover(ctx, target)
	if failure == nil {
		v.arrived(active)
		log.Warn("The backend has failed over.", "active_backend_id", active)
		v.followed(ctx, owesAll)
	} else {
		log.Error("The failover did not happen.", "error", failure)
	}
	// Whatever became of the caller, the rows must say what happened.
	err = v.conclude(context.WithoutCancel(ctx), outcomeOf(active, failure), false)
	if failure != nil {
		err = failure
	}
	if err != nil {
		return fmt.Errorf("failover %s: %w", v.row.Host, err)
	}
	log.Info("Failover done.", "active_backend_id", active)
	return nil
}

// givenUp fails when a failover is not under way any more, as the row of the
// service and that of its cluster say: whoever sends one marks them before.
func (v *Volume) givenUp(ctx context.Context) error {
	under := false
	err := v.update(ctx, func(ctx context.Context, tx control.Tx) error {
		row, err := v.own(ctx, tx)
		if err != nil {
			return err
		}
		under = row.ReplicationStatus == cinder.ReplicationFailingOver
		if under || v.row.Cluster == "" {
			return nil
		}
		c, err := tx.Cluster(ctx, v.row.Cluster, v.row.Binary)
		under = c.ReplicationStatus == cinder.ReplicationFailingOver
		return err
	})
	if err != nil {
		v.log.Warn("Whether the failover is still wanted cannot be seen: it is carried out.", "error", err)
		return nil
	}
	if !under {
		return cinder.Errorf(cinder.KindUnavailable, "The failover came too late: it was given up.")
	}
	return nil
}

// FailoverCompleted takes in that a member of the cluster, perhaps this one, has
// failed the backend over. It may be told twice, and late: what the cluster's row
// says by now is what counts.
func (v *Volume) FailoverCompleted(ctx context.Context, o cinder.FailoverOutcome) error {
	done, err := v.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := v.update(ctx, func(ctx context.Context, tx control.Tx) error {
		var err error
		o, err = v.upToDate(ctx, tx, o)
		return err
	}); err != nil {
		return fmt.Errorf("failover completed on %s: %w", v.row.Host, err)
	}
	if o.ActiveBackendID != nil {
		if err := v.vo.Backend.FailoverCompleted(ctx, *o.ActiveBackendID); err != nil {
			v.log.Error("The backend did not follow its cluster to another site.",
				"active_backend_id", *o.ActiveBackendID, "error", err)
			yes := true
			o = cinder.FailoverOutcome{ReplicationStatus: cinder.ReplicationError, Disabled: &yes}
		} else {
			v.arrived(*o.ActiveBackendID)
		}
	}
	if err := v.writeOwn(context.WithoutCancel(ctx), o); err != nil {
		v.owe(&o)
		return fmt.Errorf("failover completed on %s: %w", v.row.Host, err)
	}
	v.oweVolumes(owesRest) // of a member that died, or does not bring back what we left behind
	return nil
}

// upToDate is the outcome to follow: the cluster's state, when that has gone on
// since the message was sent.
func (v *Volume) upToDate(ctx context.Context, tx control.Tx, o cinder.FailoverOutcome) (cinder.FailoverOutcome, error) {
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
	v.log.Info("A late word of a failover: the cluster has gone on.", "cluster", c.Name)
	return stateOf(&c), nil
}

// conclude writes an outcome where it belongs and tells the cluster, or notes
// that this is owed. One that comes late, having been owed, gives way when the
// cluster has gone on without it.
func (v *Volume) conclude(ctx context.Context, o cinder.FailoverOutcome, late bool) error {
	v.owe(nil)
	told := o
	var err error
	if v.row.Cluster != "" {
		told, err = v.writeCluster(ctx, o, late)
	}
	if err == nil {
		err = v.writeOwn(ctx, told)
	}
	if err == nil && v.row.Cluster != "" {
		ctx, cancel := context.WithTimeout(ctx, busTimeout)
		defer cancel()
		err = v.o.Bus.FailoverCompleted(ctx, v.row.Cluster, told)
	}
	if err != nil {
		v.owe(&told)
	}
	return err
}

// writeCluster writes an outcome into the cluster's row and returns what is to
// be told of it.
func (v *Volume) writeCluster(ctx context.Context, o cinder.FailoverOutcome, late bool) (cinder.FailoverOutcome, error) {
	told := o
	err := v.update(ctx, func(ctx context.Context, tx control.Tx) error {
		was, err := tx.Cluster(ctx, v.row.Cluster, v.row.Binary)
		if err != nil {
			return err
		}
		told = complete(o, was.ReplicationStatus, was.ActiveBackendID)
		if late && was.ReplicationStatus != cinder.ReplicationFailingOver {
			if !shows(told, was.ReplicationStatus, was.ActiveBackendID) {
				told = stateOf(&was)
			}
			return nil
		}
		now := was
		applyCluster(&now, told, tx.Now())
		return tx.SaveCluster(ctx, was, now)
	})
	return told, err
}

// writeOwn writes an outcome into the service's own row. One that the row shows
// already is not written again: an administrator may have enabled it since.
func (v *Volume) writeOwn(ctx context.Context, o cinder.FailoverOutcome) error {
	return v.change(ctx, func(tx control.Tx, row *cinder.Service) error {
		o := complete(o, row.ReplicationStatus, row.ActiveBackendID)
		if !shows(o, row.ReplicationStatus, row.ActiveBackendID) {
			apply(row, o, tx.Now())
		}
		return nil
	})
}

// shows says whether a row shows an outcome already.
func shows(o cinder.FailoverOutcome, status cinder.ReplicationStatus, active *string) bool {
	return status == o.ReplicationStatus && (o.ActiveBackendID == nil || *o.ActiveBackendID == value(active))
}

// arrived notes that the backend works, at that site.
func (v *Volume) arrived(active string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state.Active = active
	v.broken = nil
}

// owe notes an outcome that rows or members do not know of yet; nil when they do.
func (v *Volume) owe(o *cinder.FailoverOutcome) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.owed = o
}

// afterBeat does what is owed: the database is there again, and perhaps the bus.
func (v *Volume) afterBeat(ctx context.Context) {
	select {
	case <-v.turn:
		defer func() { v.turn <- struct{}{} }()
	default: // A command is under way, and heartbeats do not wait.
		return
	}
	v.mu.Lock()
	o := v.owed
	v.mu.Unlock()
	if o == nil {
		if err := v.forsake(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("Whether a failover was announced that does not come cannot be seen.", "error", err)
		}
		return
	}
	if err := v.conclude(ctx, *o, true); err != nil {
		v.log.Warn("The outcome of a failover is still not known to all.", "error", err)
	}
}

// forsake puts back the status of a failover that does not come: its command was
// never sent, was lost, or expired in the queue while the service hung. The service
// has nothing of it in hand, the caller having its turn, and carries out none that
// comes after this: only it can know both. Another member of a cluster may be at
// one, so the row of a member is left alone.
func (v *Volume) forsake(ctx context.Context) error {
	if v.row.Cluster != "" || v.vo.FailoverExpiry <= 0 {
		return nil
	}
	var row cinder.Service
	err := v.update(ctx, func(ctx context.Context, tx control.Tx) (err error) {
		row, err = v.own(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	if row.ReplicationStatus != cinder.ReplicationFailingOver {
		v.failing = time.Time{}
		return nil
	}
	if v.failing.IsZero() {
		v.failing = time.Now()
	}
	if time.Since(v.failing) <= v.vo.FailoverExpiry {
		return nil
	}
	return v.putStatusBack(ctx)
}

// putStatusBack is the end of forsake: unless the journal tells of a failover that
// began since, the row says what it said before it was marked.
func (v *Volume) putStatusBack(ctx context.Context) error {
	var was, now cinder.ReplicationStatus
	err := v.update(ctx, func(ctx context.Context, tx control.Tx) error {
		row, err := v.own(ctx, tx)
		if err != nil {
			return err
		}
		was, now = row.ReplicationStatus, row.ReplicationStatus
		if was != cinder.ReplicationFailingOver {
			return nil
		}
		status := settled(was, row.ActiveBackendID, true)
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
		v.failing = time.Time{}
		v.log.Warn("A failover was announced, and its command has not come: the status is put back.", "status", string(now))
	}
	return err
}
