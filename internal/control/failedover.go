package control

import (
	"context"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
	"stoker/internal/control/lifecycle"
	"stoker/internal/failpoint"
)

// settleFailover ends a failover once no row is failing over any more. Until
// then it stays open, and is overdue after its deadline: waits says so.
func (c *Control) settleFailover(ctx context.Context, op cinder.Operation) (waits bool, err error) {
	var facts lifecycle.Facts
	s, t, err := c.settle(ctx, op, byID, func(s *settlement) lifecycle.Facts {
		facts = c.progress(s)
		return facts
	})
	if err != nil {
		return false, err
	}
	if t.To.Final() {
		failpoint.Settled.Here()
		c.notify(ctx, s.op, noticeEnd)
	}
	if s.op.Outcome != s.was.Outcome || t.To.Final() {
		c.o.Log.InfoContext(ctx, "failover looked at", "operation", op.ID, "state", s.op.State, "outcome", s.op.Outcome)
	}
	return !facts.Has(lifecycle.Busy) && !t.To.Final(), nil
}

// grace is how long the members of a cluster may take to hear what has become of
// a failover: the one that carried it out writes the cluster's row first.
const grace = 5 * time.Second

// progress is what is known of a failover that is open. Members of a cluster that
// have missed its end are waited for a little, and told later.
func (c *Control) progress(s *settlement) lifecycle.Facts {
	now, until := s.tx.Now(), s.was.Progress.WatchUntil
	facts := lifecycle.Facts(0).
		With(lifecycle.Busy, s.busy(cinder.OpFreeze, cinder.OpThaw)). // half-way rows
		With(lifecycle.DeadlinePassed, now.After(s.was.Deadline) && s.was.Outcome == "")
	alive := func(m *cinder.Service) bool { return m.Up(s.tx.HostNow(), c.o.DownTime) }
	switch p := evidence.ProgressOf(&s.was, s.rows.cluster, s.rows.members, alive); {
	case p == evidence.Telling && until.IsZero():
		return facts | lifecycle.MembersBehind
	case p == evidence.Running, p == evidence.Telling && now.Before(until): // most members need a few milliseconds
		return facts | lifecycle.Running
	default:
		return facts | s.ending()
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
