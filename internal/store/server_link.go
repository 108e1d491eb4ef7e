package store

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"

	"stoker/internal/cinder"
)

const (
	rawServices = iota
	rawOpen
)

// serverLink reads the rows on every call, unless the server can tell that they are
// unchanged. It decodes only rows whose bytes have changed.
type serverLink struct {
	conn    *sql.Conn
	dialect serverDialect
	spare   [2]*rawRows // buffers for the next read
}

func newServerLink(conn *sql.Conn, d serverDialect) *serverLink {
	return &serverLink{conn: conn, dialect: d, spare: [2]*rawRows{{}, {}}}
}

// close discards the connection: it may be in any state.
func (l *serverLink) close() error {
	_ = l.conn.Raw(func(any) error { return driver.ErrBadConn })
	return nil
}

// read implements fleetLink. A state means nothing to another server: rows read over
// another connection have none.
func (l *serverLink) read(ctx context.Context, last *fleetRows) (*fleetRows, error) {
	if last != nil && last.state != "" {
		state, err := l.dialect.state(ctx, l.conn)
		if err != nil {
			return nil, err
		}
		if state == last.state {
			return last, nil
		}
	}
	for _, room := range l.spare {
		room.reset()
	}
	state, err := l.dialect.fetch(ctx, l.conn, l.spare[rawServices], l.spare[rawOpen])
	if err != nil {
		return nil, err
	}
	return l.decode(last, state)
}

func (l *serverLink) decode(last *fleetRows, state string) (_ *fleetRows, err error) {
	rows := &fleetRows{state: state}
	if last != nil {
		rows.services, rows.open, rows.raw = last.services, last.open, last.raw
	}
	if raw := l.spare[rawServices]; !raw.equal(rows.raw[rawServices]) {
		rows.services = decodeServices(raw, rows.raw[rawServices], rows.services)
		l.keep(rows, rawServices)
	}
	if raw := l.spare[rawOpen]; !raw.equal(rows.raw[rawOpen]) {
		if rows.open, err = decodeOperations(raw); err != nil {
			return nil, err
		}
		l.keep(rows, rawOpen)
	}
	return rows, nil
}

// keep swaps in the result just read; the old one becomes the buffer for the next read.
func (l *serverLink) keep(rows *fleetRows, i int) {
	old := rows.raw[i]
	if old == nil {
		old = &rawRows{}
	}
	rows.raw[i], l.spare[i] = l.spare[i], old
}

// decodeServices reuses the services whose rows are unchanged.
func decodeServices(raw, was *rawRows, services []cinder.Service) []cinder.Service {
	decoded := make([]cinder.Service, len(raw.ends))
	c := newCells(serviceCells)
	for i := range decoded {
		row := raw.row(i)
		if i < len(services) && bytes.Equal(row, was.row(i)) {
			decoded[i] = services[i]
			continue
		}
		c.load(row)
		decoded[i] = c.service()
	}
	return decoded
}

func decodeOperations(raw *rawRows) ([]cinder.Operation, error) {
	var ops []cinder.Operation
	c := newCells(operationCells)
	for i := range raw.ends {
		c.load(raw.row(i))
		op, err := c.operation()
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	oldestFirst(ops)
	return ops, nil
}
