package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"math/rand/v2"
	"time"

	"stoker/internal/cinder"
)

const (
	// updateTimeout bounds an Update with all its attempts and waits: a request
	// that waits longer for the database is better told so.
	updateTimeout  = 15 * time.Second
	updateAttempts = 3
	// busyAttempts is how often to try what others on a server stood in the way of.
	// Where processes write through several servers of a Galera cluster, that is every
	// second attempt.
	busyAttempts = 30
	// retryPause is the longest pause before the second attempt; it doubles, up
	// to maxPause.
	retryPause = 50 * time.Millisecond
	maxPause   = time.Second
)

// Tx is the inside of one transaction. What it reads stays as read until the
// transaction ends.
type Tx struct {
	db   *DB
	tx   *session
	now  time.Time
	read bool // nothing is written
}

// hold is the dialect's, where anything may be written.
func (tx *Tx) hold() string {
	if tx.read {
		return ""
	}
	return tx.db.dialect.hold()
}

// Now is the time of the transaction by the database's clock, UTC, in whole seconds.
func (tx *Tx) Now() time.Time { return tx.now }

// HostNow is the clock that heartbeats are compared with: this host's, as
// Snapshot.Now is, UTC.
func (tx *Tx) HostNow() time.Time { return tx.db.now().UTC() }

// commit follows the one commit of an Update through its attempts.
type commit struct {
	id string // recorded in the transaction
	// doubtful is true after the database was lost while it committed: whether
	// it did is known only after looking for id.
	doubtful bool
}

// Update runs fn in one transaction: all of its writes happen or none. fn may
// be run more than once, must do nothing that a rollback does not undo, and must
// not call Update itself. Fails with fn's error, with KindUnavailable or
// KindConflict (somebody else created the same): then nothing was written; or,
// when the database was lost while it committed and is not found again in time,
// with KindTimeout: then it is not known whether everything was written or nothing.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	c := &commit{id: db.newUUID()}
	pause := retryPause
	for attempt := 1; ; attempt++ {
		err := db.transact(ctx, c, fn)
		again := c.doubtful || attempt < db.attempts(err)
		if again && db.pause(ctx, rand.N(pause)) {
			pause = min(2*pause, maxPause)
			continue
		}
		if c.doubtful {
			return cinder.Wrap(cinder.KindTimeout, err, "The database was lost while it saved the change. Whether it has is not known yet.")
		}
		return err
	}
}

// attempts is how often to try what has failed, nothing having been written.
func (db *DB) attempts(err error) int {
	switch fault := db.dialect.fault(err); {
	case fault == faultBusy && db.server:
		return busyAttempts
	case fault == faultBusy, db.server && fault == faultDuplicate, db.server && moved(fault): // found when it is looked for; found again
		return updateAttempts
	default:
		return 1
	}
}

// moved says whether another connection may lead to a server that can do more:
// after a failover the one that took the writes is read-only, or gone.
func moved(f fault) bool { return f == faultLost || f == faultReadOnly }

// pause waits, and says whether there is still time to go on.
func (db *DB) pause(ctx context.Context, d time.Duration) bool { return wait(ctx, d) == nil }

// wait fails with ctx's error when that ends first.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openPatience is how long is tried again to open a database that others are opening.
const openPatience = 3 * time.Second

// patiently opens a database by fn. Several that open an SQLite file at once may
// not wait for each other: to set its journal's mode fails at once where another
// connection is about to, and so does any use of it while the last connection
// that there was is being closed.
func (db *DB) patiently(ctx context.Context, d dialect, fn func() error) error {
	began := time.Now()
	err := fn()
	for d.fault(err) == faultBusy && time.Since(began) < openPatience && db.pause(ctx, rand.N(retryPause)) {
		err = fn()
	}
	return err
}

