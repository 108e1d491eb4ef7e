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

// readTimeout bounds a read that goes to the database.
const readTimeout = 10 * time.Second

// Options say which database to use.
type Options struct {
	URL  string       // as SQLAlchemy writes it; see dsn.ParseDatabase
	Pool Pool         // of connections to a server; the zero Pool is DefaultPool
	Log  *slog.Logger // nil to say nothing

	// Watch is told of each statement before it is run: for tests that look at how
	// the database would carry it out. nil to tell nobody.
	Watch func(Statement)
}

// Statement is one of ours.
type Statement struct {
	Text   string // with the marks for parameters that the engine takes
	Args   []any
	Set    []string // sent before it: settings that hold until the transaction ends
	Change bool     // while it runs, all other changes wait
}

// Pool says how connections to a database server are kept: options of [database]
// in cinder.conf. A file needs none of it.
type Pool struct {
	Size     int           // max_pool_size: connections kept open; 0 for no limit
	Overflow int           // max_overflow: connections beyond those when all are in use; -1 for no limit
	Recycle  time.Duration // connection_recycle_time: the greatest age of a connection; 0 for any
	Timeout  time.Duration // pool_timeout: the longest wait for a connection
	// WsrepSyncWait is mysql_wsrep_sync_wait: which statements wait for a Galera
	// cluster, as the server's wsrep_sync_wait says it; 0 leaves that to the server.
	WsrepSyncWait int
}

// DefaultPool is Cinder's defaults, but that reads wait for a cluster.
func DefaultPool() Pool {
	return Pool{Size: 5, Overflow: 50, Recycle: time.Hour, Timeout: 30 * time.Second, WsrepSyncWait: 1}
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	dialect dialect
	name    string // what messages to the operator call the database
	writer  *sql.DB
	readers *sql.DB // the same as writer on a server
	fleet   *fleet
	server  bool // not a file: it may go away and come back
	// patience is how long to wait for a connection of the pool.
	patience time.Duration
	log      *slog.Logger
	closed   atomic.Bool
	watch    func(Statement) // nil to tell nobody

	now     func() time.Time
	newUUID func() string
}

// Open opens the database that o.URL names. It creates no tables: that is
// Sync's. It fails with one line that says which database and why: KindInvalid
// for a URL it cannot read, a file that cannot be there and a file that is
// another program's; KindUnavailable when the database is there and does not answer.
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

// Close closes every connection, once the transactions that run have ended.
// Whatever is asked afterwards fails with KindUnavailable.
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

// fail makes of an error of the database what callers of this package get:
// nothing in it that is not for everybody's eyes, the cause behind it for the
// log. Errors that have a kind already keep it.
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
