package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"stoker/internal/store"
	"stoker/internal/store/storetest"
)

// open opens the database in a file, prepared.
func open(tb testing.TB, path string) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Options{URL: "sqlite:///" + path})
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
	return db
}

// exec runs SQL as another program would.
func exec(tb testing.TB, path, query string, args ...any) {
	tb.Helper()
	db, err := sql.Open("sqlite", filepath.Clean(path)+"?_pragma=busy_timeout(5000)")
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := db.ExecContext(tb.Context(), query, args...); err != nil {
		tb.Fatal(err)
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(tb testing.TB) storetest.Database {
		tb.Helper()
		path := filepath.Join(tb.TempDir(), "stoker.db")
		open(tb, path)
		return storetest.Database{
			Open: func(tb testing.TB) *store.DB { tb.Helper(); return open(tb, path) },
			Exec: func(tb testing.TB, query string, args ...any) { tb.Helper(); exec(tb, path, query, args...) },
		}
	})
}
