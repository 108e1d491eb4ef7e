package store

import (
	"context"
	"database/sql"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// dialect is what differs between the engines. SQL elsewhere keeps to what all
// of them read: names in double quotes, ? for parameters, TRUE and FALSE, and
// COALESCE(t, NULL) around times, so that no driver takes a stored text for more
// than a text.
type dialect interface {
	// bind is the query with the engine's marks for parameters in place of ?.
	bind(query string) string
	// same is a condition: the column, NULL included, is what the parameter is,
	// to the letter.
	same(column string) string
	// sameText is same with NULL taken for "".
	sameText(column string) string
	// sameTime is same for times, to the second.
	sameTime(column string) string
	// hostName is stoker_operations.host without its backend, in the words of the
	// index that finds it.
	hostName() string
	// walk keeps the engine from anything but walking along an index, until the
	// transaction ends.
	walk(ctx context.Context, q querier) error
	// entries selects entries of the journal in words for which the engine uses the
	// filter's index, which has no more than one, and not another: those in the span,
	// in the order that is returned, the newest first.
	entries(lead []filter, s span) (w where, order string)
	// insert runs an INSERT into a table with numbered rows, and returns the number.
	insert(ctx context.Context, q querier, query string, args ...any) (int64, error)
	// options are those of a transaction.
	options(kind transaction) *sql.TxOptions
	// turn is the beginning of a transaction that reads and writes, and makes
	// it the only one of ours, of any process, until it ends. It returns the
	// database's clock, UTC, and whether the transaction that recorded id is
	// among those that were committed.
	turn(ctx context.Context, q querier, id string) (now time.Time, committed bool, err error)
	// bound limits how long a transaction that takes no turn waits for a lock, and
	// the server for its next statement.
	bound(ctx context.Context, q querier) error
	// record writes id, so that turn finds it once this transaction is committed.
	record(ctx context.Context, q querier, id string, now time.Time) error
	// hold is a SELECT's last words: nobody changes these rows before the
	// transaction ends. "" where nobody could anyway.
	hold() string
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
	// prepare runs fn on a connection of its own, and keeps every other process
	// from preparing the same database meanwhile.
	prepare(ctx context.Context, fn func(*sql.DB) error) error
}

// querier is what *sql.DB, *sql.Conn, *sql.Tx and session have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// session is a querier that takes ? for parameters on every engine.
type session struct {
	querier
	bind  func(string) string
	watch func(Statement) // nil to tell nobody
	set   []string        // settings of the transaction
	turn  bool            // whether it has the turn
	wrote bool            // whether anything was executed
}

// text readies a query.
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
	transactionRead  transaction = iota // all that it reads is of one moment
	transactionWrite                    // it writes
)

// fault is what an error of a driver means to us.
type fault int

const (
	faultOther     fault = iota // ours to mend
	faultBusy                   // another writer was faster: nothing was written, it may be tried again
	faultDuplicate              // another writer was faster with a row of the same key
	faultValue                  // a column cannot keep the value
	faultMissing                // there is no such database
	faultRefused                // the database does not let us in
	faultReadOnly               // the database can be read and takes no writes
	faultLost                   // the database is away, full or broken
)
