package agent

import (
	"context"

	"stoker/internal/backend"
	"stoker/internal/cinder"
	"stoker/internal/control"
)

// status looks at whether the backend is replicated.
func (v *Volume) status(ctx context.Context) cinder.ReplicationStatus {
	stats, err := v.vo.Backend.Stats(ctx)
	if err != nil {
		v.log.Error("The backend does not say whether it is replicated: it counts as not.", "error", err)
	}
	return settled("", nil, stats.Replicated())
}

// settle makes the row say what is: no failover is under way any more that died
// with the process before, a member agrees with its cluster, and a row that was
// made anew is as the one before it. Then the backend is told.
func (v *Volume) settle(ctx context.Context, r registration) error {
	done, err := v.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	known := v.known()
	var state backend.State
	err = v.change(ctx, func(tx control.Tx, now *cinder.Service) error {
		if r.revived() {
			causes, err := tx.Causes(ctx, now.Binary, now.Host)
			if err != nil {
				return err
			}
			renew(now, known.Active, known.Frozen, causes, tx.Now())
		}
		if err := v.agree(ctx, tx, now, r); err != nil {
			return err
		}
		state = backend.State{Active: value(now.ActiveBackendID), Frozen: now.Frozen}
		return nil
	})
	if err != nil {
		return err
	}
	v.remember(func(s *backend.State) { *s = state })
	v.oweVolumes(owesRest)
	if !r.again || v.working() != nil {
		v.ready(ctx, state)
	}
	return nil
}

// agree gives the row the replication status that is true at a start, by itself
// or as its cluster has it.
func (v *Volume) agree(ctx context.Context, tx control.Tx, now *cinder.Service, r registration) error {
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
		others, err := v.othersUp(ctx, tx)
		if err != nil {
			return err
		}
		if others && cluster.ReplicationStatus == cinder.ReplicationFailingOver {
			// Whoever carries it out tells when it is over.
			v.log.Info("The cluster is failing over: its outcome is awaited.", "cluster", cluster.Name)
			return nil
		}
		if others {
			join(now, &cluster, joins, tx.Now())
			return nil
		}
	}
	was := cluster
	v.settleStatus(&cluster.ReplicationStatus, cluster.ActiveBackendID, replicated)
	if cluster.ReplicationStatus != was.ReplicationStatus {
		cluster.UpdatedAt = tx.Now()
	}
	join(now, &cluster, joins, tx.Now())
	return tx.SaveCluster(ctx, was, cluster)
}

// settleStatus ends a failover that the process before this one left open, or
// failed at, and says so.
func (v *Volume) settleStatus(status *cinder.ReplicationStatus, active *string, replicated bool) {
	was := *status
	*status = settled(was, active, replicated)
	if unsettled(was) {
		v.log.Warn("A failover had not ended well before the service started: its status is reset.",
			"was", string(was), "now", string(*status), "active_backend_id", value(active))
	}
}

// othersUp says whether another member of the cluster lives.
func (v *Volume) othersUp(ctx context.Context, tx control.Tx) (bool, error) {
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

// setup gives a backend that could not be set up another chance.
func (v *Volume) setup(ctx context.Context) {
	done, err := v.alone(ctx)
	if err != nil {
		return
	}
	defer done()
	v.ready(ctx, v.known())
}

// ready sets the backend up and notes whether that went well. The caller has its turn.
func (v *Volume) ready(ctx context.Context, state backend.State) {
	err := v.vo.Backend.Setup(ctx, state)
	if err != nil {
		v.log.Error("The backend could not be set up: the service does not report itself alive.",
			"active_backend_id", state.Active, "error", err)
		err = cinder.Wrap(cinder.KindUnavailable, err, "The backend is not set up.")
	} else {
		v.log.Info("The backend is set up.", "active_backend_id", state.Active, "frozen", state.Frozen)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.broken = err
}
