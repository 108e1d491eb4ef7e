package peers

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx".
)

// The account that tests use on every engine, and that may do everything there.
const (
	userName = "stoker"
	password = "stoker-pw"
)

// Database is a server of SQL databases.
type Database struct {
	*Engine
	TLS    Certificates // what a MariaDB shows clients that ask for TLS
	in     Release
	scheme string // of SQLAlchemy's URLs
	query  string // of these URLs
	admin  string // the database to connect to for work on others
	create string // the statements that make and remove a database, with %s for its name
	drop   string
	made   atomic.Int64
	synced once[string] // the template of Cinder's tables, as text where that is needed
}

// New returns SQLAlchemy's URL of a new, empty database, which is dropped when
// the test ends.
func (d *Database) New(tb testing.TB) string {
	tb.Helper()
	return d.fresh(tb, "")
}

// fresh makes a database, with a further clause of the statement.
func (d *Database) fresh(tb testing.TB, clause string) string {
	tb.Helper()
	name := "t" + strconv.FormatInt(d.made.Add(1), 10)
	if err := d.do(fmt.Sprintf(d.create, name) + clause); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		// What a test has killed, it need not tidy.
		if d.proc.exited() {
			return
		}
		if err := d.do(fmt.Sprintf(d.drop, name)); err != nil {
			tb.Log(err)
		}
	})
	return d.url(name)
}

func (d *Database) url(name string) string {
	u := url.URL{Scheme: d.scheme, User: url.UserPassword(userName, password), Host: d.Addr(), Path: "/" + name, RawQuery: d.query}
	return u.String()
}

// do runs a statement outside any test's database.
func (d *Database) do(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	db, err := open(d.url(d.admin))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %s: %w", d.peer, statement, err)
	}
	return nil
}

// answers reports whether the server takes statements.
func (d *Database) answers(ctx context.Context) error {
	db, err := open(d.url(d.admin))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.PingContext(ctx)
}

// Open connects to the database of a SQLAlchemy URL, for statements of the
// test's own, until the test ends.
func Open(tb testing.TB, sqlalchemy string) *sql.DB {
	tb.Helper()
	db, err := open(sqlalchemy)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func open(sqlalchemy string) (*sql.DB, error) {
	u, err := url.Parse(sqlalchemy)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(u.Scheme, "postgresql") {
		u.Scheme, u.RawQuery = "postgres", "sslmode=disable&connect_timeout=10"
		return sql.Open("pgx", u.String())
	}
	c := mysql.NewConfig()
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.Net, c.Addr, c.DBName = "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	c.ParseTime, c.Loc, c.Timeout = true, time.UTC, 10*time.Second
	c.ReadTimeout, c.WriteTimeout = 30*time.Second, 30*time.Second
	c.MultiStatements = u.Query().Get("multiStatements") == "true"
	c.Logger = silent{} // a server that is not up yet is no news
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// silent is a logger of the MySQL driver that says nothing.
type silent struct{}

func (silent) Print(...any) {}
