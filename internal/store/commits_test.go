package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"stoker/internal/cinder"
	"stoker/internal/dsn"
	"stoker/test/peers"
)

// faultyServer wraps the driver, and makes it fail as servers do, at a moment that the
// test chooses.
type faultyServer struct {
	driver.Connector
	commit atomic.Pointer[func(driver.Conn, driver.Tx) error] // replaces the next COMMIT
	exec   atomic.Pointer[error]                              // the error of the next statement
	away   atomic.Bool                                        // refuse connections
}

func (s *faultyServer) Connect(ctx context.Context) (driver.Conn, error) {
	if s.away.Load() {
		return nil, io.ErrUnexpectedEOF
	}
	conn, err := s.Connector.Connect(ctx)
	return &faultyConn{Conn: conn, server: s}, err
}

type faultyConn struct {
	driver.Conn
	server *faultyServer
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.server.exec.Swap(nil); err != nil {
		return nil, *err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *faultyConn) CheckNamedValue(v *driver.NamedValue) error {
	return c.Conn.(driver.NamedValueChecker).CheckNamedValue(v)
}

func (c *faultyConn) ResetSession(ctx context.Context) error {
	return c.Conn.(driver.SessionResetter).ResetSession(ctx)
}

func (c *faultyConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	return &faultyTx{Tx: tx, conn: c}, err
}

type faultyTx struct {
	driver.Tx
	conn *faultyConn
}

func (t *faultyTx) Commit() error {
	if commit := t.conn.server.commit.Swap(nil); commit != nil {
		return (*commit)(t.conn.Conn, t.Tx)
	}
	return t.Tx.Commit()
}

// faultyEngine is an engine with a faultyServer, and its errors.
type faultyEngine struct {
	server                                       *faultyServer
	db                                           *DB
	rejected, notReady, readOnly, waited, unsure error
}

func faultyMySQL(t *testing.T) faultyEngine {
	t.Helper()
	where, err := dsn.ParseDatabase(peers.StartMariaDB(t).New(t))
	if err != nil {
		t.Fatal(err)
	}
	config, err := mysqlConfig(where, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	number := func(n uint16) error { return &mysql.MySQLError{Number: n} }
	prepared := preparedConnector{connector, mysqlSession(1)}
	d := mysqlDialect{connector: prepared, migrating: prepared}
	e := faultyEngine{
		server:   &faultyServer{Connector: d.connector},
		rejected: number(1213), notReady: number(1047), readOnly: number(1290), waited: number(1205), unsure: number(1180),
	}
	e.open(t, where, d)
	return e
}

func faultyPostgres(t *testing.T) faultyEngine {
	t.Helper()
	where, err := dsn.ParseDatabase(peers.StartPostgres(t).New(t))
	if err != nil {
		t.Fatal(err)
	}
	config, err := postgresConfig(where)
	if err != nil {
		t.Fatal(err)
	}
	state := func(code string) error { return &pgconn.PgError{Code: code} }
	d := postgresDialect{*config}
	e := faultyEngine{
		server:   &faultyServer{Connector: stdlib.GetConnector(*config)},
		rejected: state("40001"), notReady: state("57P03"), readOnly: state("25006"), waited: state("55P03"), unsure: state("40003"),
	}
	e.open(t, where, d)
	return e
}

func (e *faultyEngine) open(t *testing.T, where dsn.Database, d serverDialect) {
	t.Helper()
	e.db = &DB{log: slog.New(slog.DiscardHandler), now: time.Now, newUUID: testIDs(), name: where.String()}
	if err := e.db.serve(t.Context(), d, e.server, e.server, DefaultPool()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := e.db.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func testIDs() func() string {
	var n atomic.Int64
	return func() string { return "commit-" + string(rune('a'+n.Add(1))) }
}

// TestFateOfCommits checks that Update reports truthfully what became of a commit, and
// that nothing is applied twice.
func TestFateOfCommits(t *testing.T) {
	for name, start := range map[string]func(*testing.T) faultyEngine{"MariaDB": faultyMySQL, "PostgreSQL": faultyPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t)
			done := func(after error) func(driver.Conn, driver.Tx) error {
				return func(conn driver.Conn, tx driver.Tx) error { return errors.Join(tx.Commit(), conn.Close(), after) }
			}
			undone := func(after error) func(driver.Conn, driver.Tx) error {
				return func(conn driver.Conn, tx driver.Tx) error { return errors.Join(tx.Rollback(), conn.Close(), after) }
			}
			for _, test := range []struct {
				name   string
				commit func(driver.Conn, driver.Tx) error
				runs   int
			}{
				{"nothing happens", nil, 1},
				{"done, and the connection lost", done(io.ErrUnexpectedEOF), 1},
				{"not done, and the connection lost", undone(io.ErrUnexpectedEOF), 2},
				{"done, and the server unsure", done(e.unsure), 1},
				{"not done, and the server unsure", undone(e.unsure), 2},
				{"done, and the server not part of the cluster any more", done(e.notReady), 1},
				{"another server's transaction was first", undone(e.rejected), 2},
			} {
				t.Run(test.name, func(t *testing.T) {
					if test.commit != nil {
						e.server.commit.Store(&test.commit)
					}
					runs, err := e.count(t.Context(), test.name)
					if err != nil || runs != test.runs {
						t.Errorf("%d runs, error %v, want %d and none", runs, err, test.runs)
					}
					e.wantOnce(t, test.name)
				})
			}
			for name, fate := range map[string]func(driver.Conn, driver.Tx) error{
				"lost with the server, done": done(io.ErrUnexpectedEOF), "lost with the server, not done": undone(io.ErrUnexpectedEOF),
			} {
				t.Run(name, func(t *testing.T) {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					lose := func(conn driver.Conn, tx driver.Tx) error {
						e.server.away.Store(true)
						time.AfterFunc(300*time.Millisecond, cancel) // the caller's timeout, which must not expire before the commit
						return fate(conn, tx)
					}
					e.server.commit.Store(&lose)
					_, err := e.count(ctx, name)
					if cinder.KindOf(err) != cinder.KindTimeout {
						t.Errorf("error %v, want one that says that nobody knows", err)
					}
					e.server.away.Store(false)
				})
			}
			for name, failure := range map[string]error{
				"a deadlock": e.rejected, "a long wait": e.waited, "a server that is not ready": e.notReady,
				"a server that only reads": e.readOnly, "a connection that has gone": io.EOF,
			} {
				t.Run(name+", on the way", func(t *testing.T) {
					e.server.exec.Store(&failure)
					if _, err := e.count(t.Context(), name); err != nil {
						t.Errorf("error %v, want that it is tried again", err)
					}
					e.wantOnce(t, name)
				})
			}
		})
	}
}

// count adds an operation and returns how often fn ran.
func (e *faultyEngine) count(ctx context.Context, id string) (runs int, err error) {
	err = e.db.Update(ctx, func(tx *Tx) error {
		runs++
		return tx.AddOperation(ctx, cinder.Operation{ID: id[:min(len(id), 36)], State: cinder.OpOpen})
	})
	return runs, err
}

func (e *faultyEngine) wantOnce(t *testing.T, id string) {
	t.Helper()
	var open []cinder.Operation
	err := e.db.Update(t.Context(), func(tx *Tx) (err error) {
		open, err = tx.OpenOperations(t.Context())
		return err
	})
	if err != nil || !slices.ContainsFunc(open, func(op cinder.Operation) bool { return op.ID == id[:min(len(id), 36)] }) {
		t.Errorf("operations %v, error %v, want %q among them", open, err, id)
	}
}
