package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"stoker/internal/cinder"
)

// TestServerFaults checks that errors are classified by number, not by text, and that
// their text does not reach callers.
func TestServerFaults(t *testing.T) {
	my := func(numbers ...uint16) (errs []error) {
		for _, n := range numbers {
			errs = append(errs, &mysql.MySQLError{Number: n, Message: "secret: Duplicate entry, deadlock, server has gone away"})
		}
		return errs
	}
	pg := func(codes ...string) (errs []error) {
		for _, c := range codes {
			errs = append(errs, &pgconn.PgError{Code: c, Message: "secret: duplicate key, deadlock, terminating connection"})
		}
		return errs
	}
	lost := []error{driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, &net.OpError{Op: "read", Err: errors.New("secret")}}
	for _, test := range []struct {
		want      fault
		kind      cinder.Kind
		my        []error
		pg        []error
		anyEngine []error
	}{
		{faultBusy, cinder.KindUnavailable, my(1213, 1205, 1020, 1412, 1637, 3101), pg("40001", "40P01", "55P03"), nil},
		{faultDuplicate, cinder.KindConflict, my(1062), pg("23505"), nil},
		{faultValue, cinder.KindInvalid, my(1406, 1264, 1300, 1366, 3854, 3988), pg("22001", "22021", "22003"), nil},
		{faultMissing, cinder.KindUnavailable, my(1049), pg("3D000"), nil},
		{faultRefused, cinder.KindUnavailable, my(1045, 1142), pg("28P01", "28000", "42501"), nil},
		{faultReadOnly, cinder.KindUnavailable, my(1290, 1792, 1836, 1874), pg("25006"), nil},
		{
			faultLost, cinder.KindUnavailable, append(my(1047, 1040, 1053, 1927, 1317, 1969, 4031, 1021, 3098, 3100, 9001, 9006, 2013, 2003), mysql.ErrInvalidConn),
			pg("08006", "57P01", "57P02", "57P03", "57014", "53300", "53100", "25P03", "58030", "XX001"), lost,
		},
		{faultOther, cinder.KindInternal, my(1146, 1064, 1054, 1048, 1364), pg("42P01", "42601", "23502", "25P02", ""), []error{errors.New("deadlock, 1213, 40001")}},
	} {
		for _, errs := range []struct {
			dialect dialect
			errs    []error
		}{{mysqlDialect{}, append(test.my, test.anyEngine...)}, {postgresDialect{}, append(test.pg, test.anyEngine...)}} {
			dialect := errs.dialect
			for _, err := range errs.errs {
				err = fmt.Errorf("on the way: %w", err)
				if got := dialect.fault(err); got != test.want {
					t.Errorf("%T: fault of %v is %v, want %v", dialect, err, got, test.want)
				}
				failed := (&DB{dialect: dialect}).fail(t.Context(), "try", err)
				if got := cinder.KindOf(failed); got != test.kind {
					t.Errorf("%T: %v is of kind %v, want %v", dialect, err, got, test.kind)
				}
				if message := cinder.Message(failed); (message == "") != (test.kind == cinder.KindInternal) || strings.Contains(message, "secret") {
					t.Errorf("%T: a caller gets %q for %v", dialect, message, err)
				}
			}
		}
	}
}

// TestTrouble checks that health reports the true reason, without the server's message.
func TestTrouble(t *testing.T) {
	db := &DB{dialect: mysqlDialect{}, server: true}
	number := func(n uint16) error {
		return db.fail(t.Context(), "look", &mysql.MySQLError{Number: n, Message: "secret"})
	}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"a proxy without servers", number(9001), "away"},
		{"a server that takes no writes", number(1290), "read-only: no change can be made"},
		{"a member that cannot commit", number(3100), "away"},
		{"no answer in time", db.fail(t.Context(), "look", context.DeadlineExceeded), "away"},
		{"a table that was just altered", number(1412), "busy"},
		{"another password", number(1045), "it refuses us: stoker db check says more"},
		{"no right to read", number(1142), "it refuses us: stoker db check says more"},
		{"a statement that it does not understand", number(1064), "it answers with an error: stoker db check says more"},
		{"no tables", cinder.Errorf(cinder.KindUnavailable, "run stoker db sync"), "it is not prepared for this version: stoker db check says more"},
		{"a newer program's tables", cinder.Errorf(cinder.KindInvalid, "secret"), "it is not prepared for this version: stoker db check says more"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := db.Trouble(test.err); got != test.want {
				t.Errorf("%q of %v, want %q", got, test.err, test.want)
			}
		})
	}
}

// noLocks connects to a server that answers every query with an error.
type noLocks struct {
	driver.Conn
	number uint16
}

func (c noLocks) Connect(context.Context) (driver.Conn, error) { return c, nil }
func (noLocks) Driver() driver.Driver                          { return nil }
func (noLocks) Close() error                                   { return nil }

func (c noLocks) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return nil, &mysql.MySQLError{Number: c.number, Message: "prohibits use of GET_LOCK"}
}

// TestPrepareWithoutLocks checks that Sync does without the named lock on a cluster
// that forbids such locks, and fails on any other error.
func TestPrepareWithoutLocks(t *testing.T) {
	for number, goesOn := range map[uint16]bool{1235: true, 1105: true, 1047: false, 1205: false, 1142: false} {
		prepared := false
		err := mysqlDialect{migrating: noLocks{number: number}}.prepare(t.Context(), func(*sql.DB) error { prepared = true; return nil })
		if prepared != goesOn || (err == nil) != goesOn {
			t.Errorf("GET_LOCK fails with %d: prepared %v, error %v", number, prepared, err)
		}
	}
}
