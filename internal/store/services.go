package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"unicode/utf8"

	"stoker/internal/cinder"
)

const (
	serviceFields = `id, uuid, host, "binary", topic, availability_zone, cluster_name,
	disabled, disabled_reason, frozen, replication_status, active_backend_id,
	report_count, rpc_current_version, object_current_version`
	serviceColumns = serviceFields + `, COALESCE(created_at, NULL), COALESCE(updated_at, NULL), COALESCE(modified_at, NULL)`
	// plainServices is allServices for readers of raw cells: a fifth less work for a
	// server.
	plainServices = `SELECT ` + serviceFields + `, created_at, updated_at, modified_at FROM services
		WHERE COALESCE(deleted, FALSE) = FALSE ORDER BY id`
)

// serviceCells is the number of columns in serviceColumns.
const serviceCells = 18

const (
	allServices     = `SELECT ` + serviceColumns + ` FROM services WHERE COALESCE(deleted, FALSE) = FALSE ORDER BY id`
	membersServices = `SELECT ` + serviceColumns + ` FROM services
		WHERE COALESCE(deleted, FALSE) = FALSE AND COALESCE(cluster_name, '') <> '' ORDER BY id`
)

// neededServiceColumns are the columns that identify a table as Cinder's services.
func neededServiceColumns() []string {
	return []string{
		"id", "uuid", "host", "binary", "topic", "availability_zone", "cluster_name",
		"disabled", "disabled_reason", "frozen", "replication_status", "active_backend_id",
		"report_count", "rpc_current_version", "object_current_version",
		"created_at", "updated_at", "modified_at", "deleted",
	}
}

// Services returns the services that q selects, by id. On a server it locks them until
// the transaction ends, unless q selects all: then it is a plain read that blocks
// nobody.
func (tx *Tx) Services(ctx context.Context, q cinder.ServiceQuery) ([]cinder.Service, error) {
	services, err := selectServices(ctx, tx.db.dialect, tx.tx, q)
	if err == nil && len(services) > 0 && q != (cinder.ServiceQuery{}) && tx.forUpdate() != "" {
		ids := make([]int64, len(services))
		for i := range services {
			ids[i] = services[i].ID
		}
		services, err = readServices(ctx, tx.tx, `SELECT `+serviceColumns+` FROM services
			WHERE COALESCE(deleted, FALSE) = FALSE AND id IN (`+list(ids)+`) ORDER BY id`+tx.forUpdate())
		services = slices.DeleteFunc(services, func(s cinder.Service) bool { return !q.Matches(&s) })
	}
	if err != nil {
		return nil, tx.db.fail(ctx, "read services", err)
	}
	return services, nil
}

// SaveService writes the columns in which now differs from was. KindConflict when the
// row is deleted or any of those columns has changed since. It never writes updated_at,
// which is the service's heartbeat.
func (tx *Tx) SaveService(ctx context.Context, was, now cinder.Service) error {
	return tx.saved(ctx, tx.serviceChange(was, now), was)
}

// serviceChange is the change that SaveService makes.
func (tx *Tx) serviceChange(was, now cinder.Service) *change {
	c := &change{dialect: tx.db.dialect, table: "services"}
	c.flag("disabled", was.Disabled, now.Disabled)
	c.pointer("disabled_reason", was.DisabledReason, now.DisabledReason)
	c.flag("frozen", was.Frozen, now.Frozen)
	c.text("replication_status", string(was.ReplicationStatus), string(now.ReplicationStatus))
	c.pointer("active_backend_id", was.ActiveBackendID, now.ActiveBackendID)
	c.text("cluster_name", was.Cluster, now.Cluster)
	c.text("rpc_current_version", was.RPCVersion, now.RPCVersion)
	c.text("object_current_version", was.ObjectVersion, now.ObjectVersion)
	c.time("modified_at", was.ModifiedAt, now.ModifiedAt)
	return c
}

// saved runs a change of the service's row.
func (tx *Tx) saved(ctx context.Context, c *change, was cinder.Service) error {
	ok, err := c.run(ctx, tx.tx, was.ID)
	if err != nil {
		return tx.db.fail(ctx, "save service", err)
	}
	if !ok {
		return cinder.Errorf(cinder.KindConflict, "Service %s on host %s was changed by someone else meanwhile.", was.Binary, was.Host)
	}
	return nil
}

// selectServices narrows the result in SQL, to transfer fewer rows; query.Matches
// decides. Names are compared byte by byte: MariaDB fails (1267) to compare a column
// with a character that its charset lacks.
func selectServices(ctx context.Context, d dialect, q querier, query cinder.ServiceQuery) ([]cinder.Service, error) {
	if query == (cinder.ServiceQuery{}) {
		return readServices(ctx, q, allServices)
	}
	var text strings.Builder
	var args []any
	text.WriteString(`SELECT ` + serviceColumns + ` FROM services WHERE COALESCE(deleted, FALSE) = FALSE`)
	if query.Binary != nil {
		text.WriteString(` AND ` + d.sameText(`"binary"`))
		args = append(args, *query.Binary)
	}
	for _, name := range []struct {
		column string
		value  *string
	}{{"host", query.Host}, {"cluster_name", query.Cluster}} {
		if name.value == nil {
			continue
		}
		condition, values := underName(d, name.column, *name.value, "@")
		text.WriteString(` AND ` + condition)
		args = append(args, values...)
	}
	text.WriteString(` ORDER BY id`)
	services, err := readServices(ctx, q, text.String(), args...)
	return slices.DeleteFunc(services, func(s cinder.Service) bool { return !query.Matches(&s) }), err
}

// underName is the condition, with its parameters, that a column equals the name, or
// begins with it and the separator.
func underName(d dialect, column, name, separator string) (condition string, args []any) {
	return `(` + d.sameText(column) + ` OR ` + d.sameText(`SUBSTR(`+column+`, 1, ?)`) + `)`,
		[]any{name, utf8.RuneCountInString(name + separator), name + separator}
}

func readServices(ctx context.Context, q querier, query string, args ...any) ([]cinder.Service, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return scanServices(rows, 0)
}

// scanServices reads all rows and closes them. expected is a hint at their number; 0 is
// fine.
func scanServices(rows *sql.Rows, expected int) (_ []cinder.Service, err error) {
	defer func() { err = firstError(err, rows.Close()) }()
	services := make([]cinder.Service, 0, expected)
	c := newCells(serviceCells)
	for rows.Next() {
		if err := c.scan(rows); err != nil {
			return nil, err
		}
		services = append(services, c.service())
	}
	return services, rows.Err()
}

// service reads serviceColumns. Go evaluates the calls in the order they are written.
func (c *cells) service() cinder.Service {
	return cinder.Service{
		ID: c.number(), UUID: c.text(), Host: c.text(), Binary: c.label(), Topic: c.label(), Zone: c.label(), Cluster: c.label(),
		Disabled: c.flag(), DisabledReason: c.textOrNil(), Frozen: c.flag(),
		ReplicationStatus: cinder.ReplicationStatus(c.label()), ActiveBackendID: c.textOrNil(),
		ReportCount: c.number(), RPCVersion: c.label(), ObjectVersion: c.label(),
		CreatedAt: c.time(), UpdatedAt: c.time(), ModifiedAt: c.time(),
	}
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
