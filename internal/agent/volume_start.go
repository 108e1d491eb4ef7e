package agent

import (
	"context"

	"stoker/internal/backend"
	"stoker/internal/cinder"
	"stoker/internal/control"
)

// status depends on whether the backend is replicated.
func (v *Volume) status(ctx context.Context) cinder.ReplicationStatus {
	stats, err := v.vo.Backend.Stats(ctx)
	if err != nil {
		v.log.Error("backend stats unavailable; assuming that it is not replicated", "error", err)
	}
	return settledStatus("", nil, stats.Replicated())
}

// settle makes the row true: a failover that died with the previous process is over, a
// member agrees with its cluster, and a new row continues the one before it. Then it
// sets up the backend.
func (v *Volume) settle(ctx context.Context, r registration) error {
	done, err := v.acquire(ctx)
	if err != nil {
		return err
	}
	defer done()
	known := v.backendState()
	var state backend.State
	err = v.change(ctx, func(tx control.Tx, now *cinder.Service) error {
		if r.newRow() {
			causes, err := tx.Causes(ctx, now.Binary, now.Host)
			if err != nil {
				return err
			}
			restoreRow(now, known.Active, known.Frozen, causes, tx.Now())
		}
		if err := v.settleReplication(ctx, tx, now, r); err != nil {
			return err
		}
		state = backend.State{Active: value(now.ActiveBackendID), Frozen: now.Frozen}
		return nil
	})
	if err != nil {
		return err
	}
	v.updateState(func(s *backend.State) { *s = state })
	v.requestFollow(followRest)
	if !r.rerun || v.working() != nil {
		v.setUp(ctx, state)
	}
	return nil
}

// settleReplication sets the row's replication status at a start, by itself or from its
// cluster.
func (v *Volume) settleReplication(ctx context.Context, tx control.Tx, now *cinder.Service, r registration) error {
	joins, replicated := r.before.Cluster != now.Cluster, r.status == cinder.ReplicationEnabled
	if now.Cluster == "" {
		v.settleStatus(&now.ReplicationStatus, now.ActiveBackendID, replicated)
		return nil
	}
	cluster, err := tx.Cluster(ctx, now.Cluster, now.Binary)
	if cinder.KindOf(err) == cinder.KindNotFound {
		v.settleStatus(&now.ReplicationStatus, now.ActiveBackendID, replicated)
		return nil
	}
	if err != nil {
		return err
	}
	if unsettled(cluster.ReplicationStatus) {
		others, err := v.otherMemberUp(ctx, tx)
		if err != nil {
			return err
		}
		if others && cluster.ReplicationStatus == cinder.ReplicationFailingOver {
			// The member that carries it out announces its outcome.
			v.log.Info("cluster is failing over; waiting for the outcome", "cluster", cluster.Name)
			return nil
		}
		if others {
			joinCluster(now, &cluster, joins, tx.Now())
			return nil
		}
	}
	was := cluster
	v.settleStatus(&cluster.ReplicationStatus, cluster.ActiveBackendID, replicated)
	if cluster.ReplicationStatus != was.ReplicationStatus {
		cluster.UpdatedAt = tx.Now()
	}
	joinCluster(now, &cluster, joins, tx.Now())
	return tx.SaveCluster(ctx, was, cluster)
}

// settleStatus ends a failover that the previous process left running or failed, and
// logs it.
func (v *Volume) settleStatus(status *cinder.ReplicationStatus, active *string, replicated bool) {
	was := *status
	*status = settledStatus(was, active, replicated)
	if unsettled(was) {
		v.log.Warn("unfinished failover found at start; status reset",
			"was", string(was), "now", string(*status), "active_backend_id", value(active))
	}
}

// otherMemberUp reports whether another member of the cluster is up.
func (v *Volume) otherMemberUp(ctx context.Context, tx control.Tx) (bool, error) {
	members, err := tx.Services(ctx, cinder.ServiceQuery{Cluster: &v.row.Cluster, Binary: &v.row.Binary})
	if err != nil {
		return false, err
	}
	for _, m := range members {
		if m.Cluster == v.row.Cluster && m.Host != v.row.Host && m.Up(tx.HostNow(), v.o.DownTime) {
			return true, nil
		}
	}
	return false, nil
}

// retrySetup tries again to set up the backend.
func (v *Volume) retrySetup(ctx context.Context) {
	done, err := v.acquire(ctx)
	if err != nil {
		return
	}
	defer done()
	v.setUp(ctx, v.backendState())
}

// setUp sets up the backend and records the result. The caller has the turn.
func (v *Volume) setUp(ctx context.Context, state backend.State) {
	err := v.vo.Backend.Setup(ctx, state)
	if err != nil {
		v.log.Error("backend setup failed; no heartbeats until it succeeds",
			"active_backend_id", state.Active, "error", err)
		err = cinder.Wrap(cinder.KindUnavailable, err, "The backend is not set up.")
	} else {
		v.log.Info("backend set up", "active_backend_id", state.Active, "frozen", state.Frozen)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.setupErr = err
}