// Read runs fn in one read transaction: all that it reads is of one moment, shows
// every change acknowledged before the call, and keeps no change waiting. What fn
// writes fails. Fails with fn's error, or KindUnavailable.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return db.within(ctx, transactionRead, func(_ *sql.Tx, s *session) error {
		now, err := db.dialect.clock(ctx, s)
		if err != nil {
			return db.fail(ctx, "read the clock", err)
		}
		return fn(&Tx{db: db, tx: s, now: now.UTC().Truncate(time.Second), read: true})
	})
}

// transact is one attempt. A panic of fn rolls back on its way up.
func (db *DB) transact(ctx context.Context, c *commit, fn func(*Tx) error) error {
	return db.within(ctx, transactionWrite, func(tx *sql.Tx, s *session) error {
		s.turn = true
		now, committed, err := db.dialect.turn(ctx, s, c.id)
		if err != nil {
			return db.fail(ctx, "begin", err)
		}
		c.doubtful = false // all that was under way before has ended
		if committed {
			return nil
		}
		s.wrote = false
		if err := fn(&Tx{db: db, tx: s, now: now.UTC().Truncate(time.Second)}); err != nil || !s.wrote {
			return err
		}
		if err := db.dialect.record(ctx, s, c.id, now); err != nil {
			return db.fail(ctx, "record commit", err)
		}
		if err := ctx.Err(); err != nil { // too late to begin with it
			return db.fail(ctx, "commit", err)
		}
		err = tx.Commit()
		fault := db.dialect.fault(err)
		c.doubtful = err != nil && db.server && fault != faultBusy && fault != faultReadOnly
		if err != nil {
			return db.fail(ctx, "commit", err)
		}
		return nil
	})
}

// blind runs fn in one attempt of a transaction that reads nothing before it
// writes, and waits for no turn.
func (db *DB) blind(ctx context.Context, fn func(*Tx) error) error {
	return db.within(ctx, transactionWrite, func(tx *sql.Tx, s *session) error {
		if err := db.dialect.bound(ctx, s); err != nil {
			return db.fail(ctx, "begin", err)
		}
		if err := fn(&Tx{db: db, tx: s, now: db.hostTime()}); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return db.fail(ctx, "commit", err)
		}
		return nil
	})
}

// hostTime is the host's clock as Cinder's tables keep times: it is what
// services and APIs compare heartbeats with.
func (db *DB) hostTime() time.Time { return db.now().UTC().Truncate(time.Second) }

// read runs fn inside one read transaction, so that all it reads is of one moment.
func (db *DB) read(ctx context.Context, doing string, fn func(context.Context, querier) error) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return db.within(ctx, transactionRead, func(_ *sql.Tx, s *session) error {
		if err := fn(ctx, s); err != nil {
			return db.fail(ctx, doing, err)
		}
		return nil
	})
}

// within runs fn inside a transaction on a connection of the pool, and rolls
// back what fn has not committed.
func (db *DB) within(ctx context.Context, kind transaction, fn func(*sql.Tx, *session) error) (err error) {
	pool := db.writer
	if kind == transactionRead {
		pool = db.readers
	}
	conn, err := db.connection(ctx, pool)
	if err != nil {
		return db.fail(ctx, "connect", err)
	}
	defer func() { db.release(conn, err) }()
	tx, err := conn.BeginTx(ctx, db.dialect.options(kind))
	if err != nil {
		return db.fail(ctx, "begin", err)
	}
	defer func() { _ = tx.Rollback() }() // of no effect after the commit
	return fn(tx, &session{querier: tx, bind: db.dialect.bind, watch: db.watch})
}

// connection waits for one of the pool's connections as long as it may.
func (db *DB) connection(ctx context.Context, pool *sql.DB) (*sql.Conn, error) {
	if db.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, db.patience)
		defer cancel()
	}
	return pool.Conn(ctx)
}

// release gives a connection back to its pool. One over which a server said that
// it can do no more is closed: the next may lead to another server.
func (db *DB) release(conn *sql.Conn, err error) {
	if db.server && moved(db.dialect.fault(err)) {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	_ = conn.Close()
}
