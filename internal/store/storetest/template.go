package storetest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"modernc.org/sqlite"

	"stoker/internal/store"
)

// Template gives tests of other packages prepared SQLite databases. It creates the
// schema once and copies it, which is a hundred times faster. From then on no commit in
// this process syncs to disk: durability is tested elsewhere. The zero value is ready
// to use.
type Template struct {
	once sync.Once
	file []byte
}

// New returns the path of a new, prepared, empty database.
func (m *Template) New(tb testing.TB) string {
	tb.Helper()
	m.once.Do(func() {
		sqlite.RegisterConnectionHook(waitForNoDisk)
		m.file = prepared(tb)
	})
	if m.file == nil {
		tb.Fatal("the first test that asked could not prepare a database")
	}
	path := filepath.Join(tb.TempDir(), "stoker.db")
	if err := os.WriteFile(path, m.file, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func waitForNoDisk(conn sqlite.ExecQuerierContext, _ string) error {
	_, err := conn.ExecContext(context.Background(), `PRAGMA synchronous = OFF`, nil)
	return err
}

// prepared returns the content of a prepared database. Closing it merges and removes
// the write-ahead log, so that it is one file.
func prepared(tb testing.TB) []byte {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "template.db")
	db, err := store.Open(tb.Context(), store.Options{URL: "sqlite:///" + path})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := db.Sync(tb.Context()); err != nil {
		tb.Error(err)
	}
	if err := db.Close(); err != nil {
		tb.Error(err)
	}
	if _, err := os.Stat(path + "-wal"); !os.IsNotExist(err) {
		tb.Errorf("the template's log is still there: %v", err)
	}
	file, err := os.ReadFile(path) //nolint:gosec // Of the test's own directory.
	if err != nil || tb.Failed() {
		tb.Fatalf("no template: %v", err)
	}
	return file
}
