package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"

	"stoker/internal/dsn"
)

//go:embed migrations/mysql
var mysqlMigrations embed.FS

const (
	// alterLockTimeout is how long an ALTER waits for the table's lock, in seconds.
	// Everybody who wants the table queues behind it.
	alterLockTimeout = 5
	// migrateIdleTimeout is how long the server keeps an idle connection of Sync, in
	// seconds: building the indexes of a long journal takes minutes.
	migrateIdleTimeout = 8 * 3600
)

// mysqlDialect is MariaDB or MySQL, alone or as a Galera cluster.
type mysqlDialect struct {
	connector driver.Connector
	migrating driver.Connector // without timeouts, for migrations
}

func (db *DB) openMySQL(ctx context.Context, where dsn.Database, p Pool) error {
	db.name = where.String()
	config, err := mysqlConfig(where, db.log)
	if err != nil {
		return err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return db.refuse("%s", reason(err))
	}
	config.MultiStatements = true
	watch, err := mysql.NewConnector(config)
	if err != nil {
		return db.refuse("%s", reason(err))
	}
	config.MultiStatements = false
	config.ReadTimeout, config.WriteTimeout = 0, 0
	config.Params["lock_wait_timeout"] = strconv.Itoa(alterLockTimeout)
	config.Params["wait_timeout"] = strconv.Itoa(migrateIdleTimeout)
	migrating, err := mysql.NewConnector(config)
	if err != nil {
		return db.refuse("%s", reason(err))
	}
	session := mysqlSession(p.WsrepSyncWait)
	d := mysqlDialect{connector: preparedConnector{connector, session}, migrating: preparedConnector{migrating, session}}
	return db.serve(ctx, d, d.connector, preparedConnector{watch, session}, p)
}

// mysqlConfig converts a URL to the driver's configuration. Whatever charset the URL
// names, text travels as utf8mb4, and the server converts it to the columns' charsets.
func mysqlConfig(where dsn.Database, log *slog.Logger) (*mysql.Config, error) {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName = where.User, where.Password, where.Name
	c.Net, c.Addr = "tcp", hostPort(where, 3306)
	if socket := where.Option("unix_socket"); socket != "" {
		c.Net, c.Addr = "unix", socket
	}
	c.Timeout = connectTimeout
	if s, err := strconv.Atoi(where.Option("connect_timeout")); err == nil && s > 0 {
		c.Timeout = time.Duration(s) * time.Second
	}
	c.ReadTimeout, c.WriteTimeout = 2*updateTimeout, 2*updateTimeout
	c.ClientFoundRows = true   // a row that already has the values counts as written
	c.InterpolateParams = true // one round trip per statement, not three
	c.Logger = mysqlLog{log}
	c.Params = map[string]string{
		"sql_mode":                 "'TRADITIONAL,ANSI_QUOTES'", // names are in double quotes; a value that does not fit is an error
		"time_zone":                "'+00:00'",
		"innodb_lock_wait_timeout": strconv.Itoa(lockTimeout),
		"wait_timeout":             strconv.Itoa(sessionIdleTimeout),
	}
	if err := c.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, err
	}
	var err error
	c.TLS, err = mysqlTLS(where)
	return c, err
}

// mysqlLog receives the driver's complaints. What matters is in its errors.
type mysqlLog struct{ log *slog.Logger }

// Print implements mysql.Logger.
func (l mysqlLog) Print(v ...any) {
	l.log.Debug("MySQL driver message", "message", v)
}

