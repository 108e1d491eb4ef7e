package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"stoker/internal/cinder"
	"stoker/internal/dsn"
)

// readTimeout bounds each read of the database.
const readTimeout = 10 * time.Second

// Options select a database.
type Options struct {
	URL  string       // in SQLAlchemy's form; see dsn.ParseDatabase
	Pool Pool         // connections to a server; the zero Pool means DefaultPool
	Log  *slog.Logger // nil discards the log

	// Watch is called with each statement before it runs, for tests that inspect query
	// plans. May be nil.
	Watch func(Statement)
}

// Statement is a statement that the store runs.
type Statement struct {
	Text   string // with the engine's own placeholders
	Args   []any
	Set    []string // settings of the transaction, sent before it
	Change bool     // it runs in an Update, which excludes all other changes
}

// Pool configures connections to a database server, with the options of [database] in
// cinder.conf. An SQLite file needs none of it.
type Pool struct {
	Size     int           // max_pool_size: connections kept open; 0 means no limit
	Overflow int           // max_overflow: connections beyond those when all are in use; -1 means no limit
	Recycle  time.Duration // connection_recycle_time: the greatest age of a connection; 0 means any age
	Timeout  time.Duration // pool_timeout: the longest wait for a connection
	// WsrepSyncWait is mysql_wsrep_sync_wait: the value of the server's
	// wsrep_sync_wait, which selects the statements that wait for a Galera cluster to
	// catch up; 0 leaves the server's own.
	WsrepSyncWait int
}

// DefaultPool has Cinder's defaults, except that reads wait for a Galera cluster to
// catch up.
func DefaultPool() Pool {
	return Pool{Size: 5, Overflow: 50, Recycle: time.Hour, Timeout: 30 * time.Second, WsrepSyncWait: 1}
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	dialect dialect
	name    string // of the database, in messages to the operator
	writer  *sql.DB
	readers *sql.DB // the same as writer on a server
	fleet   *fleet
	server  bool // a server, not a file: it may go away and come back
	// poolTimeout bounds the wait for a pooled connection.
	poolTimeout time.Duration
	log         *slog.Logger
	closed      atomic.Bool
	watch       func(Statement) // may be nil

	now     func() time.Time
	newUUID func() string
}

// Open opens the database at o.URL. It creates no tables; Sync does. Its errors are one
// line with the database and the reason: KindInvalid for a URL that does not parse, a
// path that cannot hold a database, and a database of another program; KindUnavailable
// when the database does not answer.
func Open(ctx context.Context, o Options) (*DB, error) {
	where, err := dsn.ParseDatabase(o.URL)
	if err != nil {
		return nil, err
	}
	if where, err = where.Defaults(); err != nil {
		return nil, err
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if o.Pool == (Pool{}) {
		o.Pool = DefaultPool()
	}
	db := &DB{log: log, watch: o.Watch, now: time.Now, newUUID: uuid.NewString}
	switch where.Engine {
	case dsn.SQLite:
		err = db.openSQLite(ctx, where.Name)
	case dsn.MySQL:
		err = db.openMySQL(ctx, where, o.Pool)
	case dsn.PostgreSQL:
		err = db.openPostgres(ctx, where, o.Pool)
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

// Close waits for running transactions and closes every connection. Later calls fail
// with KindUnavailable.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	err := errors.Join(db.fleet.close(), db.readers.Close())
	if db.writer != db.readers {
		err = errors.Join(err, db.writer.Close())
	}
	return err
}

// fail turns a database error into the error that callers get: its message is safe to
// show to anybody, and the cause is wrapped for the log. An error that already has a
// kind is returned as it is.
func (db *DB) fail(ctx context.Context, doing string, err error) error {
	if e, ok := errors.AsType[*cinder.Error](err); ok {
		return e
	}
	cause := fmt.Errorf("%s: %w", doing, err)
	fault := db.dialect.fault(err)
	switch {
	case fault == faultBusy:
		return cinder.Wrap(cinder.KindUnavailable, cause, "The database is busy. Try again in a moment.")
	case fault == faultDuplicate:
		return cinder.Wrap(cinder.KindConflict, cause, "Somebody else has created the same. Try again in a moment.")
	case fault == faultValue:
		return cinder.Wrap(cinder.KindInvalid, cause, "The database cannot save a value: it is too long, or has characters that its tables do not keep.")
	case fault == faultReadOnly:
		return cinder.Wrap(cinder.KindUnavailable, cause, "The database is read-only: it can be read, and takes no changes.")
	case fault == faultLost, fault == faultRefused, fault == faultMissing, db.closed.Load(), ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, context.Canceled), errors.Is(err, sql.ErrTxDone), errors.Is(err, sql.ErrConnDone):
		return cinder.Wrap(cinder.KindUnavailable, cause, "The database is not available.")
	default:
		return cause
	}
}
