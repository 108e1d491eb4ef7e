package store_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		make  func(t *testing.T, path string)
		kind  cinder.Kind
		words []string
	}{
		{"a folder that is not there", func(t *testing.T, path string) {
			t.Helper()
			deleteRows(t, filepath.Dir(path))
		}, cinder.KindInvalid, []string{"there is no folder"}},
		{"a file where a folder should be", func(t *testing.T, path string) {
			t.Helper()
			deleteRows(t, filepath.Dir(path))
			write(t, filepath.Dir(path), "file")
		}, cinder.KindInvalid, []string{"not a directory"}},
		{"a folder", func(t *testing.T, path string) {
			t.Helper()
			mkdir(t, path)
		}, cinder.KindInvalid, []string{"is a folder"}},
		{"a device", func(t *testing.T, path string) {
			t.Helper()
			if err := os.Symlink(os.DevNull, path); err != nil {
				t.Fatal(err)
			}
		}, cinder.KindInvalid, []string{"is not a regular file"}},
		{"a text", func(t *testing.T, path string) {
			t.Helper()
			write(t, path, strings.Repeat("not a database\n", 100))
		}, cinder.KindInvalid, []string{"is not an SQLite database"}},
		{"a damaged database", func(t *testing.T, path string) {
			t.Helper()
			execute(t, path, `CREATE TABLE services (id)`)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, string(content[:100])+strings.Repeat("x", len(content)-100))
		}, cinder.KindInvalid, []string{"is damaged"}},
		{"a log that cannot be opened", func(t *testing.T, path string) {
			t.Helper()
			execute(t, path, `PRAGMA journal_mode = WAL; CREATE TABLE t (x)`)
			mkdir(t, path+"-wal")
		}, cinder.KindInvalid, []string{"cannot be opened"}},
		{"another program's", func(t *testing.T, path string) {
			t.Helper()
			execute(t, path, `CREATE TABLE a (x); CREATE TABLE b (x)`)
		}, cinder.KindInvalid, []string{"belongs to another program", "it has tables (a, b)"}},
		{"another OpenStack program's", func(t *testing.T, path string) {
			t.Helper()
			execute(t, path, `CREATE TABLE alembic_version (x); CREATE TABLE instances (x); CREATE TABLE c (x); CREATE TABLE d (x)`)
		}, cinder.KindInvalid, []string{"belongs to another program", "(alembic_version, c, d, ...)"}},
		{"another program's services", func(t *testing.T, path string) {
			t.Helper()
			execute(t, path, `CREATE TABLE services (id INTEGER, host TEXT)`)
		}, cinder.KindInvalid, []string{"its table services has no column uuid"}},
		{"an old Cinder's clusters", func(t *testing.T, path string) {
			t.Helper()
			open(t, path)
			execute(t, path, `ALTER TABLE clusters DROP COLUMN frozen`)
		}, cinder.KindInvalid, []string{"its table clusters has no column frozen"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folder", "stoker.db")
			mkdir(t, filepath.Dir(path))
			test.make(t, path)
			before, readable := os.ReadFile(path)
			_, err := store.Open(t.Context(), store.Options{URL: "sqlite:///" + path})
			wantLine(t, err, test.kind, append(test.words, path)...)
			if after, err := os.ReadFile(path); readable == nil && (err != nil || !bytes.Equal(before, after)) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
	t.Run("a URL", func(t *testing.T) {
		_, err := store.Open(t.Context(), store.Options{URL: "oracle://cinder:secret@db/cinder"})
		wantLine(t, err, cinder.KindInvalid, "oracle", "not supported")
	})
	t.Run("a name that no file can have", func(t *testing.T) {
		_, err := store.Open(t.Context(), store.Options{URL: "sqlite:////tmp/" + strings.Repeat("x", 300)})
		wantLine(t, err, cinder.KindInvalid, "file name too long")
	})
	t.Run("while another program keeps it locked", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "stoker.db")
		execute(t, path, `CREATE TABLE stoker_migrations (x)`)
		lock(t, path, `BEGIN EXCLUSIVE`)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // do not wait for it
		_, err := store.Open(ctx, store.Options{URL: "sqlite:///" + path})
		wantLine(t, err, cinder.KindUnavailable, path)
	})
}

func TestOpenAccepts(t *testing.T) {
	t.Run("a file that is not there, and does not make it", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "stoker.db")
		db := connect(t, path)
		wantLine(t, db.Ready(t.Context()), cinder.KindUnavailable, path, "does not exist: run stoker db sync")
		if _, err := db.View(t.Context(), cinder.ServiceQuery{}); cinder.KindOf(err) != cinder.KindUnavailable {
			t.Errorf("view: %v", err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the file was made by looking at it")
		}
	})
	t.Run("an empty file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "stoker.db")
		write(t, path, "")
		db := connect(t, path)
		wantLine(t, db.Ready(t.Context()), cinder.KindUnavailable, path, "has no table services: run stoker db sync")
	})
	t.Run("a name with letters that mean something elsewhere", func(t *testing.T) {
		for _, name := range []string{"a%20b #ü&_pragma=x.db", "a%3Fmode=memory", "a%00b", "a\nb", `a\'"b`, "a;b:c@d", "\xff\xfe", " a "} {
			folder := t.TempDir()
			db := open(t, filepath.Join(folder, name))
			if err := db.Ready(t.Context()); err != nil {
				t.Errorf("%q: %v", name, err)
			}
			entries, err := os.ReadDir(folder)
			if err != nil || len(entries) != 3 || entries[0].Name() != name { // with its -shm and -wal
				t.Errorf("%q: made %v, %v", name, entries, err)
			}
		}
	})
	t.Run("a relative path, from the folder at that time", func(t *testing.T) {
		folder := t.TempDir()
		t.Chdir(folder)
		db := connect(t, "stoker.db")
		t.Chdir(t.TempDir())
		if _, err := db.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(folder, "stoker.db")); err != nil {
			t.Error(err)
		}
	})
	t.Run("many at once, of a file that is no log yet", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "stoker.db")
		execute(t, path, `CREATE TABLE stoker_migrations (x)`)
		concurrently(t, 8, func() error {
			db, err := store.Open(t.Context(), store.Options{URL: "sqlite:///" + path})
			if err != nil {
				return err
			}
			return db.Close()
		})
	})
}

// lock holds another program's lock until release or the end of the test.
func lock(tb testing.TB, path, how string) (release func()) {
	tb.Helper()
	db := raw(tb, path)
	if _, err := db.ExecContext(tb.Context(), how); err != nil {
		tb.Fatal(err)
	}
	return func() { end(tb, db) }
}

func end(tb testing.TB, db interface{ Close() error }) {
	tb.Helper()
	if err := db.Close(); err != nil {
		tb.Error(err)
	}
}

func write(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func mkdir(tb testing.TB, path string) {
	tb.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		tb.Fatal(err)
	}
}

func deleteRows(tb testing.TB, path string) {
	tb.Helper()
	if err := os.RemoveAll(path); err != nil {
		tb.Fatal(err)
	}
}
