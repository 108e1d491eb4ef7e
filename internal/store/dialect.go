package store

import (
	"context"
	"database/sql"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

// dialect is what differs between the engines. SQL elsewhere keeps to what all
// of them read: names in double quotes, ? for parameters, TRUE and FALSE,
// INSERT ... RETURNING; and COALESCE(t, NULL) around times, so that no driver
// takes a stored text for more than a text.
type dialect interface {
	// same is a condition: the column, NULL included, is what the parameter is.
	same(column string) string
	// sameTime does that for times, to the second.
	sameTime(column string) string
	// fault says what an error of the driver means, by its number.
	fault(err error) fault
	// tables lists the tables of the database.
	tables(ctx context.Context, q querier) ([]string, error)
	// columns lists the columns of a table; none when there is no such table.
	columns(ctx context.Context, q querier, table string) ([]string, error)
	// migrations is the schema: *.sql are ours, and cinder/*.sql make Cinder's
	// tables where they are not there, each in order.
	migrations() (goose.Dialect, fs.FS, error)
	// clock reads the database's clock, UTC.
	clock(ctx context.Context, q querier) (time.Time, error)
	// version names the engine and its version.
	version(ctx context.Context, q querier) (engine, version string, err error)
	// prepare runs fn on a connection of its own, inside a transaction that
	// keeps every other process from preparing the same database meanwhile.
	prepare(ctx context.Context, fn func(*sql.DB) error) error
}

// querier is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// fault is what an error of a driver means to us.
type fault int

const (
	faultOther   fault = iota // ours to mend
	faultBusy                 // another writer was faster: nothing was written, it may be tried again
	faultMissing              // there is no such database
	faultLost                 // the database is away, full, read-only or broken
)
