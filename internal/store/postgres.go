package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"stoker/internal/dsn"
)

//go:embed migrations/postgres
var postgresMigrations embed.FS

// postgresDialect is PostgreSQL. It relies on no session settings, so that it works
// behind a connection pooler.
type postgresDialect struct {
	config pgx.ConnConfig
}

func (db *DB) openPostgres(ctx context.Context, where dsn.Database, p Pool) error {
	db.name = where.String()
	config, err := postgresConfig(where)
	if err != nil {
		return db.refuse("the options of the connection make no sense: %s", reason(err))
	}
	return db.serve(ctx, postgresDialect{*config}, stdlib.GetConnector(*config), stdlib.GetConnector(*config), p)
}

// postgresConfig converts a URL to the driver's configuration.
func postgresConfig(where dsn.Database) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(postgresSettings(where))
	if err != nil {
		return nil, innermost(err) // the errors around it repeat the settings
	}
	config.Password = where.Password
	if where.Option("connect_timeout") == "" {
		config.ConnectTimeout = connectTimeout
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // leaves no prepared statements on the server
	return config, nil
}

// postgresSettings are the URL's settings in libpq's form, without the password.
func postgresSettings(where dsn.Database) string {
	settings := map[string]string{"host": where.Host, "user": where.User, "dbname": where.Name}
	if where.Port != 0 {
		settings["port"] = strconv.Itoa(where.Port)
	}
	for _, name := range dsn.Options(dsn.PostgreSQL) {
		if values := where.Options[name]; len(values) > 0 {
			settings[name] = strings.Join(values, ",")
		}
	}
	if hosts := where.Options["host"]; len(hosts) > 0 { // each may have its own port, as in SQLAlchemy
		var names, ports []string
		for _, h := range hosts {
			name, port, _ := strings.Cut(h, ":")
			names, ports = append(names, name), append(ports, port)
		}
		settings["host"] = strings.Join(names, ",")
		if slices.ContainsFunc(ports, func(p string) bool { return p != "" }) {
			for i := range ports {
				if ports[i] == "" {
					ports[i] = "5432"
				}
			}
			settings["port"] = strings.Join(ports, ",")
		}
	}
	var text strings.Builder
	for name, value := range settings {
		if value != "" {
			text.WriteString(name + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "' ")
		}
	}
	return text.String()
}

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// bind numbers the parameters. Our queries have no other question marks.
func (postgresDialect) bind(query string) string {
	if !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}

func (postgresDialect) same(column string) string { return column + " IS NOT DISTINCT FROM ?" }

func (postgresDialect) sameText(column string) string { return "COALESCE(" + column + ", '') = ?" }

func (postgresDialect) sameTime(column string) string {
	return "DATE_TRUNC('second', " + column + ") IS NOT DISTINCT FROM DATE_TRUNC('second', CAST(? AS TIMESTAMP))"
}

func (postgresDialect) hostName() string { return "SPLIT_PART(host, '@', 1)" }

// forceIndexOrder works around the planner's estimates: it does not know how times and
// values correlate, expects very few rows, and would read and sort them all.
func (postgresDialect) forceIndexOrder(ctx context.Context, q querier) error {
	_, err := q.ExecContext(ctx, `SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off`)
	return err
}

// entries orders by the filter's value too. With an order by time alone, the planner
// may walk the whole journal by time, expecting entries with that value to be spread
// evenly.
func (postgresDialect) entries(lead []filter, s span) (w where, order string) {
	if len(lead) == 0 {
		return entries(lead, s)
	}
	f := lead[0]
	key := `(` + f.column + `, started_at, id)`
	if s.from == nil {
		w.and(f.column+` >= ?`, f.value)
	} else {
		w.and(key+` >= (?, CAST(? AS TIMESTAMP), ?)`, f.value, timeValue(s.from.started), s.from.id)
	}
	if s.to == nil {
		w.and(f.column+` <= ?`, f.value)
	} else {
		w.and(key+` < (?, CAST(? AS TIMESTAMP), ?)`, f.value, timeValue(s.to.started), s.to.id)
	}
	return w, ` ORDER BY ` + f.column + ` DESC, started_at DESC, id DESC`
}

func (postgresDialect) insert(ctx context.Context, q querier, query string, args ...any) (int64, error) {
	return oneNumber(ctx, q, query+` RETURNING id`, args...)
}

