package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control/lifecycle"
)

// Clusters lists the clusters that q selects, by id, with what follows from
// their members: how many there are, how many are down, the last heartbeat.
func (c *Control) Clusters(ctx context.Context, q cinder.ClusterQuery) ([]cinder.Cluster, error) {
	v, err := c.o.Store.Clusters(ctx, cinder.ClusterQuery{Name: q.Name, Binary: q.Binary})
	if err != nil {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	clusters := v.Clusters
	c.count(clusters, v.Members, v.Now)
	shownClusters(clusters, v.Open)
	kept := clusters[:0]
	for i := range clusters {
		if q.Matches(&clusters[i]) {
			kept = append(kept, clusters[i])
		}
	}
	return kept, nil
}

// shownClusters lays over the clusters what the open operations say of them, as
// shown does for services (G1).
func shownClusters(clusters []cinder.Cluster, open []cinder.Operation) {
	for _, op := range open {
		if op.State != cinder.OpOpen {
			continue
		}
		for _, st := range op.Shown.Clusters {
			for i := range clusters {
				switch {
				case clusters[i].ID != st.ID:
				case op.Kind == cinder.OpFailover:
					clusters[i].ReplicationStatus, clusters[i].ActiveBackendID = st.ReplicationStatus, st.ActiveBackendID
				default:
					clusters[i].Frozen = st.Frozen
				}
			}
		}
	}
}

// count fills in what is computed from the members.
func (c *Control) count(clusters []cinder.Cluster, members []cinder.Service, now time.Time) {
	type key struct{ name, binary string }
	at := make(map[key]*cinder.Cluster, len(clusters))
	for i := range clusters {
		at[key{clusters[i].Name, clusters[i].Binary}] = &clusters[i]
	}
	for i := range members {
		m := &members[i]
		cl := at[key{m.Cluster, m.Binary}]
		if cl == nil {
			continue
		}
		cl.Hosts++
		if !m.Up(now, c.o.DownTime) {
			cl.DownHosts++
		}
		if hb := m.Heartbeat(); hb.After(cl.LastHeartbeat) {
			cl.LastHeartbeat = hb
		}
	}
}

// Cluster returns one cluster; its name may leave the backend out. KindNotFound when there is none
// (services.json, clusters/show-nope@3.26).
func (c *Control) Cluster(ctx context.Context, name, binary string) (cinder.Cluster, error) {
	found, err := c.Clusters(ctx, cinder.ClusterQuery{Name: &name, Binary: &binary})
	if err != nil {
		return cinder.Cluster{}, err
	}
	if len(found) == 0 {
		return cinder.Cluster{}, noCluster(name, binary)
	}
	return cinder.ClusterNamed(found, name), nil
}

func noCluster(name, binary string) error {
	return cinder.Errorf(cinder.KindNotFound, "Cluster {'binary': %s, 'name': %s} could not be found.", quoted(binary), quoted(name))
}

// quoted is a name as Cinder's messages quote it.
func quoted(name string) string {
	if strings.Contains(name, "'") && !strings.Contains(name, `"`) {
		return `"` + name + `"`
	}
	return "'" + name + "'"
}

// EnableCluster enables a cluster and clears its reason. KindNotFound.
func (c *Control) EnableCluster(ctx context.Context, name, binary string) (cinder.Cluster, cinder.Operation, error) {
	return c.changeCluster(ctx, cinder.OpEnableCluster, name, binary, nil)
}

// DisableCluster disables a cluster and writes the reason, nil included. KindNotFound.
func (c *Control) DisableCluster(ctx context.Context, name, binary string, reason *string) (cinder.Cluster, cinder.Operation, error) {
	return c.changeCluster(ctx, cinder.OpDisableCluster, name, binary, reason)
}

func (c *Control) changeCluster(ctx context.Context, kind cinder.OperationKind, name, binary string, reason *string) (cinder.Cluster, cinder.Operation, error) {
	var op cinder.Operation
	var found cinder.Cluster
	err := c.update(ctx, func(tx Tx) error {
		was, err := tx.Cluster(ctx, name, binary)
		if cinder.KindOf(err) == cinder.KindNotFound {
			return noCluster(name, binary)
		}
		if err != nil {
			return err
		}
		now := was
		now.Disabled, now.DisabledReason, now.UpdatedAt = kind == cinder.OpDisableCluster, reason, tx.Now()
		if err := tx.SaveCluster(ctx, was, now); err != nil {
			return err
		}
		s, err := clusterService(ctx, tx, now)
		if err != nil {
			return err
		}
		if kind == cinder.OpDisableCluster {
			s.Add(cinder.Cause{Kind: cinder.CauseAdmin, Reason: reason})
		} else {
			s.Causes = nil
		}
		if err := s.record(ctx, tx); err != nil {
			return err
		}
		op = c.operation(ctx, tx, c.newID(), kind)
		op.Binary, op.Cluster = binary, was.Name
		if reason != nil {
			op.Detail = *reason
		}
		op.Before.Clusters = []cinder.ClusterState{was.State()}
		op.After.Clusters = []cinder.ClusterState{now.State()}
		ended(&op, tx, lifecycle.Done, "")
		members, err := tx.Services(ctx, cinder.ServiceQuery{Cluster: &was.Name, Binary: &binary})
		if err != nil {
			return err
		}
		answer := []cinder.Cluster{now}
		c.count(answer, members, tx.HostNow())
		found = answer[0]
		return tx.AddOperation(ctx, op)
	})
	if err != nil {
		return cinder.Cluster{}, cinder.Operation{}, fmt.Errorf("%s %s: %w", kind, name, err)
	}
	c.notify(ctx, op, "")
	return found, op, nil
}
