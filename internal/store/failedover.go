package store

import (
	"context"
	"slices"
	"strings"

	"stoker/internal/cinder"
)

// stoker_failed_over stores, by kind of resource, the status of a resource before a
// failover, so that a failback can restore it: Cinder's own columns do not tell a
// status that a failover set from one set earlier.
const (
	resourceVolume   = "volume"
	resourceSnapshot = "snapshot"
	resourceGroup    = "group"
)

// mark is the status of one resource before a failover.
type mark struct {
	id     string
	before cinder.BeforeFailover
}

// saveMarks replaces the marks of these resources.
func (tx *Tx) saveMarks(ctx context.Context, resource string, marks []mark) error {
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
	if err := tx.deleteMarks(ctx, resource, ids); err != nil {
		return err
	}
	_, err := tx.tx.ExecContext(ctx, `INSERT INTO stoker_failed_over (resource, id, status, previous_status, replication_status, since)
		VALUES `+strings.Join(rows, ", "), args...)
	return err
}

// deleteMarks removes the marks of these resources.
func (tx *Tx) deleteMarks(ctx context.Context, resource string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.tx.ExecContext(ctx, `DELETE FROM stoker_failed_over WHERE resource = ? AND id IN (`+places(len(ids))+`)`,
		append([]any{resource}, anys(ids)...)...)
	return err
}

// before reads a mark's id and its columns status, previous_status and
// replication_status; nil when there is no mark.
func (c *cells) before() *cinder.BeforeFailover {
	id := c.textOrNil()
	b := cinder.BeforeFailover{Status: c.label(), PreviousStatus: c.textOrNil(), ReplicationStatus: cinder.ReplicationStatus(c.label())}
	if id == nil {
		return nil
	}
	return &b
}

// ownedBy is the condition, with its parameters, that a row belongs to an owner, in any
// of its pools. It may match too many rows: owns decides.
func ownedBy(d dialect, o cinder.Owner, table string) (condition string, args []any) {
	column, name := "host", o.Host
	if o.Cluster != "" {
		column, name = "cluster_name", o.Cluster
	}
	return underName(d, table+"."+column, name, "#")
}

// owns reports whether a row with this host and cluster_name belongs to the owner.
func owns(o cinder.Owner, host, cluster string) bool {
	name, of := host, o.Host
	if o.Cluster != "" {
		name, of = cluster, o.Cluster
	}
	return name == of || strings.HasPrefix(name, of+"#")
}

// places returns n placeholders.
func places(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func anys(texts []string) []any {
	list := make([]any, 0, len(texts))
	for t := range slices.Values(texts) {
		list = append(list, t)
	}
	return list
}

// includeInCluster moves the volumes and groups of a host that joined a cluster to the
// cluster, pool by pool.
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
