package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/sqlite
var sqliteMigrations embed.FS

const (
	// busyTimeout is how long SQLite waits for another writer, in milliseconds.
	busyTimeout = 5000
	// sqliteReaders bounds concurrent filtered reads. They are bound by the CPU, so
	// more would not be faster.
	sqliteReaders = 4
)

// sqliteDialect is SQLite on one file.
type sqliteDialect struct {
	path string // absolute
	now  func() time.Time
}

// openSQLite opens the file for three uses: one connection that writes (SQLite has one
// writer at a time anyway, and queueing for a connection is fairer than polling for a
// lock), a few that read, and the one of fleet.
func (db *DB) openSQLite(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("database file: %w", err)
	}
	d := sqliteDialect{path: path, now: db.now}
	exists, err := d.checkPath()
	if err != nil {
		return err
	}
	if exists {
		if err := db.retryBusy(ctx, d, func() error { return d.checkFile(ctx) }); err != nil {
			return d.explain(err)
		}
		if mode, exposed := d.access(); exposed {
			db.log.WarnContext(ctx, "every user of this machine can read the database file: chmod o= it, its -wal and its -shm",
				"file", path, "mode", mode.String())
		}
	}
	db.dialect, db.name = d, path
	if db.writer, err = d.open(1, d.writing()+"&_txlock=immediate"); err != nil {
		return err
	}
	if exists { // a new one is created by Sync
		if err := db.retryBusy(ctx, d, func() error { return db.writer.PingContext(ctx) }); err != nil {
			return errors.Join(d.explain(err), db.writer.Close())
		}
	}
	if db.readers, err = d.open(sqliteReaders, d.reading()); err != nil {
		return errors.Join(err, db.writer.Close())
	}
	watch, err := d.open(1, d.reading())
	if err != nil {
		return errors.Join(err, db.readers.Close(), db.writer.Close())
	}
	watch.SetMaxIdleConns(-1)
	db.fleet = newFleet(watch, newSQLiteLink)
	return nil
}

func (d sqliteDialect) open(connections int, dsn string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("database file %s: %w", d.path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// dsn is a data source name of the driver. mode is SQLite's: rw does not create the
// file.
func (d sqliteDialect) dsn(mode string) string {
	u := url.URL{Scheme: "file", Path: d.path}
	return fmt.Sprintf("%s?mode=%s&_error_rc=1&_pragma=busy_timeout(%d)", u.String(), mode, busyTimeout)
}

// writing has WAL, so that readers and the writer do not block each other; synchronous
// FULL, so that a committed change survives a power cut; and no foreign keys, as in
// Cinder on SQLite.
func (d sqliteDialect) writing() string {
	return d.dsn("rw") + "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(0)"
}

func (d sqliteDialect) reading() string {
	return d.dsn("rw") + "&_pragma=query_only(1)"
}

func (sqliteDialect) bind(query string) string { return query }

func (sqliteDialect) same(column string) string { return column + " IS ?" }

func (sqliteDialect) sameText(column string) string { return "COALESCE(" + column + ", '') = ?" }

// sameTime compares whole seconds: the text may have a fraction.
func (sqliteDialect) sameTime(column string) string {
	return "DATETIME(" + column + ") IS DATETIME(?)"
}

func (sqliteDialect) hostName() string { return "SUBSTR(host, 1, INSTR(host || '@', '@') - 1)" }

func (sqliteDialect) entries(lead []filter, s span) (where, string) { return entries(lead, s) }

func (sqliteDialect) forceIndexOrder(context.Context, querier) error { return nil }

func (sqliteDialect) insert(ctx context.Context, q querier, query string, args ...any) (int64, error) {
	return oneNumber(ctx, q, query+` RETURNING id`, args...)
}

func (sqliteDialect) options(kind transaction) *sql.TxOptions {
	return &sql.TxOptions{ReadOnly: kind == transactionRead}
}

// takeTurn has nothing to do: the transaction began as IMMEDIATE. SQLite runs in this
// process, so a commit is never in doubt.
func (d sqliteDialect) takeTurn(context.Context, querier, string) (time.Time, bool, error) {
	return d.now().UTC(), false, nil
}

func (sqliteDialect) setTimeouts(context.Context, querier) error { return nil }

func (sqliteDialect) record(context.Context, querier, string, time.Time) error { return nil }

func (sqliteDialect) forUpdate() string { return "" }

func (sqliteDialect) fault(err error) fault {
	if errors.Is(err, driver.ErrBadConn) {
		return faultLost
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return faultOther
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return faultDuplicate
	}
	switch e.Code() & 0xff { // drop the extended code
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return faultBusy
	case sqlite3.SQLITE_CANTOPEN:
		return faultMissing
	case sqlite3.SQLITE_READONLY:
		return faultReadOnly
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT:
		return faultLost
	default:
		return faultOther
	}
}

func (sqliteDialect) tables(ctx context.Context, q querier) ([]string, error) {
	return names(ctx, q, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
}

func (sqliteDialect) columns(ctx context.Context, q querier, table string) ([]string, error) {
	return names(ctx, q, `SELECT name FROM pragma_table_info(?) ORDER BY cid`, table)
}

// clock is the host's clock: the database is in this process.
func (d sqliteDialect) clock(context.Context, querier) (time.Time, error) { return d.now().UTC(), nil }

func (sqliteDialect) version(ctx context.Context, q querier) (engine, version string, err error) {
	versions, err := names(ctx, q, `SELECT sqlite_version()`)
	return "SQLite", strings.Join(versions, ""), err
}

func (sqliteDialect) migrations() (goose.Dialect, fs.FS, error) {
	files, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	return goose.DialectSQLite3, files, err
}

// prepare holds SQLite's write lock while fn runs. It creates the file when there is
// none.
func (d sqliteDialect) prepare(ctx context.Context, fn func(*sql.DB) error) (err error) {
	if err := d.create(); err != nil {
		return err
	}
	db, err := d.open(1, d.writing())
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return err
	}
	if err := fn(db); err != nil {
		return err // closing the connection rolls back
	}
	_, err = db.ExecContext(ctx, `COMMIT`)
	return err
}

func names(ctx context.Context, q querier, query string, args ...any) (_ []string, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, rows.Close()) }()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
