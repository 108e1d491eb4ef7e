package agent

import (
	"context"
	"fmt"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// Failover sends the backend to another site and writes the outcome into the
// service's row or, when it is clustered, the cluster's, and tells every member.
// A nil target leaves the choice to the backend; cinder.FailbackTarget goes back.
// Rows that could not be written are written after a later heartbeat. The error
// is for the log: whoever asked looks at the rows.
func (v *Volume) Failover(ctx context.Context, target *string) error {
	done, err := v.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	log := v.log.With("target", value(target), "request_id", cinder.CallerFrom(ctx).RequestID)
	log.Info("Failing over.")
	active, failure := v.vo.Backend.Failover(ctx, target)
	if failure == nil {
		v.arrived(active)
		log.Warn("Failover done.", "active_backend_id", active)
	} else {
		log.Error("The failover did not happen.", "error", failure)
	}
	// Whatever became of the caller, the rows must say what happened.
	err = v.conclude(context.WithoutCancel(ctx), outcomeOf(active, failure))
	if failure != nil {
		err = failure
	}
	if err != nil {
		return fmt.Errorf("failover %s: %w", v.row.Host, err)
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
	same := c.ReplicationStatus == o.ReplicationStatus &&
		(o.ActiveBackendID == nil || value(o.ActiveBackendID) == value(c.ActiveBackendID))
	if same || c.ReplicationStatus == cinder.ReplicationFailingOver {
		return o, nil
	}
	v.log.Info("A late word of a failover: the cluster has gone on.", "cluster", c.Name)
	return stateOf(&c), nil
}

// conclude writes an outcome where it belongs, or notes that it is owed.
func (v *Volume) conclude(ctx context.Context, o cinder.FailoverOutcome) error {
	v.owe(nil)
	if v.row.Cluster == "" {
		if err := v.writeOwn(ctx, o); err != nil {
			v.owe(&o)
			return err
		}
		return nil
	}
	told := o
	err := v.update(ctx, func(ctx context.Context, tx control.Tx) error {
		was, err := tx.Cluster(ctx, v.row.Cluster, v.row.Binary)
		if err != nil {
			return err
		}
		now := was
		told = complete(o, was.ReplicationStatus, was.ActiveBackendID)
		applyCluster(&now, told, tx.Now())
		return tx.SaveCluster(ctx, was, now)
	})
	if err == nil {
		err = v.writeOwn(ctx, told)
	}
	if err != nil {
		v.owe(&o)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	return v.o.Bus.FailoverCompleted(ctx, v.row.Cluster, told)
}

// writeOwn writes an outcome into the service's own row. One that the row shows
// already is not written again.
func (v *Volume) writeOwn(ctx context.Context, o cinder.FailoverOutcome) error {
	return v.change(ctx, func(tx control.Tx, row *cinder.Service) error {
		now := *row
		apply(&now, complete(o, row.ReplicationStatus, row.ActiveBackendID), tx.Now())
		if !sameState(row, &now) {
			*row = now
		}
		return nil
	})
}

func sameState(a, b *cinder.Service) bool {
	return a.Disabled == b.Disabled && value(a.DisabledReason) == value(b.DisabledReason) &&
		a.ReplicationStatus == b.ReplicationStatus && value(a.ActiveBackendID) == value(b.ActiveBackendID)
}

// arrived notes that the backend works, at that site.
func (v *Volume) arrived(active string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state.Active = active
	v.broken = nil
}

// owe notes an outcome that the rows do not show yet; nil when they do.
func (v *Volume) owe(o *cinder.FailoverOutcome) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.owed = o
}

// afterBeat writes what is owed: the database is there again.
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
		return
	}
	if err := v.conclude(ctx, *o); err != nil {
		v.log.Warn("The outcome of a failover is still not written down.", "error", err)
	}
}
