package store

import (
	"context"
	"database/sql"
	"errors"
)

// sqliteLink asks SQLite for data_version, which changes, for a given connection, when
// any other connection of any process commits. This connection never writes, so it
// notices every commit. The connection must stay the same: data_version means nothing
// to another one.
type sqliteLink struct {
	conn                        *sql.Conn
	dataVersion, services, open *sql.Stmt
}

func newSQLiteLink(ctx context.Context, conn *sql.Conn) (fleetLink, error) {
	l := &sqliteLink{conn: conn}
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{{&l.dataVersion, `PRAGMA data_version`}, {&l.services, allServices}, {&l.open, openOperations}} {
		var err error
		*s.stmt, err = conn.PrepareContext(ctx, s.text) //nolint:sqlclosecheck // closed with the link, or with its connection.
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// close closes the statements and the connection, with any open transaction.
func (l *sqliteLink) close() error {
	var errs []error
	for _, stmt := range []*sql.Stmt{l.dataVersion, l.services, l.open} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(append(errs, l.conn.Close())...)
}

// read implements fleetLink.
func (l *sqliteLink) read(ctx context.Context, last *fleetRows) (*fleetRows, error) {
	var number int64
	if err := l.dataVersion.QueryRowContext(ctx).Scan(&number); err != nil {
		return nil, err
	}
	expected := 0
	if last != nil {
		if last.dataVersion == number {
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
	// Read it again, inside the transaction: this number belongs to these rows.
	if err := l.dataVersion.QueryRowContext(ctx).Scan(&rows.dataVersion); err != nil {
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
