package store

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"

	"stoker/internal/cinder"
)

// fleet serves all services and open operations from memory. Before each answer its
// link asks the database whether they have changed.
//
// Callers that wait at the same moment share an answer, provided that the query began
// after each of them called.
type fleet struct {
	db    *sql.DB
	open  func(context.Context, *sql.Conn) (fleetLink, error)
	turn  chan struct{}
	asked atomic.Uint64 // how many times the database was asked

	// The rest is guarded by turn.
	link fleetLink // nil before first use and after an error
	rows *fleetRows
	err  error // of the last read
}

// fleetLink reads over one connection, until an error.
type fleetLink interface {
	// read returns last when nothing has changed, else new rows.
	read(ctx context.Context, last *fleetRows) (*fleetRows, error)
	close() error
}

// fleetRows are immutable once returned.
type fleetRows struct {
	services []cinder.Service
	open     []cinder.Operation

	dataVersion int64       // SQLite's data_version, for the connection they were read over
	state       string      // the server's state when they were read; "" when unknown
	raw         [2]*rawRows // the services and operations as received from a server
}

func newFleet(db *sql.DB, open func(context.Context, *sql.Conn) (fleetLink, error)) *fleet {
	return &fleet{db: db, open: open, turn: make(chan struct{}, 1)}
}

// read returns the rows as they were at some moment after the call began.
func (f *fleet) read(ctx context.Context) (*fleetRows, error) {
	before := f.asked.Load()
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-f.turn }()
	if f.asked.Load() == before { // else somebody has asked since
		f.asked.Add(1)
		// Other callers share the answer, so the cancellation of one must not end the
		// read.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		f.ask(ctx)
	}
	return f.rows, f.err
}

// ask updates the rows from the database. It replaces a connection that has broken
// since its last use, once.
func (f *fleet) ask(ctx context.Context) {
	used := f.link != nil
	f.try(ctx)
	if f.err != nil && used {
		f.try(ctx)
	}
}

func (f *fleet) try(ctx context.Context) {
	if f.link == nil {
		conn, err := f.db.Conn(ctx)
		if err != nil {
			f.err = err
			return
		}
		if f.link, f.err = f.open(ctx, conn); f.err != nil {
			f.err = errors.Join(f.err, conn.Close())
			f.link = nil
			return
		}
	}
	if f.rows, f.err = f.link.read(ctx, f.rows); f.err != nil {
		f.err = errors.Join(f.err, f.drop())
	}
}

// drop closes the link; the next read opens another.
func (f *fleet) drop() error {
	if f.link == nil {
		return nil
	}
	err := f.link.close()
	f.link, f.rows = nil, nil // the rows' number and state mean nothing over another connection
	return err
}

// close waits for its turn and closes the database.
func (f *fleet) close() error {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	return errors.Join(f.drop(), f.db.Close())
}
