package control

import (
	"context"
	"fmt"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
	"stoker/internal/failpoint"
)

// settleFailover ends a failover once no row is failing over any more. Until
// then it stays open, and is overdue after its deadline: waits says so.
func (c *Control) settleFailover(ctx context.Context, op cinder.Operation) (waits bool, err error) {
	var seen *cinder.Operation
	err = c.update(ctx, func(tx Tx) error {
		seen, waits = nil, false
		was, rows, err := c.reopen(ctx, tx, op)
		if err != nil {
			return err
		}
		open, err := tx.OpenOperations(ctx)
		if err != nil {
			return err
		}
		if !rows.idle(open, cinder.OpFreeze, cinder.OpThaw) {
			return nil // half-way rows: look again when that is settled
		}
		mine := was
		if waits = c.pending(tx, rows, &mine); waits {
			if tx.Now().After(mine.Deadline) && mine.Outcome == "" {
				mine.Outcome = "overdue: no outcome by the deadline"
				seen = &mine
			}
			if mine.Outcome == was.Outcome && mine.Progress.WatchUntil.Equal(was.Progress.WatchUntil) {
				return nil
			}
			return tx.SaveOperation(ctx, was, mine)
		}
		if rows.cluster != nil {
			err = correct(ctx, tx, rows.cluster)
		} else {
			err = restoreStatus(ctx, tx, mine, &rows) // of one that has started meanwhile
		}
		if err != nil {
			return err
		}
		state, outcome := verdict(mine, rows)
		if err := c.applyFailover(ctx, tx, &rows, open); err != nil {
			return err
		}
		if err := suspect(ctx, tx, rows.members, open); err != nil {
			return err
		}
		mine.After = rows.before()
		finish(&mine, tx, state, outcome)
		seen = &mine
		return tx.SaveOperation(ctx, was, mine)
	})
	if err == nil && seen != nil {
		if seen.State.Final() {
			failpoint.Settled.Here()
			c.notify(ctx, *seen, noticeEnd)
		}
		c.o.Log.InfoContext(ctx, "failover looked at", "operation", op.ID, "state", seen.State, "outcome", seen.Outcome)
	}
	return waits, err
}

// grace is how long the members of a cluster may take to hear what has become of
// a failover: the one that carried it out writes the cluster's row first.
const grace = 5 * time.Second

// pending says whether the outcome is still to come. Members of a cluster that have
// missed the end are waited for a little, and told later.
func (c *Control) pending(tx Tx, rows target, op *cinder.Operation) bool {
	alive := func(s *cinder.Service) bool { return s.Up(tx.HostNow(), c.o.DownTime) }
	switch evidence.ProgressOf(op, rows.cluster, rows.members, alive) {
	case evidence.Running:
		return true
	case evidence.Telling: // they are looked at all the while: most need a few milliseconds
		if op.Progress.WatchUntil.IsZero() {
			op.Progress.WatchUntil = tx.Now().Add(grace)
		}
		return tx.Now().Before(op.Progress.WatchUntil)
	default:
		return false
	}
}

// verdict is how a failover ended, in the state and the words of the journal.
func verdict(op cinder.Operation, rows target) (cinder.OperationState, string) {
	switch outcome, status, site := evidence.OutcomeOf(&op, rows.cluster, rows.members); outcome {
	case evidence.Removed:
		return cinder.OpUndone, "the service was removed meanwhile"
	case evidence.Failed:
		return cinder.OpFailed, "the backend failed to fail over: see the log of the service"
	case evidence.Arrived:
		return cinder.OpDone, "active backend: " + site
	case evidence.Stayed:
		return cinder.OpUndone, fmt.Sprintf("the service stays on %s: it refused the target, was not told in time, or has restarted: see its log", site)
	default:
		return cinder.OpUndone, fmt.Sprintf("status is %s on %s: changed from elsewhere", status, site)
	}
}

// applyFailover records the causes that follow from where the rows have come to:
// failed over disables, going back ends that cause and no other (G4). What is watched
// is to show that, as it looks like a thaw.
func (c *Control) applyFailover(ctx context.Context, tx Tx, rows *target, open []cinder.Operation) error {
	for i, row := range rows.members {
		s, err := recorded(ctx, tx, row)
		if err != nil {
			return err
		}
		over := s.Has(cinder.CauseFailedOver)
		s.FollowReplication()
		if evidence.Changed(&row, &s.Row) {
			s.Row.ModifiedAt = tx.Now()
		}
		if err := s.save(ctx, tx); err != nil {
			return err
		}
		if over && !s.Has(cinder.CauseFailedOver) {
			if err := tell(ctx, tx, open, s.Row.State()); err != nil {
				return err
			}
		}
		rows.members[i] = s.Row
		failpoint.Settling.Here()
	}
	if rows.cluster == nil {
		return nil
	}
	return c.applyFailoverToCluster(ctx, tx, rows)
}

// loadCluster brings what we recorded of a cluster's own disable in line with
// its row, as load does for services.
func (c *Control) loadCluster(ctx context.Context, tx Tx, row cinder.Cluster) error {
	s, err := clusterService(ctx, tx, row)
	if err != nil {
		return err
	}
	s.Reconcile()
	return s.record(ctx, tx)
}

// applyFailoverToCluster does for the cluster's row what applyFailover does for
// its members': the rules are the same, a cluster is only never frozen by cause.
func (c *Control) applyFailoverToCluster(ctx context.Context, tx Tx, rows *target) error {
	s, err := clusterService(ctx, tx, *rows.cluster)
	if err != nil {
		return err
	}
	s.FollowReplication()
	now := *rows.cluster
	now.Disabled, now.DisabledReason = s.Row.Disabled, s.Row.DisabledReason
	if err := tx.SaveCluster(ctx, *rows.cluster, now); err != nil {
		return err
	}
	rows.cluster = &now
	return s.record(ctx, tx)
}

// clusterService sees a cluster's row as that of a service with the cluster's
// name. Frozen is left out: it does not disable a cluster.
func clusterService(ctx context.Context, tx Tx, row cinder.Cluster) (*service, error) {
	return recorded(ctx, tx, cinder.Service{
		Binary: row.Binary, Host: row.Name, Disabled: row.Disabled, DisabledReason: row.DisabledReason,
		ReplicationStatus: row.ReplicationStatus, ActiveBackendID: row.ActiveBackendID,
	})
}
