package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"stoker/internal/cinder"
)

const (
	// connectTimeout bounds connecting to a server, until it accepts statements.
	connectTimeout = 10 * time.Second
	// lockTimeout is how long a server lets a statement wait for another transaction,
	// in seconds.
	lockTimeout = 3
	// idleTxTimeout is how long a server lets a transaction wait for its next
	// statement, in seconds; idleWriteTimeout is the same for one that writes. While a
	// process is stopped in such a transaction, every change waits for it; the server
	// aborts it, and the process retries.
	idleTxTimeout    = 10
	idleWriteTimeout = 2
	// maxIdleTime is how long an unused connection is kept. sessionIdleTimeout, in
	// seconds, is how long the server keeps it: longer, but not for hours.
	maxIdleTime        = 30 * time.Second
	sessionIdleTimeout = 60
	// prepareTimeout is how long Sync waits for another process's Sync, in seconds.
	prepareTimeout = 30
	// preparePollInterval is the time between attempts to get the lock of Sync.
	preparePollInterval = 100 * time.Millisecond
)

// serve opens a pool of connections to a server, and checks that the database can be
// ours. watch makes one more connection, for fleet.
func (db *DB) serve(ctx context.Context, d serverDialect, connector, watch driver.Connector, p Pool) (err error) {
	pool := sql.OpenDB(connector)
	defer func() {
		if err != nil {
			err = firstError(err, errors.Join(pool.Close(), db.fleet.close()))
		}
	}()
	size := p.Size + p.Overflow
	if p.Size == 0 || p.Overflow < 0 {
		size = 0 // no limit
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(max(p.Size, DefaultPool().Size))
	pool.SetConnMaxLifetime(p.Recycle)
	pool.SetConnMaxIdleTime(maxIdleTime)
	db.dialect, db.server, db.poolTimeout = d, true, p.Timeout
	db.writer, db.readers = pool, pool
	watcher := sql.OpenDB(watch)
	watcher.SetMaxOpenConns(1)
	watcher.SetMaxIdleConns(-1)
	db.fleet = newFleet(watcher, func(_ context.Context, conn *sql.Conn) (fleetLink, error) {
		return newServerLink(conn, d), nil
	})
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := pool.PingContext(ctx); err != nil {
		return db.explain(err)
	}
	if err := checkSchema(ctx, d, pool, db.refuse); err != nil {
		return db.explain(err)
	}
	return nil
}

func (db *DB) refuse(format string, args ...any) error {
	return cinder.Errorf(cinder.KindInvalid, "database %s: "+format, append([]any{db.name}, args...)...)
}

// explain turns the driver's error into a message for the operator.
func (db *DB) explain(err error) error {
	if _, ok := errors.AsType[*cinder.Error](err); ok {
		return err
	}
	switch db.dialect.fault(err) {
	case faultMissing:
		return db.refuse("%s: it does not exist on that server: create it first", serverReason(err))
	case faultRefused:
		return db.refuse("%s: it does not let the user in: check user, password and grants", serverReason(err))
	default:
		return cinder.Errorf(cinder.KindUnavailable, "database %s: %s", db.name, reason(err))
	}
}

// command is fail for commands that an operator runs: when the user lacks a privilege
// it says which, in the server's words.
func (db *DB) command(ctx context.Context, doing string, err error) error {
	if db.server && db.dialect.fault(err) == faultRefused {
		return db.refuse("%s: check the user's grants", serverReason(err))
	}
	return db.fail(ctx, doing, err)
}

// serverReason is the server's message on one line, without what drivers and migrations
// wrap around it.
func serverReason(err error) string {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		err = e
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		err = e
	}
	return reason(err)
}

// lostConnection reports whether a driver's error means that the connection is gone.
// Errors sent by a server do not count.
func lostConnection(err error) bool {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}

// preparedConnector sets up each new connection.
type preparedConnector struct {
	driver.Connector
	prepare func(context.Context, driver.Conn) error
}

// Connect implements driver.Connector.
func (c preparedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.prepare(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
