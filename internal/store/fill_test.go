package store_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"
)

// filledAt is the start of the oldest entry of a filled journal. Each entry starts a
// second after the one before.
func filledAt() time.Time { return time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC) }

// filledFor is the time that this many entries span.
func filledFor(entries int) time.Duration { return time.Duration(entries) * time.Second }

// rowsOfServices is the JSON of an entry's rows before and after.
const rowsOfServices = `{"services":[{"id":5,"binary":"cinder-volume","host":"host5@alpha","disabled":true,"disabled_reason":"maintenance",` +
	`"frozen":false,"replication_status":"enabled","active_backend_id":null}]}`

// fill fills a database like years of use: with journal entries and as many kept
// requests, commits and failover marks, and with services that each have a volume, a
// snapshot, a group and a cause. It writes only columns that every release has.
func fill(tb testing.TB, e engine, db *sql.DB, entries, services int) {
	tb.Helper()
	time := map[string]string{
		"sqlite":   `CONCAT(DATETIME('%s', CONCAT(%s, ' seconds')), '.000000')`,
		"mysql":    `CAST('%s' AS DATETIME(6)) + INTERVAL %s SECOND`,
		"postgres": `CAST('%s' AS TIMESTAMP) + %s * INTERVAL '1 second'`,
	}[e.name]
	after := func(seconds string) string {
		return fmt.Sprintf(time, filledAt().Format("2006-01-02 15:04:05"), seconds)
	}
	host := `CASE WHEN n % 4 = 0 THEN 'big@ceph' ELSE CONCAT('host', n % 20000, '@alpha') END`
	tables := []struct {
		into, values string
		rows         int
	}{
		{
			`stoker_operations (id, kind, state, user_id, project_id, roles, is_admin, request_id, global_request_id, address, "binary", host,
			cluster_name, detail, rows_before, rows_shown, rows_after, owner, started_at, settled_at, outcome, progress)`,
			`CONCAT('op-', 10000000 + n),
			CASE WHEN n % 5000 = 7 THEN 'failover' WHEN n % 10 = 0 THEN 'freeze' WHEN n % 10 = 5 THEN 'thaw' WHEN n % 2 = 0 THEN 'enable' ELSE 'disable' END,
			CASE WHEN n % 6000 = 11 THEN 'watched' WHEN n % 6000 = 17 THEN 'open' WHEN n % 6000 = 13 THEN 'failed' WHEN n % 10 = 3 THEN 'undone' ELSE 'done' END,
			CASE WHEN n % 2 = 0 THEN 'automation' ELSE CONCAT('user-', n % 1000) END, 'project', '["admin"]', TRUE,
			CONCAT('req-', n), '', '192.0.2.1', CASE WHEN n % 100 = 1 THEN 'cinder-backup' ELSE 'cinder-volume' END, ` + host + `,
			CASE WHEN n % 7 = 0 THEN CONCAT('cluster', n % 50, '@alpha') ELSE '' END, 'detail', '` + rowsOfServices + `', '{}', '` + rowsOfServices + `',
			'api1:1', ` + after("n") + `, ` + after("n") + `, '', '{}'`, entries,
		},
		{
			`stoker_requests (id, fingerprint, owner, expires_at, status, headers, body)`,
			`CONCAT('key-', n), 'fingerprint', 'api1:1', ` + after("n") + `, 200, '{}', ''`, entries,
		},
		{
			`stoker_failed_over (resource, id, status, previous_status, replication_status, since)`,
			`'volume', CONCAT('v-', n), 'available', NULL, 'enabled', ` + after("n"), entries,
		},
		{
			`stoker_causes ("binary", host, cause, reason, since)`,
			`'cinder-volume', CONCAT('host', n, '@alpha'), 'admin', 'maintenance', ` + after("n"), services,
		},
		{
			`services (id, host, "binary", topic, report_count, disabled, frozen, availability_zone, cluster_name, uuid, deleted)`,
			`n + 1, CONCAT('host', n, '@alpha'), 'cinder-volume', 'cinder-volume', 0, FALSE, FALSE, 'nova',
			CASE WHEN n % 10 = 0 THEN CONCAT('cluster', n / 100, '@alpha') END, CONCAT('uuid-', n), FALSE`, services,
		},
		{
			`clusters (id, name, "binary", race_preventer, frozen, disabled, deleted)`,
			`n + 1, CONCAT('cluster', n, '@alpha'), 'cinder-volume', 0, FALSE, FALSE, FALSE`, services / 100,
		},
		{`"groups" (id, host, status, deleted)`, `CONCAT('g-', n), CONCAT('host', n, '@alpha#pool'), 'available', FALSE`, services},
		{
			`volumes (id, host, status, attach_status, group_id, volume_type_id, deleted)`,
			`CONCAT('v-', n), CONCAT('host', n, '@alpha#pool'), 'available', 'detached', CONCAT('g-', n), 'type', FALSE`, services,
		},
		{`snapshots (id, volume_id, status, volume_type_id, deleted)`, `CONCAT('s-', n), CONCAT('v-', n), 'available', 'type', FALSE`, services},
		{
			`workers (id, resource_type, resource_id, status, service_id, race_preventer, deleted)`,
			`n + 2, 'Volume', CONCAT('v-', n), 'creating', n + 1, 0, FALSE`, services,
		},
	}
	if e.name != "sqlite" {
		tables = append(tables, struct {
			into, values string
			rows         int
		}{`stoker_commits (id, committed_at)`, `CONCAT('commit-', n), ` + after("n"), entries})
	}
	for _, t := range tables {
		for begin := 0; begin < t.rows; begin += 10_000 {
			execOn(tb, db, fmt.Sprintf(`INSERT INTO %s WITH d AS (%s), numbers AS (SELECT %d + a.x + 10 * b.x + 100 * c.x + 1000 * e.x AS n FROM d a, d b, d c, d e)
				SELECT %s FROM numbers WHERE n < %d`, t.into, digits, begin, t.values, t.rows))
		}
	}
	analyze(tb, e, db)
}

// analyze updates a server's statistics, as autovacuum and the like do from time to
// time.
func analyze(tb testing.TB, e engine, db *sql.DB) {
	tb.Helper()
	for _, statement := range map[string][]string{
		"mysql":    {`ANALYZE TABLE stoker_operations, stoker_requests, stoker_commits, stoker_failed_over, stoker_causes, services, clusters, volumes, snapshots, workers, "groups"`},
		"postgres": {`VACUUM ANALYZE`},
	}[e.name] {
		execOn(tb, db, statement)
	}
}

// digits are the rows 0 to 9.
const digits = `SELECT 0 AS x UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
	UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9`
