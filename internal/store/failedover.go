package store

import (
	"context"
	"slices"
	"strings"

	"stoker/internal/cinder"
)

// What a failover has changed is kept in stoker_failed_over, by the kind of
// resource, so that it can be given back: Cinder's own columns do not tell what
// a failover took from what was so before.
const (
	resourceVolume   = "volume"
	resourceSnapshot = "snapshot"
	resourceGroup    = "group"
)

// mark is what a failover found of one resource.
type mark struct {
	id     string
	before cinder.BeforeFailover
}

// remember keeps marks in place of those there may be.
func (tx *Tx) remember(ctx context.Context, resource string, marks []mark) error {
	if len(marks) == 0 {
		return nil
	}
	ids := make([]string, len(marks))
	rows := make([]string, len(marks))
	var args []any
	for i, m := range marks {
		ids[i], rows[i] = m.id, "(?, ?, ?, ?, ?, ?)"
		args = append(args, resource, m.id, m.before.Status, pointerValue(m.before.PreviousStatus),
			textValue(string(m.before.ReplicationStatus)), timeValue(tx.now))
	}
	if err := tx.forget(ctx, resource, ids); err != nil {
		return err
	}
	_, err := tx.tx.ExecContext(ctx, `INSERT INTO stoker_failed_over (resource, id, status, previous_status, replication_status, since)
		VALUES `+strings.Join(rows, ", "), args...)
	return err
}

// forget removes marks.
func (tx *Tx) forget(ctx context.Context, resource string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.tx.ExecContext(ctx, `DELETE FROM stoker_failed_over WHERE resource = ? AND id IN (`+places(len(ids))+`)`,
		append([]any{resource}, anys(ids)...)...)
	return err
}

// before reads the columns status, previous_status and replication_status of a
// mark, behind its id; nil when there is none.
func (c *cells) before() *cinder.BeforeFailover {
	id := c.textOrNil()
	b := cinder.BeforeFailover{Status: c.label(), PreviousStatus: c.textOrNil(), ReplicationStatus: cinder.ReplicationStatus(c.label())}
	if id == nil {
		return nil
	}
	return &b
}

// ownedBy is the condition that a row is an owner's, in any of its pools, and its
// parameters. As with services, the last word is owns'.
func ownedBy(d dialect, o cinder.Owner, table string) (condition string, args []any) {
	column, name := "host", o.Host
	if o.Cluster != "" {
		column, name = "cluster_name", o.Cluster
	}
	return underName(d, table+"."+column, name, "#")
}

// owns says whether a row with that host and cluster_name is the owner's.
func owns(o cinder.Owner, host, cluster string) bool {
	name, of := host, o.Host
	if o.Cluster != "" {
		name, of = cluster, o.Cluster
	}
	return name == of || strings.HasPrefix(name, of+"#")
}

// places are n parameters.
func places(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func anys(texts []string) []any {
	list := make([]any, 0, len(texts))
	for t := range slices.Values(texts) {
		list = append(list, t)
	}
	return list
}

// includeInCluster makes the volumes and groups of a host that has joined a
// cluster the cluster's, pool by pool.
func (tx *Tx) includeInCluster(ctx context.Context, host, cluster string) error {
	for _, table := range []string{"volumes", `"groups"`} {
		condition, args := ownedBy(tx.db.dialect, cinder.Owner{Host: host}, "t")
		hosts, err := names(ctx, tx.tx, `SELECT DISTINCT t.host FROM `+table+` t WHERE `+condition, args...)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			if !owns(cinder.Owner{Host: host}, h, "") {
				continue
			}
			_, err := tx.tx.ExecContext(ctx, `UPDATE `+table+` SET cluster_name = ?, updated_at = ?
				WHERE host = ? AND COALESCE(deleted, FALSE) = FALSE AND COALESCE(cluster_name, '') <> ?`,
				cluster+strings.TrimPrefix(h, host), secondsValue(tx.now), h, cluster+strings.TrimPrefix(h, host))
			if err != nil {
				return err
			}
		}
	}
	return nil
}
