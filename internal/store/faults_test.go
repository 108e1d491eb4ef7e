package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"stoker/internal/cinder"
)

// prepared returns a new database and the path of its file.
func prepared(tb testing.TB) (*DB, string) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "stoker.db")
	db, err := Open(tb.Context(), Options{URL: "sqlite:///" + path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	if _, err := db.Sync(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return db, path
}

// foreign is a connection of another program, which waits for no lock.
func foreign(tb testing.TB, dsn string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

func run(tb testing.TB, db *sql.DB, statements ...string) {
	tb.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(tb.Context(), s); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

// busy is the error of a writer that finds another writer active.
func busy(tb testing.TB) error {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "busy.db")
	run(tb, foreign(tb, path), `CREATE TABLE t (x)`, `BEGIN IMMEDIATE`)
	_, err := foreign(tb, path).ExecContext(tb.Context(), `BEGIN IMMEDIATE`)
	if err == nil {
		tb.Fatal("two writers at once")
	}
	return err
}

// TestFaults provokes real errors of the engine and checks what callers get.
func TestFaults(t *testing.T) {
	ask := func(db *sql.DB, query string) error {
		_, err := db.ExecContext(t.Context(), query)
		return err
	}
	for _, test := range []struct {
		name string
		fail func(t *testing.T, path string) error
		want fault
		kind cinder.Kind
	}{
		{"another writer", func(t *testing.T, _ string) error { t.Helper(); return busy(t) }, faultBusy, cinder.KindUnavailable},
		{"no file", func(t *testing.T, path string) error {
			t.Helper()
			return ask(foreign(t, "file:"+path+"?mode=rw"), `SELECT 1 FROM t`)
		}, faultMissing, cinder.KindUnavailable},
		{"not a database", func(t *testing.T, path string) error {
			t.Helper()
			if err := os.WriteFile(path, []byte(strings.Repeat("no database", 100)), 0o600); err != nil {
				return err
			}
			return ask(foreign(t, path), `SELECT 1 FROM t`)
		}, faultLost, cinder.KindUnavailable},
		{"not to be written to", func(t *testing.T, path string) error {
			t.Helper()
			return ask(foreign(t, path+"?_pragma=query_only(1)"), `CREATE TABLE t (x)`)
		}, faultReadOnly, cinder.KindUnavailable},
		{"full", func(t *testing.T, path string) error {
			t.Helper()
			db := foreign(t, path)
			run(t, db, `CREATE TABLE t (x)`, `PRAGMA max_page_count = 2`)
			return ask(db, `INSERT INTO t VALUES (zeroblob(100000))`)
		}, faultLost, cinder.KindUnavailable},
		{"a lost connection", func(*testing.T, string) error { return driver.ErrBadConn }, faultLost, cinder.KindUnavailable},
		{"a transaction that has ended", func(*testing.T, string) error { return sql.ErrTxDone }, faultOther, cinder.KindUnavailable},
		{"a caller without patience", func(*testing.T, string) error { return context.DeadlineExceeded }, faultOther, cinder.KindUnavailable},
		{"no such table", func(t *testing.T, path string) error {
			t.Helper()
			return ask(foreign(t, path), `SELECT 1 FROM t`)
		}, faultOther, cinder.KindInternal},
		{"a second row of one key", func(t *testing.T, path string) error {
			t.Helper()
			db := foreign(t, path)
			run(t, db, `CREATE TABLE t (x PRIMARY KEY)`, `INSERT INTO t VALUES (1)`)
			return ask(db, `INSERT INTO t VALUES (1)`)
		}, faultDuplicate, cinder.KindConflict},
		{"a broken rule", func(t *testing.T, path string) error {
			t.Helper()
			db := foreign(t, path)
			run(t, db, `CREATE TABLE t (x NOT NULL)`)
			return ask(db, `INSERT INTO t VALUES (NULL)`)
		}, faultOther, cinder.KindInternal},
		{"anything else", func(*testing.T, string) error { return errors.New("the database is locked") }, faultOther, cinder.KindInternal},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.fail(t, filepath.Join(t.TempDir(), "secret.db"))
			if err == nil {
				t.Fatal("no error")
			}
			if got := (sqliteDialect{}).fault(fmt.Errorf("context: %w", err)); got != test.want {
				t.Errorf("fault of %v is %v, want %v", err, got, test.want)
			}
			db := &DB{dialect: sqliteDialect{}}
			failed := db.fail(t.Context(), "try", err)
			if got := cinder.KindOf(failed); got != test.kind {
				t.Errorf("kind of %v is %v, want %v", failed, got, test.kind)
			}
			if message := cinder.Message(failed); (message == "") != (test.kind == cinder.KindInternal) || strings.Contains(message, err.Error()) {
				t.Errorf("a caller gets %q for %v", message, err)
			}
			if !errors.Is(failed, err) {
				t.Errorf("the log does not have %v: %v", err, failed)
			}
			if twice := db.fail(t.Context(), "later", fmt.Errorf("on the way: %w", failed)); cinder.KindOf(twice) != test.kind {
				t.Errorf("kind changed on the way up: %v", twice)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	d := sqliteDialect{path: "/x.db"}
	for _, test := range []struct {
		name string
		err  error
		kind cinder.Kind
		want string
	}{
		{"another writer", busy(t), cinder.KindUnavailable, "database file /x.db: is locked by another program"},
		{"a file that has gone", openMissing(t), cinder.KindInvalid, "database file /x.db: cannot be opened: no such file or directory"},
		{"not to be written to", writeReadOnly(t), cinder.KindInvalid, "database file /x.db: cannot be written to"},
		{"several lines", errors.New("one\n two"), cinder.KindUnavailable, "database file /x.db: one two"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := d.explain(test.err)
			if got.Error() != test.want || cinder.KindOf(got) != test.kind {
				t.Errorf("%q of kind %v, want %q of kind %v", got, cinder.KindOf(got), test.want, test.kind)
			}
		})
	}
}

func openMissing(tb testing.TB) error {
	tb.Helper()
	return foreign(tb, "file:"+filepath.Join(tb.TempDir(), "x.db")+"?mode=rw").PingContext(tb.Context())
}

func writeReadOnly(tb testing.TB) error {
	tb.Helper()
	_, err := foreign(tb, filepath.Join(tb.TempDir(), "x.db")+"?_pragma=query_only(1)").ExecContext(tb.Context(), `CREATE TABLE t (x)`)
	return err
}

func TestUpdateTriesAgain(t *testing.T) {
	locked := busy(t)
	for _, test := range []struct {
		name       string
		err        error // of the first attempts
		times      int
		want, runs int
	}{
		{"never needed", nil, 0, 1, 1},
		{"another writer, once", locked, 1, 1, 2},
		{"another writer, told as callers are told", cinder.Wrap(cinder.KindUnavailable, locked, "busy"), 2, 1, 3},
		{"another writer, always", locked, 99, 0, updateAttempts},
		{"a refusal", cinder.Errorf(cinder.KindConflict, "no"), 1, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, _ := prepared(t)
				runs := 0
				err := db.Update(t.Context(), func(tx *Tx) error {
					runs++
					if err := tx.AddOperation(t.Context(), cinder.Operation{ID: "1", State: cinder.OpOpen}); err != nil {
						t.Errorf("attempt %d sees the one before: %v", runs, err)
					}
					if runs <= test.times {
						return test.err
					}
					return nil
				})
				v, viewErr := db.View(t.Context(), cinder.ServiceQuery{})
				if viewErr != nil {
					t.Fatal(viewErr)
				}
				if (err == nil) != (test.want == 1) || len(v.Open) != test.want || runs != test.runs {
					t.Errorf("error %v, %d operations after %d attempts, want %d after %d", err, len(v.Open), runs, test.want, test.runs)
				}
				if err != nil && !errors.Is(err, test.err) {
					t.Errorf("error %v, want %v", err, test.err)
				}
			})
		})
	}
	t.Run("not when the caller has gone", func(t *testing.T) {
		db, _ := prepared(t)
		ctx, cancel := context.WithCancel(t.Context())
		runs := 0
		err := db.Update(ctx, func(*Tx) error {
			runs++
			cancel()
			return locked
		})
		if runs != 1 || !errors.Is(err, locked) {
			t.Errorf("%d attempts, error %v", runs, err)
		}
	})
}

// TestWritersWaitTheirTurn checks that another program's transaction delays ours and
// does not fail it.
func TestWritersWaitTheirTurn(t *testing.T) {
	db, path := prepared(t)
	other := foreign(t, path)
	run(t, other, `BEGIN IMMEDIATE`)
	done := make(chan error)
	go func() {
		done <- db.Update(t.Context(), func(tx *Tx) error {
			return tx.AddOperation(t.Context(), cinder.Operation{ID: "1", State: cinder.OpOpen})
		})
	}()
	run(t, other, `INSERT INTO stoker_causes ("binary", host, cause, since) VALUES ('b', 'h', 'admin', '2026-11-23 08:00:00')`, `COMMIT`)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestFullDatabase(t *testing.T) {
	db, _ := prepared(t)
	s, err := db.Register(t.Context(), cinder.Service{Host: "h@b", Binary: cinder.BinaryVolume})
	if err != nil {
		t.Fatal(err)
	}
	run(t, db.writer, `PRAGMA max_page_count = 1`) // SQLite raises it to the current count
	err = db.Update(t.Context(), func(tx *Tx) error {
		now := s
		now.Disabled = true
		if err := tx.SaveService(t.Context(), s, now); err != nil {
			return err
		}
		return tx.AddOperation(t.Context(), cinder.Operation{ID: "1", State: cinder.OpOpen, Detail: strings.Repeat("x", 100_000)})
	})
	if got, want := cinder.KindOf(err), cinder.KindUnavailable; err == nil || got != want {
		t.Errorf("error %v of kind %v, want %v", err, got, want)
	}
	v, err := db.View(t.Context(), cinder.ServiceQuery{})
	if err != nil || v.Services[0].Disabled || len(v.Open) != 0 {
		t.Errorf("view %+v (%v), want everything as before", v, err)
	}
	run(t, db.writer, `PRAGMA max_page_count = 100000`)
	if missing, err := db.Beat(t.Context(), s.ID); err != nil || len(missing) != 0 {
		t.Errorf("once there is room: missing %v, error %v", missing, err)
	}
}