// options gives a reader one snapshot. A writer has the turn and locks the rows that it
// reads by name; under REPEATABLE READ it would fail on each row that changed since its
// first statement, if only by a heartbeat.
func (postgresDialect) options(kind transaction) *sql.TxOptions {
	if kind == transactionRead {
		return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

// takeTurn takes a table lock, which one transaction at a time can hold.
func (postgresDialect) takeTurn(ctx context.Context, q querier, id string) (time.Time, bool, error) {
	_, err := q.ExecContext(ctx, postgresTimeouts()+`; LOCK TABLE stoker_commits IN EXCLUSIVE MODE`)
	if err != nil {
		return time.Time{}, false, err
	}
	return scanTurn(ctx, q, `SELECT CLOCK_TIMESTAMP() AT TIME ZONE 'UTC', COUNT(*) FROM stoker_commits WHERE id = ?`, id)
}

func (postgresDialect) setTimeouts(ctx context.Context, q querier) error {
	_, err := q.ExecContext(ctx, postgresTimeouts())
	return err
}

func postgresTimeouts() string {
	return `SET LOCAL lock_timeout = '` + strconv.Itoa(lockTimeout) + `s'; ` +
		`SET LOCAL idle_in_transaction_session_timeout = '` + strconv.Itoa(idleWriteTimeout) + `s'`
}

func (postgresDialect) record(ctx context.Context, q querier, id string, now time.Time) error {
	return recordCommit(ctx, q, id, now)
}

func (postgresDialect) forUpdate() string { return " FOR UPDATE" }

func (postgresDialect) tables(ctx context.Context, q querier) ([]string, error) {
	return names(ctx, q, `SELECT table_name FROM information_schema.tables WHERE table_schema = CURRENT_SCHEMA() AND table_type = 'BASE TABLE' ORDER BY table_name`)
}

func (postgresDialect) columns(ctx context.Context, q querier, table string) ([]string, error) {
	return names(ctx, q, `SELECT column_name FROM information_schema.columns WHERE table_schema = CURRENT_SCHEMA() AND table_name = $1 ORDER BY ordinal_position`, table)
}

func (postgresDialect) migrations() (goose.Dialect, fs.FS, error) {
	files, err := fs.Sub(postgresMigrations, "migrations/postgres")
	return goose.DialectPostgres, files, err
}

func (postgresDialect) clock(ctx context.Context, q querier) (time.Time, error) {
	return oneTime(ctx, q, `SELECT CLOCK_TIMESTAMP() AT TIME ZONE 'UTC'`)
}

func (postgresDialect) version(ctx context.Context, q querier) (engine, version string, err error) {
	version, err = oneText(ctx, q, `SELECT CURRENT_SETTING('server_version')`)
	return "PostgreSQL", version, err
}

// prepare holds an advisory lock on a connection of its own while fn runs. A waiting
// process polls for the lock: CREATE INDEX CONCURRENTLY waits for all running
// transactions, and so would wait for a statement that waits for the lock.
func (d postgresDialect) prepare(ctx context.Context, fn func(*sql.DB) error) (err error) {
	db := stdlib.OpenDB(d.config)
	defer func() { err = firstError(err, db.Close()) }() // closing the connection releases the lock
	lock, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, lock.Close()) }()
	waiting, cancel := context.WithTimeout(ctx, prepareTimeout*time.Second)
	defer cancel()
	for got := int64(0); got == 0; {
		got, err = oneNumber(waiting, lock, `SELECT CAST(PG_TRY_ADVISORY_LOCK(HASHTEXT('stoker'), HASHTEXT(CURRENT_SCHEMA())) AS INTEGER)`)
		if err != nil {
			break
		}
		if got == 0 {
			err = wait(waiting, preparePollInterval)
		}
	}
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return errPreparing()
	}
	if err != nil {
		return err
	}
	return fn(db)
}

// fetch implements fetcher over the wire protocol: cells stay as received, and all
// statements are sent together.
func (postgresDialect) fetch(ctx context.Context, conn *sql.Conn, services, open *rawRows) (state string, err error) {
	var snapshot rawRows
	into := []*rawRows{nil, &snapshot, services, open, nil} // by statement
	err = conn.Raw(func(c any) error {
		results := c.(*stdlib.Conn).Conn().PgConn().Exec(ctx, `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; `+
			postgresState+`; `+plainServices+`; `+openOperations+`; COMMIT`)
		for i := 0; results.NextResult(); i++ {
			rows := results.ResultReader()
			for into[i] != nil && rows.NextRow() {
				for _, cell := range rows.Values() {
					into[i].addBytes(cell)
				}
				into[i].end()
			}
		}
		return results.Close()
	})
	return string(snapshot.cells), err
}

// postgresState is the snapshot that a statement sees, that is which transactions have
// ended. Equal snapshots see equal rows, since every commit of a change ends a
// transaction.
const postgresState = `SELECT CAST(TXID_CURRENT_SNAPSHOT() AS TEXT)`

func (postgresDialect) state(ctx context.Context, conn *sql.Conn) (string, error) {
	var snapshot rawRows
	err := conn.Raw(func(c any) error {
		results, err := c.(*stdlib.Conn).Conn().PgConn().Exec(ctx, postgresState).ReadAll()
		if err != nil {
			return err
		}
		snapshot.addBytes(results[0].Rows[0][0])
		return nil
	})
	return string(snapshot.cells), err
}
