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
	db    *sql.DB // keeps no idle connections: one given up is closed
	turn  chan struct{}
	asked atomic.Uint64 // how many times the database was asked

	// The rest belongs to whoever has the turn.
	link *fleetLink // nil until needed, and after an error
	rows *fleetRows
	err  error // why there are no rows, when the last question failed
}

type fleetRows struct {
	number   int64 // of the link they were read over
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
		// not end it. SQLite's busy timeout bounds it.
		f.ask(context.WithoutCancel(ctx))
	}
	return f.rows, f.err
}

// ask makes rows what the database holds.
func (f *fleet) ask(ctx context.Context) {
	if f.link == nil {
		if f.link, f.err = newFleetLink(ctx, f.db); f.err != nil {
			return
		}
	}
	if f.rows, f.err = f.link.read(ctx, f.rows); f.err != nil {
		f.err = errors.Join(f.err, f.drop())
	}
}

// drop gives the connection up: the next question starts afresh.
func (f *fleet) drop() error {
	if f.link == nil {
		return nil
	}
	err := f.link.close()
	f.link, f.rows = nil, nil
	return err
}

// close waits for its turn and closes the connection.
func (f *fleet) close() error {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	return errors.Join(f.drop(), f.db.Close())
}

// fleetLink is the connection that is asked. It has to stay the same one: its
// numbers mean nothing to another.
type fleetLink struct {
	conn                   *sql.Conn
	number, services, open *sql.Stmt
}

func newFleetLink(ctx context.Context, db *sql.DB) (*fleetLink, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	l := &fleetLink{conn: conn}
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{{&l.number, `PRAGMA data_version`}, {&l.services, allServices}, {&l.open, openOperations}} {
		*s.stmt, err = conn.PrepareContext(ctx, s.text) //nolint:sqlclosecheck // closed with the link.
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	return l, nil
}

// close closes the connection, its statements and what it may have begun.
func (l *fleetLink) close() error {
	var errs []error
	for _, stmt := range []*sql.Stmt{l.number, l.services, l.open} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(append(errs, l.conn.Close())...)
}

// read returns last when it is still true, else what is.
func (l *fleetLink) read(ctx context.Context, last *fleetRows) (*fleetRows, error) {
	var number int64
	if err := l.number.QueryRowContext(ctx).Scan(&number); err != nil {
		return nil, err
	}
	expected := 0
	if last != nil {
		if last.number == number {
			return last, nil
		}
		expected = len(last.services)
	}
	if _, err := l.conn.ExecContext(ctx, `BEGIN`); err != nil {
		return nil, err
	}
	rows, err := l.readAll(ctx, expected)
	if err != nil {
		return nil, err
	}
	if _, err := l.conn.ExecContext(ctx, `COMMIT`); err != nil {
		return nil, err
	}
	return rows, nil
}

func (l *fleetLink) readAll(ctx context.Context, expected int) (*fleetRows, error) {
	rows := &fleetRows{}
	// Asked once more: this number and the rows are of one moment.
	if err := l.number.QueryRowContext(ctx).Scan(&rows.number); err != nil {
		return nil, err
	}
	result, err := l.services.QueryContext(ctx)
	if err != nil {
		return nil, err
	}
	if rows.services, err = scanServices(result, expected); err != nil {
		return nil, err
	}
	if result, err = l.open.QueryContext(ctx); err != nil {
		return nil, err
	}
	rows.open, err = scanOperations(result)
	return rows, err
}
