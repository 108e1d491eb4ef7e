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
)

// readTimeout bounds a read that goes to the database.
const readTimeout = 10 * time.Second

// Options say which database to use.
type Options struct {
	URL string       // as SQLAlchemy writes it: sqlite:////absolute/path, sqlite:///relative/path
	Log *slog.Logger // nil to say nothing
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	dialect dialect
	name    string // what messages to the operator call the database
	writer  *sql.DB
	readers *sql.DB
	fleet   *fleet
	log     *slog.Logger
	closed  atomic.Bool

	now     func() time.Time
	newUUID func() string
}

// Open opens the database that o.URL names. It creates no tables: that is
// Sync's. It fails with one line that says which database and why: KindInvalid
// for a URL it cannot read, a file that cannot be there and a file that is
// another program's; KindUnavailable when the database is there and does not answer.
func Open(ctx context.Context, o Options) (*DB, error) {
	t, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	db := &DB{log: log, now: time.Now, newUUID: uuid.NewString}
	if err := db.openSQLite(ctx, t.path); err != nil {
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
	return errors.Join(db.fleet.close(), db.readers.Close(), db.writer.Close())
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
	case fault == faultLost, fault == faultMissing, db.closed.Load(), ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, context.Canceled), errors.Is(err, sql.ErrTxDone), errors.Is(err, sql.ErrConnDone):
		return cinder.Wrap(cinder.KindUnavailable, cause, "The database is not available.")
	default:
		return cause
	}
}