// mysqlSession sets up a connection, with settings that every server has and some that
// only some servers have.
func mysqlSession(syncWait int) func(context.Context, driver.Conn) error {
	statements := []string{
		`SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ`,
		`SET SESSION idle_transaction_timeout = ` + strconv.Itoa(idleTxTimeout) +
			`, idle_write_transaction_timeout = ` + strconv.Itoa(idleWriteTimeout) +
			`, in_predicate_conversion_threshold = 0`, // MariaDB's; the last keeps it using an index for any number of ids
	}
	if syncWait > 0 {
		statements = append(statements, `SET SESSION wsrep_sync_wait = `+strconv.Itoa(syncWait)) // Galera's
	}
	return func(ctx context.Context, conn driver.Conn) error {
		for _, s := range statements {
			_, err := conn.(driver.ExecerContext).ExecContext(ctx, s, nil)
			if mysqlNumber(err) == 1193 { // no such variable
				continue
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func (mysqlDialect) bind(query string) string { return query }

// binaryText is the text as bytes, whatever its charset and collation: collations
// equate different texts.
func binaryText(text string) string { return "CAST(CONVERT(" + text + " USING utf8mb4) AS BINARY)" }

func (mysqlDialect) same(column string) string { return binaryText(column) + " <=> " + binaryText("?") }

func (mysqlDialect) sameText(column string) string {
	return binaryText("COALESCE("+column+", '')") + " = " + binaryText("?")
}

// sameTime truncates nothing: these columns hold whole seconds.
func (mysqlDialect) sameTime(column string) string { return column + " <=> CAST(? AS DATETIME)" }

// hostName is a virtual column: MariaDB cannot index an expression.
func (mysqlDialect) hostName() string { return "host_name" }

// entries avoids "=" for the filter's column. For "=" the optimizer uses a ref lookup,
// which ignores the time range: it starts at the newest entry with that value, however
// far that is from the range.
func (mysqlDialect) entries(lead []filter, s span) (w where, order string) {
	if len(lead) == 0 {
		return entries(lead, s)
	}
	f := lead[0]
	w.and(f.column+` >= ?`, f.value)
	w.and(f.column+` <= ?`, f.value)
	w.in(s)
	return w, ` ORDER BY ` + f.column + ` DESC, started_at DESC, id DESC`
}

func (mysqlDialect) forceIndexOrder(context.Context, querier) error { return nil }

func (mysqlDialect) insert(ctx context.Context, q querier, query string, args ...any) (int64, error) {
	result, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// options leaves the isolation level to the session: setting it here costs a statement.
func (mysqlDialect) options(kind transaction) *sql.TxOptions {
	return &sql.TxOptions{ReadOnly: kind == transactionRead}
}

// takeTurn writes to one row, whose lock is held by one transaction at a time. On
// Galera, where each server has locks of its own, only one of two transactions that
// wrote to it can commit. All reads follow, so they see what the transaction before it
// committed.
func (mysqlDialect) takeTurn(ctx context.Context, q querier, id string) (time.Time, bool, error) {
	_, err := q.ExecContext(ctx, `INSERT INTO stoker_commits (id, turns, committed_at) VALUES ('', 1, UTC_TIMESTAMP(6))
		ON DUPLICATE KEY UPDATE turns = turns + 1, committed_at = UTC_TIMESTAMP(6)`)
	if err != nil {
		return time.Time{}, false, err
	}
	return scanTurn(ctx, q, `SELECT UTC_TIMESTAMP(6), COUNT(*) FROM stoker_commits WHERE id = ?`, id)
}

// setTimeouts has nothing to do: they are settings of the session.
func (mysqlDialect) setTimeouts(context.Context, querier) error { return nil }

func (mysqlDialect) record(ctx context.Context, q querier, id string, now time.Time) error {
	return recordCommit(ctx, q, id, now)
}

func (mysqlDialect) forUpdate() string { return " FOR UPDATE" }

func (mysqlDialect) tables(ctx context.Context, q querier) ([]string, error) {
	return names(ctx, q, `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name`)
}

func (mysqlDialect) columns(ctx context.Context, q querier, table string) ([]string, error) {
	return names(ctx, q, `SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position`, table)
}

func (mysqlDialect) migrations() (goose.Dialect, fs.FS, error) {
	files, err := fs.Sub(mysqlMigrations, "migrations/mysql")
	return goose.DialectMySQL, files, err
}

func (mysqlDialect) clock(ctx context.Context, q querier) (time.Time, error) {
	return oneTime(ctx, q, `SELECT UTC_TIMESTAMP(6)`)
}

func (mysqlDialect) version(ctx context.Context, q querier) (engine, version string, err error) {
	version, err = oneText(ctx, q, `SELECT VERSION()`)
	if strings.Contains(version, "MariaDB") {
		return "MariaDB", version, err
	}
	return "MySQL", version, err
}

// prepare holds a named lock while fn runs. Each DDL statement commits by itself here,
// so each can be run again. A Galera cluster may refuse such locks: MariaDB's as not
// supported (1235), Percona's in strict mode with its generic error (1105). Galera runs
// DDL in the same order on every node anyway.
func (d mysqlDialect) prepare(ctx context.Context, fn func(*sql.DB) error) (err error) {
	locker := sql.OpenDB(d.migrating)
	defer func() { err = firstError(err, locker.Close()) }() // closing the connection releases the lock
	lock, err := locker.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, lock.Close()) }()
	got, err := oneNumber(ctx, lock, `SELECT GET_LOCK(CONCAT('stoker ', SHA1(DATABASE())), ?)`, prepareTimeout)
	switch n := mysqlNumber(err); {
	case n == 1235, n == 1105: // proceed without the lock
	case err != nil:
		return err
	case got != 1:
		return errPreparing()
	}
	return fn(locker)
}

// fetch implements fetcher over the driver's own interface, because database/sql
// allocates once or twice per cell. It sends all statements in one packet, which only
// this connection is allowed to do.
func (mysqlDialect) fetch(ctx context.Context, conn *sql.Conn, services, open *rawRows) (state string, err error) {
	err = conn.Raw(func(c any) (err error) {
		rows, err := c.(driver.QueryerContext).QueryContext(ctx,
			`START TRANSACTION READ ONLY; `+plainServices+`; `+openOperations+`; COMMIT`, nil)
		if err != nil {
			return err
		}
		defer func() { err = firstError(err, rows.Close()) }()
		if err := mysqlRows(rows, services); err != nil {
			return err
		}
		next := rows.(driver.RowsNextResultSet)
		if err := next.NextResultSet(); err != nil {
			return err
		}
		if err := mysqlRows(rows, open); err != nil {
			return err
		}
		if err := next.NextResultSet(); !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	})
	return "", err
}

func mysqlRows(rows driver.Rows, into *rawRows) error {
	cells := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(cells)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, cell := range cells {
			into.add(cell)
		}
		into.end()
	}
}

// state is unknown: MySQL has nothing that every user may read and that changes exactly
// with each commit.
func (mysqlDialect) state(context.Context, *sql.Conn) (string, error) { return "", nil }
