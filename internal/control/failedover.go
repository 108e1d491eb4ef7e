package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stoker/internal/cinder"
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
		if err := suspect(ctx, tx, rows, open); err != nil {
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

// pending says whether the outcome is still to come: a row is failing over. Of a
// cluster it is the cluster's own row that tells; members that have missed the end
// are waited for a little, and told later.
//
// A member that restarts in the middle puts the cluster's row back, though another
// goes on (BEHAVIOUR.md, "Clusters"). So a row that names the site that it named
// before tells nothing as long as a member lives that may be at it.
func (c *Control) pending(tx Tx, rows target, op *cinder.Operation) bool {
	failingOver := func(s cinder.Service) bool { return s.ReplicationStatus == cinder.ReplicationFailingOver }
	behind := slices.ContainsFunc(rows.members, failingOver)
	if rows.cluster == nil || rows.cluster.ReplicationStatus == cinder.ReplicationFailingOver || !behind {
		return behind || rows.cluster != nil && rows.cluster.ReplicationStatus == cinder.ReplicationFailingOver
	}
	mayBeAtIt := func(s cinder.Service) bool { return failingOver(s) && s.Up(tx.HostNow(), c.o.DownTime) }
	if stays(rows.cluster, op) && slices.ContainsFunc(rows.members, mayBeAtIt) {
		return true
	}
	// They are looked at all the while: most need a few milliseconds.
	if op.Progress.WatchUntil.IsZero() {
		op.Progress.WatchUntil = tx.Now().Add(grace)
	}
	return tx.Now().Before(op.Progress.WatchUntil)
}

// stays says whether a cluster's row names the site that it named before a failover,
// which has not failed either.
func stays(cl *cinder.Cluster, op *cinder.Operation) bool {
	return cl.ReplicationStatus != cinder.ReplicationFailoverError && slices.ContainsFunc(op.Before.Clusters, func(st cinder.ClusterState) bool {
		return st.ID == cl.ID && at(st.ActiveBackendID) == at(cl.ActiveBackendID)
	})
}

// verdict reads from the rows how a failover ended.
func verdict(op cinder.Operation, rows target) (cinder.OperationState, string) {
	if len(rows.members) == 0 {
		return cinder.OpUndone, "the service was removed meanwhile"
	}
	status, active := rows.members[0].ReplicationStatus, rows.members[0].ActiveBackendID
	if rows.cluster != nil {
		status, active = rows.cluster.ReplicationStatus, rows.cluster.ActiveBackendID
	}
	before, from := op.Before.Services[0].ReplicationStatus, op.Before.Services[0].ActiveBackendID
	if len(op.Before.Clusters) > 0 {
		before, from = op.Before.Clusters[0].ReplicationStatus, op.Before.Clusters[0].ActiveBackendID
	}
	moved := at(active) != at(from) || status != before
	switch {
	case status == cinder.ReplicationFailoverError:
		return cinder.OpFailed, "the backend failed to fail over: see the log of the service"
	case moved && (op.Detail == "" && status == cinder.ReplicationFailedOver || at(active) == op.Detail), !moved && at(active) == op.Detail:
		return cinder.OpDone, "active backend: " + at(active)
	case !moved:
		return cinder.OpUndone, fmt.Sprintf("the service stays on %s: it refused the target, was not told in time, or has restarted: see its log", at(active))
	default:
		return cinder.OpUndone, fmt.Sprintf("status is %s on %s: changed from elsewhere", status, at(active))
	}
}

// applyFailover records the causes that follow from where the rows have come to:
// failed over disables, going back ends that cause and no other (G4). What is watched
// is to show that, as it looks like a thaw.
func (c *Control) applyFailover(ctx context.Context, tx Tx, rows *target, open []cinder.Operation) error {
	for i, row := range rows.members {
		s := &service{was: row, row: row}
		var err error
		if s.causes, err = tx.Causes(ctx, row.Binary, row.Host); err != nil {
			return err
		}
		over := s.has(cinder.CauseFailedOver)
		s.failedOver()
		if s.row.Disabled != row.Disabled || !equal(s.row.DisabledReason, row.DisabledReason) {
			s.row.ModifiedAt = tx.Now()
		}
		if err := s.save(ctx, tx); err != nil {
			return err
		}
		if over && !s.has(cinder.CauseFailedOver) {
			if err := tell(ctx, tx, open, s.row.State()); err != nil {
				return err
			}
		}
		rows.members[i] = s.row
		failpoint.Settling.Here()
	}
	if rows.cluster == nil {
		return nil
	}
	return c.applyFailoverToCluster(ctx, tx, rows)
}

// failedOver makes the causes follow the replication status, and the row the causes.
func (s *service) failedOver() {
	switch s.row.ReplicationStatus {
	case cinder.ReplicationFailedOver:
		if s.row.Disabled {
			s.add(cinder.Cause{Kind: cinder.CauseFailedOver, Reason: new(cinder.ReasonFailedOver)})
			s.project()
		}
	case cinder.ReplicationFailoverError:
		// The service disables itself and leaves the reason as it was.
		if s.row.Disabled && !s.has(cinder.CauseFailedOver) {
			s.add(cinder.Cause{Kind: cinder.CauseFailedOver, Reason: s.reasonBelow()})
		}
	default:
		if s.away() { // it has started in the midst, or has yet to hear of the end
			return
		}
		if s.has(cinder.CauseFailedOver) || len(s.causes) > 0 && !s.row.Disabled {
			s.drop(cinder.CauseFailedOver)
			s.project()
		}
	}
}

// movedDuring says whether a service has failed over, or failed to, since a freeze or
// thaw began that is about to write its row. Its failover is still open, as it waits
// for that to end; and nobody can have enabled the service meanwhile.
func (s *service) movedDuring(op *cinder.Operation, open []cinder.Operation) bool {
	r := &s.row
	if r.ReplicationStatus != cinder.ReplicationFailedOver && r.ReplicationStatus != cinder.ReplicationFailoverError ||
		touches(open, r.Binary, r.Host, cinder.OpFailover) == nil {
		return false
	}
	return slices.ContainsFunc(op.Shown.Services, func(st cinder.ServiceState) bool {
		return st.ID == r.ID && (st.ReplicationStatus != r.ReplicationStatus || !equal(st.ActiveBackendID, r.ActiveBackendID))
	})
}

// failsOver disables a service as it has disabled itself when it failed over, or
// failed to, which a freeze or thaw has written over.
func (s *service) failsOver() {
	s.row.Disabled = true
	if s.row.ReplicationStatus == cinder.ReplicationFailedOver && !s.row.Frozen {
		s.row.DisabledReason = new(cinder.ReasonFailedOver)
	}
	s.failedOver()
}

// reasonBelow is the reason that a row would have if its service were not frozen:
// frozen has written over it, and must not outlive the freeze.
func (s *service) reasonBelow() *string {
	admin := s.cause(cinder.CauseAdmin)
	switch {
	case !s.has(cinder.CauseFrozen) || s.row.DisabledReason == nil || *s.row.DisabledReason != cinder.ReasonFrozen:
		return s.row.DisabledReason
	case admin != nil:
		return admin.Reason
	default:
		return new("")
	}
}

// loadCluster brings what we recorded of a cluster's own disable in line with
// its row, as load does for services.
func (c *Control) loadCluster(ctx context.Context, tx Tx, row cinder.Cluster) error {
	s, err := clusterService(ctx, tx, row)
	if err != nil {
		return err
	}
	s.reconcile()
	return s.record(ctx, tx)
}

// applyFailoverToCluster does for the cluster's row what applyFailover does for
// its members': the rules are the same, a cluster is only never frozen by cause.
func (c *Control) applyFailoverToCluster(ctx context.Context, tx Tx, rows *target) error {
	s, err := clusterService(ctx, tx, *rows.cluster)
	if err != nil {
		return err
	}
	s.failedOver()
	now := *rows.cluster
	now.Disabled, now.DisabledReason = s.row.Disabled, s.row.DisabledReason
	if err := tx.SaveCluster(ctx, *rows.cluster, now); err != nil {
		return err
	}
	rows.cluster = &now
	return s.record(ctx, tx)
}

// clusterService sees a cluster's row as that of a service with the cluster's
// name. Frozen is left out: it does not disable a cluster.
func clusterService(ctx context.Context, tx Tx, row cinder.Cluster) (*service, error) {
	causes, err := tx.Causes(ctx, row.Binary, row.Name)
	return &service{causes: causes, row: cinder.Service{
		Binary: row.Binary, Host: row.Name, Disabled: row.Disabled, DisabledReason: row.DisabledReason,
		ReplicationStatus: row.ReplicationStatus, ActiveBackendID: row.ActiveBackendID,
	}}, err
}
