package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
	"stoker/internal/control/lifecycle"
	"stoker/internal/failpoint"
)

// Members of a cluster learn where its backend is when they are told: by
// failover_completed, which the member sends that has carried a failover out. One
// that missed it, or restarted in the middle and took itself for enabled, works on
// the wrong site until it is told again (live.json, missed/restart). The cluster's
// row says where the backend is.

const (
	uniteEvery = 3 * time.Second
	// tellAttempts is how often members are told before it is given up.
	tellAttempts = 8
	// tellAgain is how long after that another try is made, should nothing have changed.
	tellAgain = time.Hour
)

// correct makes the status in a cluster's row agree with the site in it.
func correct(ctx context.Context, tx Tx, cl *cinder.Cluster) error {
	if !evidence.ClusterMisstated(cl) {
		return nil
	}
	now := *cl
	now.ReplicationStatus, now.UpdatedAt = cinder.ReplicationFailedOver, tx.Now()
	if err := tx.SaveCluster(ctx, *cl, now); err != nil {
		return err
	}
	*cl = now
	return nil
}

// unite looks for members that disagree with their cluster for longer than those
// who are about to hear, and begins to tell them.
func (c *Control) unite(ctx context.Context, open []cinder.Operation, now time.Time) error {
	if now.Sub(c.clusters).Abs() < uniteEvery {
		return nil
	}
	c.clusters = now
	v, err := c.o.Store.Clusters(ctx, cinder.ClusterQuery{})
	if err != nil {
		return fmt.Errorf("look at clusters: %w", err)
	}
	seen := map[string]time.Time{}
	for i := range v.Clusters {
		cl := &v.Clusters[i]
		if cl.Binary != cinder.BinaryVolume || !evidence.ClusterKnows(cl) || clusterBusy(open, cl) {
			continue
		}
		behind := slices.ContainsFunc(v.Members, func(s cinder.Service) bool {
			return s.Cluster == cl.Name && s.Binary == cl.Binary && s.Up(v.Now, c.o.DownTime) && evidence.Disagrees(s.State(), cl)
		})
		if !behind && !evidence.ClusterMisstated(cl) {
			continue
		}
		since, known := c.disagree[cl.Name]
		if !known {
			since = now
		}
		seen[cl.Name] = since
		if now.Sub(since).Abs() >= grace {
			if err := c.beginCompletion(ctx, cl.Name); err != nil {
				return fmt.Errorf("cluster %s: %w", cl.Name, err)
			}
		}
	}
	c.disagree = seen
	return nil
}

// clusterBusy says whether an open operation has the cluster's failover in hand.
func clusterBusy(open []cinder.Operation, cl *cinder.Cluster) bool {
	return slices.ContainsFunc(open, func(op cinder.Operation) bool {
		return op.State == cinder.OpOpen && (op.Kind == cinder.OpFailover || op.Kind == cinder.OpCompletion) &&
			slices.ContainsFunc(op.Before.Clusters, func(st cinder.ClusterState) bool { return st.ID == cl.ID })
	})
}

// beginCompletion opens an operation that tells the members of a cluster where
// its backend is, unless that was given up not long ago.
func (c *Control) beginCompletion(ctx context.Context, name string) error {
	kind := string(cinder.OpCompletion)
	last, err := c.o.Store.Operations(ctx, cinder.OperationQuery{Cluster: &name, Kind: &kind, Limit: 1})
	if err != nil {
		return err
	}
	return c.update(ctx, func(tx Tx) error {
		t, err := members(ctx, tx, name)
		if err != nil {
			return err
		}
		open, err := tx.OpenOperations(ctx)
		if err != nil {
			return err
		}
		if !evidence.ClusterKnows(t.cluster) || clusterBusy(open, t.cluster) {
			return nil
		}
		if len(last) > 0 && last[0].State == cinder.OpFailed && tx.Now().Sub(last[0].SettledAt).Abs() < tellAgain {
			return nil
		}
		op := c.operation(ctx, tx, c.newID(), cinder.OpCompletion)
		op.Binary, op.Cluster, op.Detail = cinder.BinaryVolume, name, evidence.Site(t.cluster.ActiveBackendID)
		op.Deadline = op.StartedAt.Add(tellAttempts * maxBackoff)
		op.Before = t.before()
		if err := correct(ctx, tx, t.cluster); err != nil {
			return err
		}
		c.o.Log.WarnContext(ctx, "members of a cluster have missed a failover: telling them", "cluster", name, "active_backend_id", op.Detail, "operation", op.ID)
		return tx.AddOperation(ctx, op)
	})
}

// lookAtCompletion tells the members once more, or ends the operation: when they
// agree, when the cluster has gone on, or when they were told often enough.
func (c *Control) lookAtCompletion(ctx context.Context, op cinder.Operation) error {
	failpoint.TellingRecorded.Here()
	s, _, err := c.settle(ctx, op, byHost, func(s *settlement) lifecycle.Facts { return c.agreement(s) })
	if err != nil || s.tell == nil {
		return err
	}
	failpoint.Telling.Here()
	if err := c.o.Fleet.FailoverCompleted(ctx, op.Cluster, *s.tell); err != nil {
		c.o.Log.WarnContext(ctx, "members of a cluster could not be told of its failover: trying again", "cluster", op.Cluster, "operation", op.ID, "error", err)
	}
	failpoint.Told.Here()
	return nil
}

// agreement is what is known of a cluster whose members are told of a failover.
func (c *Control) agreement(s *settlement) (facts lifecycle.Facts) {
	facts = facts.With(lifecycle.Busy, s.busy(cinder.OpFreeze, cinder.OpThaw, cinder.OpFailover))
	cluster := s.rows.cluster
	if cluster == nil || !evidence.ClusterKnows(cluster) || evidence.Site(cluster.ActiveBackendID) != s.was.Detail {
		return facts | lifecycle.ClusterMovedOn
	}
	behind, listens := false, false
	for i := range s.rows.members {
		if m := &s.rows.members[i]; evidence.Disagrees(m.State(), cluster) {
			behind = true
			listens = listens || m.Up(s.tx.HostNow(), c.o.DownTime)
		}
	}
	return facts.With(lifecycle.MembersAgree, !behind).With(lifecycle.MembersBehind, behind).With(lifecycle.NobodyListens, behind && !listens).
		With(lifecycle.Exhausted, s.was.Progress.Attempts >= tellAttempts)
}

// disableMissed disables the members that had missed the way to another site, and
// marks those that had missed the way back as disabled for no other reason. The
// others were told in time, and what was made of them since stays.
func disableMissed(ctx context.Context, tx Tx, op cinder.Operation, rows *target) error {
	for i, row := range rows.members {
		missed := slices.ContainsFunc(op.Before.Services, func(st cinder.ServiceState) bool {
			return st.Host == row.Host && evidence.Disagrees(st, rows.cluster)
		})
		if !missed {
			continue
		}
		s, err := recorded(ctx, tx, row)
		if err != nil {
			return err
		}
		if s.DisableMissed() {
			s.Row.ModifiedAt = tx.Now()
		}
		if err := s.save(ctx, tx); err != nil {
			return err
		}
		rows.members[i] = s.Row
	}
	return nil
}
