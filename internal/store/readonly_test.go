package store_test

import (
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/store"
	"stoker/test/peers"
)

// readOnly is a database that can be made read-only from outside.
type readOnly struct {
	db  *store.DB
	set func(on bool)
}

// readOnlyMariaDB uses an account that cannot bypass read_only, like Cinder's.
func readOnlyMariaDB(t *testing.T) readOnly {
	t.Helper()
	server := peers.StartMariaDB(t)
	url := server.New(t)
	prepare(t, url)
	admin := rawMySQL(t, url)
	scheme, rest, _ := strings.Cut(url, "://")
	_, where, _ := strings.Cut(rest, "@")
	name, _, _ := strings.Cut(where[strings.IndexByte(where, '/')+1:], "?")
	execOn(t, admin, `CREATE USER cinder IDENTIFIED BY 'pw'`)
	execOn(t, admin, "GRANT ALL ON `"+name+"`.* TO cinder")
	return readOnly{openURL(t, scheme+"://cinder:pw@"+where), func(on bool) {
		execOn(t, admin, `SET GLOBAL read_only = ?`, on)
	}}
}

// readOnlyPostgres makes new connections read-only, and ends the existing ones.
func readOnlyPostgres(t *testing.T) readOnly {
	t.Helper()
	server := peers.StartPostgres(t)
	url := server.New(t)
	prepare(t, url)
	db := openURL(t, url)
	admin := peers.Open(t, url)
	admin.SetMaxOpenConns(1)
	name := lines(t, admin, `SELECT CURRENT_DATABASE()`)[0]
	return readOnly{db, func(on bool) {
		value := map[bool]string{true: "on", false: "off"}[on]
		execOn(t, admin, `SET default_transaction_read_only = off`)
		execOn(t, admin, `ALTER DATABASE `+name+` SET default_transaction_read_only = `+value)
		execOn(t, admin, `SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity WHERE datname = CURRENT_DATABASE() AND pid <> PG_BACKEND_PID()`)
	}}
}

func readOnlySQLite(t *testing.T) readOnly {
	t.Helper()
	url := engines()[0].create(t)
	prepare(t, url)
	db := openURL(t, url)
	return readOnly{db, func(on bool) {
		statement := `PRAGMA query_only = ` + map[bool]string{true: "1", false: "0"}[on]
		if err := store.ExecWriter(t.Context(), db, statement); err != nil {
			t.Fatal(err)
		}
	}}
}

// TestReadOnly checks that a read-only database is distinguished from an unavailable
// one: lists work, and changes succeed as soon as they are possible again.
func TestReadOnly(t *testing.T) {
	for name, start := range map[string]func(*testing.T) readOnly{
		"sqlite": readOnlySQLite, "mysql": readOnlyMariaDB, "postgres": readOnlyPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := start(t)
			s, err := d.db.Register(t.Context(), cinder.Service{Host: "h@b", Binary: cinder.BinaryVolume})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.db.TakesWrites(t.Context()); err != nil {
				t.Errorf("before: %v", err)
			}
			before, err := d.db.View(t.Context(), cinder.ServiceQuery{})
			if err != nil {
				t.Fatal(err)
			}

			d.set(true)
			const told = "The database is read-only: it can be read, and takes no changes."
			// The first call may find that its connection has ended.
			eventually(t, "changes are refused as read-only", func() bool {
				return cinder.Message(addOperation(t, d.db, "refused")) == told
			})
			eventually(t, "the database is said to take no writes", func() bool {
				err := d.db.TakesWrites(t.Context())
				return cinder.KindOf(err) == cinder.KindUnavailable && d.db.Trouble(err) == "read-only: no change can be made"
			})
			eventually(t, "a list shows what there is", func() bool {
				v, err := d.db.View(t.Context(), cinder.ServiceQuery{})
				return err == nil && len(v.Services) == 1 && v.Services[0].ID == s.ID
			})
			if err := d.db.Ready(t.Context()); err != nil {
				t.Errorf("ready to be read: %v", err)
			}

			d.set(false)
			eventually(t, "the database takes writes again", func() bool { return d.db.TakesWrites(t.Context()) == nil })
			after, err := d.db.View(t.Context(), cinder.ServiceQuery{})
			if err != nil || after.Services[0].UpdatedAt != before.Services[0].UpdatedAt || len(after.Open) != 0 {
				t.Errorf("view %+v, error %v: want it untouched by the looks", after, err)
			}
			if err := addOperation(t, d.db, "done"); err != nil {
				t.Errorf("a change: %v", err)
			}
		})
	}
}

// eventually waits until is returns true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); pause(t) {
		if time.Since(began) > time.Minute {
			t.Fatalf("a minute later it is not so that %s", what)
		}
	}
}
