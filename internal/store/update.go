package store

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"time"
)

const (
	// updateTimeout bounds an Update with all its attempts and waits: a request
	// that waits longer for the database is better told so.
	updateTimeout  = 15 * time.Second
	updateAttempts = 3
	// retryPause is the longest pause before the second attempt; it doubles.
	retryPause = 50 * time.Millisecond
)

// Tx is the inside of one transaction. What it reads stays as read until the
// transaction ends.
type Tx struct {
	db  *DB
	tx  *sql.Tx
	now time.Time
}

// Now is the time of the transaction, UTC, in whole seconds.
func (tx *Tx) Now() time.Time { return tx.now }

// Update runs fn in one transaction: all of its writes happen or none. fn may
// be run more than once, must do nothing that a rollback does not undo, and must
// not call Update itself. Fails with fn's error, or with KindUnavailable: then
// nothing was written.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	pause := retryPause
	for attempt := 1; ; attempt++ {
		err := db.transact(ctx, fn)
		if err == nil || attempt == updateAttempts || db.dialect.fault(err) != faultBusy {
			return err
		}
		timer := time.NewTimer(rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
		pause *= 2
	}
}

// transact is one attempt. A panic of fn rolls back on its way up.
func (db *DB) transact(ctx context.Context, fn func(*Tx) error) error {
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return db.fail(ctx, "begin", err)
	}
	defer func() { _ = tx.Rollback() }() // of no effect after the commit
	if err := fn(&Tx{db: db, tx: tx, now: db.now().UTC().Truncate(time.Second)}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return db.fail(ctx, "commit", err)
	}
	return nil
}

// read runs fn inside one read transaction, so that all it reads is of one moment.
func (db *DB) read(ctx context.Context, doing string, fn func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	tx, err := db.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return db.fail(ctx, doing, err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	if err := fn(ctx, tx); err != nil {
		return db.fail(ctx, doing, err)
	}
	return nil
}
