package store

import (
	"context"
	"time"

	"stoker/internal/cinder"
)

const clusterColumns = `id, name, "binary", disabled, disabled_reason, frozen, replication_status, active_backend_id,
	COALESCE(created_at, NULL), COALESCE(updated_at, NULL)`

// neededClusterColumns are the columns that identify a table as Cinder's clusters.
func neededClusterColumns() []string {
	return []string{
		"id", "name", "binary", "disabled", "disabled_reason", "frozen", "replication_status", "active_backend_id",
		"race_preventer", "created_at", "updated_at", "deleted",
	}
}

// ClusterSnapshot is one consistent view of the clusters.
type ClusterSnapshot struct {
	Clusters []cinder.Cluster   // by id; fields computed from the members are zero
	Members  []cinder.Service   // of all clusters, by id
	Open     []cinder.Operation // open and watched operations, oldest first
	Now      time.Time          // this host's clock, which heartbeats are compared with, UTC
}

// Clusters reads, in one snapshot, the clusters that match q's name and binary, the
// services that belong to any cluster, and the open operations. Fails with
// KindUnavailable.
func (db *DB) Clusters(ctx context.Context, q cinder.ClusterQuery) (*ClusterSnapshot, error) {
	s := &ClusterSnapshot{}
	err := db.read(ctx, "read clusters", func(ctx context.Context, tx querier) (err error) {
		if s.Clusters, err = selectClusters(ctx, db.dialect, tx, q, ""); err != nil {
			return err
		}
		if s.Members, err = readServices(ctx, tx, membersServices); err != nil {
			return err
		}
		s.Open, err = readOpen(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Now = db.now().UTC()
	return s, nil
}

// Cluster returns the cluster with that name or, failing that, the first one with a
// backend under that name; KindNotFound when there is none.
func (tx *Tx) Cluster(ctx context.Context, name, binary string) (cinder.Cluster, error) {
	clusters, err := selectClusters(ctx, tx.db.dialect, tx.tx, cinder.ClusterQuery{Name: &name, Binary: &binary}, tx.forUpdate())
	if err != nil {
		return cinder.Cluster{}, tx.db.fail(ctx, "read cluster", err)
	}
	if len(clusters) == 0 {
		return cinder.Cluster{}, cinder.Errorf(cinder.KindNotFound, "Cluster %s could not be found.", name)
	}
	return cinder.ClusterNamed(clusters, name), nil
}

// SaveCluster writes the columns in which now differs from was. KindConflict when the
// row is deleted or any of those columns has changed since.
func (tx *Tx) SaveCluster(ctx context.Context, was, now cinder.Cluster) error {
	c := change{dialect: tx.db.dialect, table: "clusters"}
	c.flag("disabled", was.Disabled, now.Disabled)
	c.pointer("disabled_reason", was.DisabledReason, now.DisabledReason)
	c.flag("frozen", was.Frozen, now.Frozen)
	c.text("replication_status", string(was.ReplicationStatus), string(now.ReplicationStatus))
	c.pointer("active_backend_id", was.ActiveBackendID, now.ActiveBackendID)
	c.time("updated_at", was.UpdatedAt, now.UpdatedAt)
	ok, err := c.run(ctx, tx.tx, was.ID)
	if err != nil {
		return tx.db.fail(ctx, "save cluster", err)
	}
	if !ok {
		return cinder.Errorf(cinder.KindConflict, "Cluster %s was changed by someone else meanwhile.", was.Name)
	}
	return nil
}

func selectClusters(ctx context.Context, d dialect, q querier, query cinder.ClusterQuery, lock string) (_ []cinder.Cluster, err error) {
	text := `SELECT ` + clusterColumns + ` FROM clusters WHERE COALESCE(deleted, FALSE) = FALSE`
	var args []any
	if query.Binary != nil {
		text += ` AND ` + d.sameText(`"binary"`)
		args = append(args, *query.Binary)
	}
	rows, err := q.QueryContext(ctx, text+` ORDER BY id`+lock, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, rows.Close()) }()
	exact := cinder.ClusterQuery{Name: query.Name, Binary: query.Binary}
	var clusters []cinder.Cluster
	c := newCells(10)
	for rows.Next() {
		if err := c.scan(rows); err != nil {
			return nil, err
		}
		if cluster := c.cluster(); exact.Matches(&cluster) {
			clusters = append(clusters, cluster)
		}
	}
	return clusters, rows.Err()
}

// cluster reads clusterColumns.
func (c *cells) cluster() cinder.Cluster {
	return cinder.Cluster{
		ID: c.number(), Name: c.text(), Binary: c.label(), Disabled: c.flag(), DisabledReason: c.textOrNil(), Frozen: c.flag(),
		ReplicationStatus: cinder.ReplicationStatus(c.label()), ActiveBackendID: c.textOrNil(),
		CreatedAt: c.time(), UpdatedAt: c.time(),
	}
}
