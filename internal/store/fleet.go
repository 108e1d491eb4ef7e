package store

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"

	"stoker/internal/cinder"
)

// fleet serves all services and open operations from memory, after asking the
// database each time whether what is in memory is still what it holds: SQLite
// keeps, for each connection, a number that changes when any other connection,
// of this process or another, commits. The connection asked here never writes,
// so no commit escapes it, and an old state cannot be shown.
//
// Callers that wait at the same moment share an answer, as long as the question
// was asked after each of them came.
type fleet struct {
	db    *sql.DB // of one connection, which must stay the same: its numbers mean nothing to another
	turn  chan struct{}
	asked atomic.Uint64 // how many times the database was asked

	// The rest belongs to whoever has the turn.
	conn    *sql.Conn // nil until needed, and after an error
	version *sql.Stmt
	number  int64 // when rows were read
	rows    *fleetRows
	err     error // why there are no rows, when the last question failed
}

const dataVersion = `PRAGMA data_version`

type fleetRows struct {
	services []cinder.Service
	open     []cinder.Operation
}

func newFleet(db *sql.DB) *fleet {
	return &fleet{db: db, turn: make(chan struct{}, 1)}
}

// read returns the rows as they are now, or were at some moment after the call began.
func (f *fleet) read(ctx context.Context) (*fleetRows, error) {
	before := f.asked.Load()
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-f.turn }()
	if f.asked.Load() == before { // else somebody has asked since we came
		f.asked.Add(1)
		// The answer is for others too: that one of them loses patience must
		// not end it. It is bounded by the busy timeout.
		f.refresh(context.WithoutCancel(ctx))
	}
	return f.rows, f.err
}

// refresh makes rows what the database holds.
func (f *fleet) refresh(ctx context.Context) {
	if f.err = f.ask(ctx); f.err != nil {
		f.rows = nil
		f.err = errors.Join(f.err, f.drop())
	}
}

func (f *fleet) ask(ctx context.Context) error {
	if f.conn == nil {
		if err := f.connect(ctx); err != nil {
			return err
		}
	}
	var number int64
	if err := f.version.QueryRowContext(ctx).Scan(&number); err != nil {
		return err
	}
	if f.rows != nil && number == f.number {
		return nil
	}
	tx, err := f.conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	// Asked again, as the number that belongs to what is read now.
	if err := tx.QueryRowContext(ctx, dataVersion).Scan(&f.number); err != nil {
		return err
	}
	rows := &fleetRows{}
	if rows.services, err = readServices(ctx, tx, allServices); err != nil {
		return err
	}
	if rows.open, err = readOperations(ctx, tx, openOperations); err != nil {
		return err
	}
	f.rows = rows
	return nil
}

func (f *fleet) connect(ctx context.Context) error {
	conn, err := f.db.Conn(ctx)
	if err != nil {
		return err
	}
	version, err := conn.PrepareContext(ctx, dataVersion)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	f.conn, f.version = conn, version
	return nil
}

// drop gives the connection up: the next question starts afresh.
func (f *fleet) drop() error {
	if f.conn == nil {
		return nil
	}
	err := errors.Join(f.version.Close(), f.conn.Close())
	f.conn, f.version, f.rows = nil, nil, nil
	return err
}

// close waits for its turn and closes the connection.
func (f *fleet) close() error {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	return errors.Join(f.drop(), f.db.Close())
}
