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
	// updateTimeout bounds an Update with all its attempts and waits: after that, the
	// caller is better served with an error.
	updateTimeout  = 15 * time.Second
	updateAttempts = 3
	// busyAttempts bounds the retries after a conflict on a server. Where processes
	// write through several servers of a Galera cluster, every second attempt fails.
	busyAttempts = 30
	// retryPause is the longest pause before the second attempt; it doubles up to
	// maxPause.
	retryPause = 50 * time.Millisecond
	maxPause   = time.Second
)

// Tx is a running transaction. What it has read by name stays unchanged until it ends
// (see Services).
type Tx struct {
	db   *DB
	tx   *session
	now  time.Time
	read bool // a read transaction
}

// forUpdate is the dialect's; "" in a read transaction.
func (tx *Tx) forUpdate() string {
	if tx.read {
		return ""
	}
	return tx.db.dialect.forUpdate()
}

// Now is the transaction's time by the database's clock, in UTC and whole seconds.
func (tx *Tx) Now() time.Time { return tx.now }

// HostNow is this host's clock in UTC, which heartbeats are compared with.
func (tx *Tx) HostNow() time.Time { return tx.db.now().UTC() }

// commit tracks whether an Update has committed, across its attempts.
type commit struct {
	id string // recorded in the transaction
	// inDoubt is true after the database was lost during a commit: only a lookup of id
	// tells whether it succeeded.
	inDoubt bool
}

// Update runs fn in one transaction: all of its writes happen or none. fn may run more
// than once, must have no effects that a rollback does not undo, and must not call
// Update. Fails with fn's error, with KindUnavailable, or with KindConflict (somebody
// else created the same): then nothing was written. It fails with KindTimeout when the
// database was lost during the commit and did not come back in time: then it is unknown
// whether everything was written or nothing.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	c := &commit{id: db.newUUID()}
	pause := retryPause
	for attempt := 1; ; attempt++ {
		err := db.transact(ctx, c, fn)
		retry := c.inDoubt || attempt < db.attempts(err)
		if retry && db.pause(ctx, rand.N(pause)) {
			pause = min(2*pause, maxPause)
			continue
		}
		if c.inDoubt {
			return cinder.Wrap(cinder.KindTimeout, err, "The database was lost while it saved the change. Whether it has is not known yet.")
		}
		return err
	}
}

// attempts is how often to try an Update that failed with err, when nothing was
// written.
func (db *DB) attempts(err error) int {
	switch fault := db.dialect.fault(err); {
	case fault == faultBusy && db.server:
		return busyAttempts
	case fault == faultBusy, db.server && fault == faultDuplicate, db.server && moved(fault): // the rerun finds the duplicate; the server comes back
		return updateAttempts
	default:
		return 1
	}
}

// moved reports whether another connection may lead to a server that can do more:
// after a failover of the database, the previous primary is read-only or gone.
func moved(f fault) bool { return f == faultLost || f == faultReadOnly }

// pause waits, and reports whether there is time left.
func (db *DB) pause(ctx context.Context, d time.Duration) bool { return wait(ctx, d) == nil }

// wait returns ctx's error when ctx ends first.
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

// openRetryTimeout bounds retries while another process opens the file.
const openRetryTimeout = 3 * time.Second

// retryBusy retries fn while the database is busy. Processes that open an SQLite file
// at once may not wait for each other: setting its journal mode fails at once while
// another connection does the same, and so does any use of it while the last open
// connection is closing.
func (db *DB) retryBusy(ctx context.Context, d dialect, fn func() error) error {
	began := time.Now()
	err := fn()
	for d.fault(err) == faultBusy && time.Since(began) < openRetryTimeout && db.pause(ctx, rand.N(retryPause)) {
		err = fn()
	}
	return err
}

// Read runs fn in a read transaction: one snapshot that shows every change acknowledged
// before the call, and blocks no change. Writes in fn fail. Fails with fn's error, or
// KindUnavailable.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return db.inTransaction(ctx, transactionRead, func(_ *sql.Tx, s *session) error {
		now, err := db.dialect.clock(ctx, s)
		if err != nil {
			return db.fail(ctx, "read the clock", err)
		}
		return fn(&Tx{db: db, tx: s, now: now.UTC().Truncate(time.Second), read: true})
	})
}

// transact is one attempt of Update. A panic in fn rolls back on its way up.
func (db *DB) transact(ctx context.Context, c *commit, fn func(*Tx) error) error {
	return db.inTransaction(ctx, transactionWrite, func(tx *sql.Tx, s *session) error {
		s.turn = true
		now, committed, err := db.dialect.takeTurn(ctx, s, c.id)
		if err != nil {
			return db.fail(ctx, "begin", err)
		}
		c.inDoubt = false // no earlier transaction is still running
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
		if err := ctx.Err(); err != nil { // out of time: do not start a commit
			return db.fail(ctx, "commit", err)
		}
		err = tx.Commit()
		fault := db.dialect.fault(err)
		c.inDoubt = err != nil && db.server && fault != faultBusy && fault != faultReadOnly
		if err != nil {
			return db.fail(ctx, "commit", err)
		}
		return nil
	})
}

// blindWrite runs fn in one attempt of a transaction that writes without reading first,
// and so needs no turn.
func (db *DB) blindWrite(ctx context.Context, fn func(*Tx) error) error {
	return db.inTransaction(ctx, transactionWrite, func(tx *sql.Tx, s *session) error {
		if err := db.dialect.setTimeouts(ctx, s); err != nil {
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

// hostTime is the host's clock as Cinder's tables store it: services and APIs compare
// heartbeats with it.
func (db *DB) hostTime() time.Time { return db.now().UTC().Truncate(time.Second) }

// read runs fn in a read transaction: all its reads see one snapshot.
func (db *DB) read(ctx context.Context, doing string, fn func(context.Context, querier) error) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return db.inTransaction(ctx, transactionRead, func(_ *sql.Tx, s *session) error {
		if err := fn(ctx, s); err != nil {
			return db.fail(ctx, doing, err)
		}
		return nil
	})
}

// inTransaction runs fn in a transaction on a pooled connection, and rolls back unless
// fn has committed.
func (db *DB) inTransaction(ctx context.Context, kind transaction, fn func(*sql.Tx, *session) error) (err error) {
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
	defer func() { _ = tx.Rollback() }() // no effect after a commit
	return fn(tx, &session{querier: tx, bind: db.dialect.bind, watch: db.watch})
}

// connection waits for a pooled connection, at most poolTimeout.
func (db *DB) connection(ctx context.Context, pool *sql.DB) (*sql.Conn, error) {
	if db.poolTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, db.poolTimeout)
		defer cancel()
	}
	return pool.Conn(ctx)
}

// release returns a connection to its pool. It closes one whose server reported that it
// is unavailable: the next may lead to another server.
func (db *DB) release(conn *sql.Conn, err error) {
	if db.server && moved(db.dialect.fault(err)) {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	_ = conn.Close()
}
