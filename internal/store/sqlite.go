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
	// sqliteReaders is how many filtered reads run at once. They need the
	// processor and little else, so more would not be faster.
	sqliteReaders = 4
)

// sqliteDialect is SQLite over one file.
type sqliteDialect struct {
	path string // absolute
	now  func() time.Time
}

// openSQLite opens the file for three uses: one connection that writes (SQLite
// has one writer at a time anyway, and to queue for a connection is fairer than
// to poll for a lock), a few that read, and the one of fleet.
func (db *DB) openSQLite(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("database file: %w", err)
	}
	d := sqliteDialect{path: path, now: db.now}
	exists, err := d.inspect()
	if err != nil {
		return err
	}
	if exists {
		if err := db.patiently(ctx, d, func() error { return d.look(ctx) }); err != nil {
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
	if exists { // one that does not is made when Sync is asked to
		if err := db.patiently(ctx, d, func() error { return db.writer.PingContext(ctx) }); err != nil {
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

// dsn is a connection of the driver's: mode is SQLite's, rw does not create the file.
func (d sqliteDialect) dsn(mode string) string {
	u := url.URL{Scheme: "file", Path: d.path}
	return fmt.Sprintf("%s?mode=%s&_error_rc=1&_pragma=busy_timeout(%d)", u.String(), mode, busyTimeout)
}

// writing keeps readers and the writer out of each other's way (WAL), has what was
// committed survive a power cut (FULL: an acknowledged change is a promise), and
// leaves foreign keys unchecked, as Cinder does on SQLite.
func (d sqliteDialect) writing() string {
	return d.dsn("rw") + "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(0)"
}

func (d sqliteDialect) reading() string {
	return d.dsn("rw") + "&_pragma=query_only(1)"
}

func (sqliteDialect) bind(query string) string { return query }

func (sqliteDialect) same(column string) string { return column + " IS ?" }

func (sqliteDialect) sameText(column string) string { return "COALESCE(" + column + ", '') = ?" }

// sameTime compares whole seconds: the text may or may not have a fraction.
func (sqliteDialect) sameTime(column string) string {
	return "DATETIME(" + column + ") IS DATETIME(?)"
}

func (sqliteDialect) hostName() string { return "SUBSTR(host, 1, INSTR(host || '@', '@') - 1)" }

func (sqliteDialect) entries(lead []filter, s span) (where, string) { return entries(lead, s) }

func (sqliteDialect) walk(context.Context, querier) error { return nil }

func (sqliteDialect) insert(ctx context.Context, q querier, query string, args ...any) (int64, error) {
	return oneNumber(ctx, q, query+` RETURNING id`, args...)
}

func (sqliteDialect) options(kind transaction) *sql.TxOptions {
	return &sql.TxOptions{ReadOnly: kind == transactionRead}
}

// turn has nothing to do: the transaction was begun as IMMEDIATE. SQLite works
// in this process: it cannot be lost in the midst of a commit.
func (d sqliteDialect) turn(context.Context, querier, string) (time.Time, bool, error) {
	return d.now().UTC(), false, nil
}

func (sqliteDialect) bound(context.Context, querier) error { return nil }

func (sqliteDialect) record(context.Context, querier, string, time.Time) error { return nil }

func (sqliteDialect) hold() string { return "" }

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
	switch e.Code() & 0xff { // the rest is detail
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

// clock is the host's: the database is in this process.
func (d sqliteDialect) clock(context.Context, querier) (time.Time, error) { return d.now().UTC(), nil }

func (sqliteDialect) version(ctx context.Context, q querier) (engine, version string, err error) {
	versions, err := names(ctx, q, `SELECT sqlite_version()`)
	return "SQLite", strings.Join(versions, ""), err
}

func (sqliteDialect) migrations() (goose.Dialect, fs.FS, error) {
	files, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	return goose.DialectSQLite3, files, err
}

// prepare holds SQLite's one write lock while fn runs, over a file that it makes
// when there is none.
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
		return err // to close the connection rolls back
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
