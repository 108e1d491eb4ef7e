package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"stoker/internal/cinder"
)

const (
	// beatTimeout is how long a heartbeat waits for other writers: a late heartbeat is
	// worth less than the next one.
	beatTimeout = time.Second
	// beatChunk is how many rows one UPDATE of Beat writes.
	beatChunk = 1000
	// registerAttempts bounds the retries of a registration that loses races.
	registerAttempts = 8
)

// Register creates or updates the row of a starting service and returns it. A new row
// is enabled and has no heartbeat yet. An existing row keeps what administrators and
// failovers set (disabled and its reason, frozen, active backend) and takes the
// service's zone, cluster and versions, and its replication status unless a failover
// stands (doc/cinder/behaviour.md#registration). The first member creates the cluster's
// row. A member that is new to a cluster becomes frozen or failed over like the
// cluster, and its volumes and groups become the cluster's. None of this counts as a
// heartbeat. Fails with KindUnavailable.
func (db *DB) Register(ctx context.Context, s cinder.Service) (cinder.Service, error) {
	var row cinder.Service
	err := db.registering(ctx, func(tx *Tx) (err error) {
		row, err = tx.register(ctx, s)
		return err
	})
	if err != nil {
		return cinder.Service{}, err
	}
	return row, nil
}

// registering is Update with retries when it loses a race: against an administrator, or
// against another process that creates the same row or cluster. KindUnavailable when it
// loses every time.
func (db *DB) registering(ctx context.Context, fn func(*Tx) error) error {
	var err error
	for range registerAttempts {
		if err = db.Update(ctx, fn); cinder.KindOf(err) != cinder.KindConflict {
			return err
		}
	}
	return cinder.Wrap(cinder.KindUnavailable, err, "The rows are being changed by others all the time.")
}

