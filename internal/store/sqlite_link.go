package store

import (
	"context"
	"database/sql"
	"errors"
)

// sqliteLink asks SQLite for a number that changes, for each connection, when any
// other connection, of this process or another, commits. This connection never
// writes, so no commit escapes it, and an old state cannot be shown. It has to
// stay the same one: its numbers mean nothing to another.
type sqliteLink struct {
	conn                   *sql.Conn
	number, services, open *sql.Stmt
}

func newSQLiteLink(ctx context.Context, conn *sql.Conn) (fleetLink, error) {
	l := &sqliteLink{conn: conn}
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{{&l.number, `PRAGMA data_version`}, {&l.services, allServices}, {&l.open, openOperations}} {
		var err error
		*s.stmt, err = conn.PrepareContext(ctx, s.text) //nolint:sqlclosecheck // closed with the link, or with its connection.
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// close closes the connection, its statements and what it may have begun.
func (l *sqliteLink) close() error {
	var errs []error
	for _, stmt := range []*sql.Stmt{l.number, l.services, l.open} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(append(errs, l.conn.Close())...)
}

// read returns last when it is still true, else what is.
func (l *sqliteLink) read(ctx context.Context, last *fleetRows) (*fleetRows, error) {
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

func (l *sqliteLink) readAll(ctx context.Context, expected int) (*fleetRows, error) {
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
	oldestFirst(rows.open)
	return rows, err
}
