package store

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"

	"stoker/internal/cinder"
)

// fleet serves all services and open operations from memory, after asking the
// database each time whether what is in memory is still what it holds. How that
// is asked is its link's business.
//
// Callers that wait at the same moment share an answer, as long as the question
// was asked after each of them came.
type fleet struct {
	db    *sql.DB
	open  func(context.Context, *sql.Conn) (fleetLink, error)
	turn  chan struct{}
	asked atomic.Uint64 // how many times the database was asked

	// The rest belongs to whoever has the turn.
	link fleetLink // nil until needed, and after an error
	rows *fleetRows
	err  error // why there are no rows, when the last question failed
}

// fleetLink is the connection that is asked. It stays the same one until an error.
type fleetLink interface {
	// read returns last when it is still true, else what is.
	read(ctx context.Context, last *fleetRows) (*fleetRows, error)
	close() error
}

// fleetRows are not written to once they were handed out.
type fleetRows struct {
	services []cinder.Service
	open     []cinder.Operation

	number int64       // of the SQLite connection they were read over
	state  string      // of a server, when they were read
	raw    [2]*rawRows // the services and operations as they came from a server
}

func newFleet(db *sql.DB, open func(context.Context, *sql.Conn) (fleetLink, error)) *fleet {
	return &fleet{db: db, open: open, turn: make(chan struct{}, 1)}
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
		// not end it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		f.ask(ctx)
	}
	return f.rows, f.err
}

// ask makes rows what the database holds. A connection that has broken since it
// was last used is replaced once.
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

// drop gives the connection up: the next question starts afresh.
func (f *fleet) drop() error {
	if f.link == nil {
		return nil
	}
	err := f.link.close()
	f.link, f.rows = nil, nil // what is kept may mean nothing to another connection
	return err
}

// close waits for its turn and closes the database.
func (f *fleet) close() error {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	return errors.Join(f.drop(), f.db.Close())
}