// RegisterMany registers services as Register does, all or none, and returns their rows
// in the same order. It reads the table once, however many there are: Cinder's schema
// has no index to find them one by one.
func (db *DB) RegisterMany(ctx context.Context, services []cinder.Service) ([]cinder.Service, error) {
	type name struct{ binary, host string }
	rows := make([]cinder.Service, len(services))
	err := db.registering(ctx, func(tx *Tx) error {
		all, err := tx.Services(ctx, cinder.ServiceQuery{})
		if err != nil {
			return err
		}
		known := make(map[name]cinder.Service, len(all))
		for _, row := range slices.Backward(all) { // of several rows, the oldest wins
			known[name{row.Binary, row.Host}] = row
		}
		for i, s := range services {
			was, found := known[name{s.Binary, s.Host}]
			if rows[i], err = tx.put(ctx, s, was, found); err != nil {
				return err
			}
			known[name{s.Binary, s.Host}] = rows[i]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func (tx *Tx) register(ctx context.Context, s cinder.Service) (cinder.Service, error) {
	was, found, err := tx.registered(ctx, s.Binary, s.Host)
	if err != nil {
		return cinder.Service{}, err
	}
	return tx.put(ctx, s, was, found)
}

// put writes the row of a starting service, over the row was if found.
func (tx *Tx) put(ctx context.Context, s, was cinder.Service, found bool) (cinder.Service, error) {
	row := was
	row.Zone, row.Cluster, row.RPCVersion, row.ObjectVersion = s.Zone, s.Cluster, s.RPCVersion, s.ObjectVersion
	if !failoverStands(was.ReplicationStatus) {
		row.ReplicationStatus = s.ReplicationStatus
	}
	if s.Cluster != "" {
		cluster, err := tx.ensureCluster(ctx, s)
		if err != nil {
			return cinder.Service{}, err
		}
		if was.Cluster != s.Cluster {
			joinCluster(&row, cluster)
		}
		if found && was.Cluster == "" {
			if err := tx.includeInCluster(ctx, s.Host, s.Cluster); err != nil {
				return cinder.Service{}, tx.db.fail(ctx, "make a host's volumes the cluster's", err)
			}
		}
	}
	if found && row == was {
		return row, nil
	}
	if found {
		return row, tx.refreshService(ctx, was, row)
	}
	row.Host, row.Binary, row.Topic = s.Host, s.Binary, s.Topic
	return tx.insertService(ctx, row)
}

// registered finds the row of a service by its exact name. The schema allows several:
// the oldest wins.
func (tx *Tx) registered(ctx context.Context, binary, host string) (cinder.Service, bool, error) {
	rows, err := tx.Services(ctx, cinder.ServiceQuery{Binary: &binary, Host: &host})
	if err != nil {
		return cinder.Service{}, false, err
	}
	i := slices.IndexFunc(rows, func(s cinder.Service) bool { return s.Host == host })
	if i < 0 {
		return cinder.Service{}, false, nil
	}
	return rows[i], true, nil
}

// failoverStands reports whether the row's replication status outlives a restart.
func failoverStands(status cinder.ReplicationStatus) bool {
	return status == cinder.ReplicationFailedOver || status == cinder.ReplicationFailingOver || status == cinder.ReplicationFailoverError
}

// joinCluster makes a new member frozen or failed over like its cluster.
func joinCluster(row *cinder.Service, cluster cinder.Cluster) {
	row.Frozen = row.Frozen || cluster.Frozen
	if cluster.ReplicationStatus == cinder.ReplicationFailedOver {
		row.ReplicationStatus, row.ActiveBackendID = cluster.ReplicationStatus, cluster.ActiveBackendID
	}
}

// ensureCluster returns the cluster of a service, and creates it when there is none.
func (tx *Tx) ensureCluster(ctx context.Context, s cinder.Service) (cinder.Cluster, error) {
	cluster, err := tx.Cluster(ctx, s.Cluster, s.Binary)
	if cinder.KindOf(err) != cinder.KindNotFound {
		return cluster, err
	}
	_, err = tx.tx.ExecContext(ctx, `INSERT INTO clusters
		(created_at, deleted, name, "binary", disabled, race_preventer, replication_status, frozen)
		VALUES (?, FALSE, ?, ?, FALSE, 0, ?, FALSE)`,
		secondsValue(tx.db.hostTime()), s.Cluster, s.Binary, textValue(string(s.ReplicationStatus)))
	if err != nil {
		return cinder.Cluster{}, tx.db.fail(ctx, "create cluster", err)
	}
	return tx.Cluster(ctx, s.Cluster, s.Binary)
}

func (tx *Tx) insertService(ctx context.Context, s cinder.Service) (cinder.Service, error) {
	s.UUID, s.CreatedAt = tx.db.newUUID(), tx.db.hostTime()
	tx.tx.wrote = true // even where it is a query, with RETURNING
	var err error
	s.ID, err = tx.db.dialect.insert(ctx, tx.tx, `INSERT INTO services
		(created_at, deleted, host, "binary", topic, report_count, disabled, availability_zone, rpc_current_version,
		object_current_version, replication_status, frozen, active_backend_id, cluster_name, uuid)
		VALUES (?, FALSE, ?, ?, ?, 0, FALSE, ?, ?, ?, ?, ?, ?, ?, ?)`,
		secondsValue(s.CreatedAt), s.Host, s.Binary, s.Topic, textValue(s.Zone), textValue(s.RPCVersion),
		textValue(s.ObjectVersion), textValue(string(s.ReplicationStatus)), s.Frozen, pointerValue(s.ActiveBackendID),
		textValue(s.Cluster), s.UUID)
	if err != nil {
		return cinder.Service{}, tx.db.fail(ctx, "create service", err)
	}
	return s, nil
}

// refreshService writes what a start changes. KindConflict when the row has changed
// since it was read.
func (tx *Tx) refreshService(ctx context.Context, was, s cinder.Service) error {
	c := tx.serviceChange(was, s)
	c.text("availability_zone", was.Zone, s.Zone)
	return tx.saved(ctx, c, was)
}

// Beat writes one heartbeat for each of the services, all or none. It returns the ids
// without a row, including deleted ones: those services have to register again.
// KindUnavailable when it would have to wait for more than a second.
func (db *DB) Beat(ctx context.Context, ids ...int64) (missing []int64, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	waiting := time.AfterFunc(beatTimeout, cancel)
	defer waiting.Stop()
	err = db.blindWrite(ctx, func(tx *Tx) error {
		waiting.Stop()
		for chunk := range slices.Chunk(ids, beatChunk) {
			gone, err := tx.beat(ctx, chunk)
			if err != nil {
				return db.fail(ctx, "beat", err)
			}
			missing = append(missing, gone...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return missing, nil
}

func (tx *Tx) beat(ctx context.Context, ids []int64) (missing []int64, err error) {
	// Numeric ids are safe to inline; a thousand parameters cost more.
	where := ` WHERE COALESCE(deleted, FALSE) = FALSE AND id IN (` + list(ids) + `)`
	result, err := tx.tx.ExecContext(ctx, `UPDATE services SET report_count = report_count + 1, updated_at = ?`+where, secondsValue(tx.now))
	if err != nil {
		return nil, err
	}
	n, err := result.RowsAffected()
	if err != nil || n == int64(len(ids)) {
		return nil, err
	}
	rows, err := readServices(ctx, tx.tx, `SELECT `+serviceColumns+` FROM services`+where)
	if err != nil {
		return nil, err
	}
	alive := make(map[int64]bool, len(rows))
	for _, s := range rows {
		alive[s.ID] = true
	}
	for _, id := range ids {
		if !alive[id] {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

func list(ids []int64) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(id, 10))
	}
	return b.String()
}
