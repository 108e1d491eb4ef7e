package store

import (
	"context"
	"database/sql"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// dialect holds the differences between the engines. All other SQL keeps to what every
// engine reads: names in double quotes, ? for parameters, TRUE and FALSE, and
// COALESCE(t, NULL) around times, which keeps drivers from converting them.
type dialect interface {
	// bind replaces each ? in the query with the engine's placeholder.
	bind(query string) string
	// same is a condition: the column equals the parameter exactly, byte for byte; NULL
	// equals NULL.
	same(column string) string
	// sameText is same with NULL as "".
	sameText(column string) string
	// sameTime is same for times, to the second.
	sameTime(column string) string
	// hostName is the expression for stoker_operations.host without its backend,
	// exactly as in the index on it.
	hostName() string
	// forceIndexOrder makes the planner read in index order, without scans and sorts,
	// until the transaction ends.
	forceIndexOrder(ctx context.Context, q querier) error
	// entries selects the journal entries of a span, newest first: conditions and ORDER
	// BY, phrased so that the engine uses the index of the filter. lead has at most one
	// filter.
	entries(lead []filter, s span) (w where, order string)
	// insert runs an INSERT into a table with numeric ids, and returns the new id.
	insert(ctx context.Context, q querier, query string, args ...any) (int64, error)
	// options are the transaction's options.
	options(kind transaction) *sql.TxOptions
	// takeTurn begins a transaction that reads and writes. Until it ends, it excludes
	// every other such transaction, in any process. It returns the database's clock in
	// UTC, and whether the transaction that recorded id has committed.
	takeTurn(ctx context.Context, q querier, id string) (now time.Time, committed bool, err error)
	// setTimeouts bounds, for a transaction without the turn, its waits for locks, and
	// the server's wait for its next statement.
	setTimeouts(ctx context.Context, q querier) error
	// record stores id, so that takeTurn finds it once this transaction has committed.
	record(ctx context.Context, q querier, id string, now time.Time) error
	// forUpdate ends a SELECT whose rows nobody else may change before the transaction
	// ends. "" where nobody can anyway.
	forUpdate() string
	// fault classifies a driver's error by its code.
	fault(err error) fault
	// tables lists the tables of the database.
	tables(ctx context.Context, q querier) ([]string, error)
	// columns lists the columns of a table; none when there is no such table.
	columns(ctx context.Context, q querier, table string) ([]string, error)
	// migrations returns the schema: *.sql are our migrations, and cinder/*.sql create
	// missing Cinder tables, each in order.
	migrations() (goose.Dialect, fs.FS, error)
	// clock reads the database's clock, in UTC.
	clock(ctx context.Context, q querier) (time.Time, error)
	// version names the engine and its version.
	version(ctx context.Context, q querier) (engine, version string, err error)
	// prepare runs fn on a connection of its own, and keeps other processes from
	// preparing the same database meanwhile.
	prepare(ctx context.Context, fn func(*sql.DB) error) error
}

// querier is what *sql.DB, *sql.Conn, *sql.Tx and session have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// session is a querier that accepts ? for parameters on every engine.
type session struct {
	querier
	bind  func(string) string
	watch func(Statement) // may be nil
	set   []string        // settings of the transaction
	turn  bool            // it has the turn
	wrote bool            // something was executed
}

// text binds a query and reports it to watch.
func (s *session) text(query string, args []any) string {
	query = s.bind(query)
	if s.watch != nil {
		s.watch(Statement{query, args, s.set, s.turn})
	}
	return query
}

// QueryContext implements querier.
func (s *session) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.querier.QueryContext(ctx, s.text(query, args), args...)
}

// ExecContext implements querier.
func (s *session) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s.wrote = true
	text := s.text(query, args)
	if strings.HasPrefix(text, "SET LOCAL ") {
		s.set = append(s.set, text)
	}
	return s.querier.ExecContext(ctx, text, args...)
}

// transaction is a kind of transaction.
type transaction int

const (
	transactionRead  transaction = iota // reads from one snapshot
	transactionWrite                    // writes
)

// fault classifies the errors of drivers.
type fault int

const (
	faultOther     fault = iota // a bug of ours
	faultBusy                   // another writer was faster: nothing was written, a retry may succeed
	faultDuplicate              // another writer inserted the same key first
	faultValue                  // a column cannot store the value
	faultMissing                // there is no such database
	faultRefused                // the database denies access
	faultReadOnly               // the database is read-only
	faultLost                   // the database is away, full or broken
)
