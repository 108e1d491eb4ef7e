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
	// alterPatience is how long a change of a table waits for those who use it, in
	// seconds. All who want to use it wait behind that.
	alterPatience = 5
	// prepareAge is how long the server keeps a connection that waits for such a
	// change, in seconds: building the indexes of a long journal takes minutes.
	prepareAge = 8 * 3600
)

// mysqlDialect is MariaDB or MySQL, alone or as a Galera cluster.
type mysqlDialect struct {
	connector driver.Connector
	migrating driver.Connector // whose statements may take their time
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
	config.Params["lock_wait_timeout"] = strconv.Itoa(alterPatience)
	config.Params["wait_timeout"] = strconv.Itoa(prepareAge)
	migrating, err := mysql.NewConnector(config)
	if err != nil {
		return db.refuse("%s", reason(err))
	}
	session := mysqlSession(p.WsrepSyncWait)
	d := mysqlDialect{connector: preparedConnector{connector, session}, migrating: preparedConnector{migrating, session}}
	return db.serve(ctx, d, d.connector, preparedConnector{watch, session}, p)
}

// mysqlConfig is the driver's word for a URL. Whatever charset that names for
// the connection: texts travel as utf8mb4, and the server turns them into what
// the columns have.
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
	c.ClientFoundRows = true   // a row that is already as it should be counts as written
	c.InterpolateParams = true // one way to the server and back for each statement, not three
	c.Logger = mysqlLog{log}
	c.Params = map[string]string{
		"sql_mode":                 "'TRADITIONAL,ANSI_QUOTES'", // names stand in double quotes, what does not fit is an error
		"time_zone":                "'+00:00'",
		"innodb_lock_wait_timeout": strconv.Itoa(lockPatience),
		"wait_timeout":             strconv.Itoa(sessionAge),
	}
	if err := c.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, err
	}
	var err error
	c.TLS, err = mysqlTLS(where)
	return c, err
}

// mysqlLog is where the driver complains; what matters of it is in its errors.
type mysqlLog struct{ log *slog.Logger }

// Print implements mysql.Logger.
func (l mysqlLog) Print(v ...any) {
	l.log.Debug("MySQL driver", "says", v)
}

// mysqlSession readies a connection: with settings that every server has, and
// with some that only some have.
func mysqlSession(syncWait int) func(context.Context, driver.Conn) error {
	statements := []string{
		`SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ`,
		`SET SESSION idle_transaction_timeout = ` + strconv.Itoa(idlePatience) +
			`, idle_write_transaction_timeout = ` + strconv.Itoa(writePatience) +
			`, in_predicate_conversion_threshold = 0`, // MariaDB's; the last lets it find any number of ids by their index
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

// letters are the bytes of a text, whatever charset and collation it has:
// collations take more than one text for the same.
func letters(text string) string { return "CAST(CONVERT(" + text + " USING utf8mb4) AS BINARY)" }

func (mysqlDialect) same(column string) string { return letters(column) + " <=> " + letters("?") }

func (mysqlDialect) sameText(column string) string {
	return letters("COALESCE("+column+", '')") + " = " + letters("?")
}

// sameTime has nothing to cut off: these columns keep whole seconds.
func (mysqlDialect) sameTime(column string) string { return column + " <=> CAST(? AS DATETIME)" }

// hostName is a column that is computed when it is read: MariaDB has no index of an expression.
func (mysqlDialect) hostName() string { return "host_name" }

// entries says in other words that a filter's column is equal to its value. Of "="
// the optimizer makes a reference into the index, which knows nothing of times: it
// begins at the newest entry with that value, however old those are that are wanted.
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

func (mysqlDialect) walk(context.Context, querier) error { return nil }

func (mysqlDialect) insert(ctx context.Context, q querier, query string, args ...any) (int64, error) {
	result, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// options leave the isolation to the session: to set it here costs a statement.
func (mysqlDialect) options(kind transaction) *sql.TxOptions {
	return &sql.TxOptions{ReadOnly: kind == transactionRead}
}

// turn writes to one row, which one transaction at a time can. On Galera, where
// locks are each server's own, two that have written to it cannot both be
// committed. What is read comes after: it is as the one before left it.
func (mysqlDialect) turn(ctx context.Context, q querier, id string) (time.Time, bool, error) {
	_, err := q.ExecContext(ctx, `INSERT INTO stoker_commits (id, turns, committed_at) VALUES ('', 1, UTC_TIMESTAMP(6))
		ON DUPLICATE KEY UPDATE turns = turns + 1, committed_at = UTC_TIMESTAMP(6)`)
	if err != nil {
		return time.Time{}, false, err
	}
	return turnTaken(ctx, q, `SELECT UTC_TIMESTAMP(6), COUNT(*) FROM stoker_commits WHERE id = ?`, id)
}

// bound has nothing to do: the session has it.
func (mysqlDialect) bound(context.Context, querier) error { return nil }

func (mysqlDialect) record(ctx context.Context, q querier, id string, now time.Time) error {
	return recordCommit(ctx, q, id, now)
}

func (mysqlDialect) hold() string { return " FOR UPDATE" }

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

// prepare holds a lock by name while fn runs. Statements that make tables are
// transactions of their own here: each may be run again. A Galera cluster may
// refuse such locks: MariaDB's as not supported (1235), Percona's in strict mode
// with the number for everything else (1105). It runs those statements one after
// the other everywhere.
func (d mysqlDialect) prepare(ctx context.Context, fn func(*sql.DB) error) (err error) {
	locker := sql.OpenDB(d.migrating)
	defer func() { err = firstError(err, locker.Close()) }() // and with its connection goes the lock
	lock, err := locker.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, lock.Close()) }()
	got, err := oneNumber(ctx, lock, `SELECT GET_LOCK(CONCAT('stoker ', SHA1(DATABASE())), ?)`, prepareWait)
	switch n := mysqlNumber(err); {
	case n == 1235, n == 1105: // go on without
	case err != nil:
		return err
	case got != 1:
		return errPreparing()
	}
	return fn(locker)
}

// fetch implements fetcher over the driver's own interface: database/sql makes of
// every cell an allocation or two. The statements travel together, which only
// this connection may do.
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

// state is unknown: nothing that everybody may ask for changes with each commit,
// and with nothing else.
func (mysqlDialect) state(context.Context, *sql.Conn) (string, error) { return "", nil }
