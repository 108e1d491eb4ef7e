package store_test

import (
	"database/sql"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"stoker/internal/cinder"
	"stoker/internal/store"
	"stoker/internal/store/storetest"
)

func TestContract(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			storetest.Run(t, func(tb testing.TB) storetest.Database {
				tb.Helper()
				return e.prepared(tb, e.create(tb))
			})
		})
	}
}

// prepared creates the schema of a database, and also opens it as another program
// would.
func (e engine) prepared(tb testing.TB, url string) storetest.Database {
	tb.Helper()
	prepare(tb, url)
	other := e.raw(tb, url)
	return storetest.Database{
		Open:         func(tb testing.TB) *store.DB { tb.Helper(); return openURL(tb, url) },
		Exec:         func(tb testing.TB, query string, args ...any) { tb.Helper(); execOn(tb, other, e.bind(query), args...) },
		Texts:        func(tb testing.TB, query string) map[string]string { tb.Helper(); return texts(tb, other, query) },
		WholeSeconds: e.wholeSeconds,
	}
}

// TestTextsInAnyCharset varies the charset of the database, which Cinder's tables
// inherit; ours are always utf8mb4. TestContract has utf8mb3.
func TestTextsInAnyCharset(t *testing.T) {
	mysql := engines()[1]
	for _, charset := range []string{
		"utf8mb4 COLLATE utf8mb4_general_ci", "utf8mb4 COLLATE utf8mb4_unicode_ci", "utf8mb4 COLLATE utf8mb4_bin",
		"utf8mb3 COLLATE utf8mb3_bin", "latin1 COLLATE latin1_swedish_ci", "ascii COLLATE ascii_general_ci",
	} {
		t.Run(charset, func(t *testing.T) {
			storetest.Texts(t, func(tb testing.TB) storetest.Database {
				tb.Helper()
				url := mysql.create(tb)
				execOn(tb, mysql.raw(tb, url), "ALTER DATABASE CHARACTER SET "+charset)
				return mysql.prepared(tb, url)
			})
		})
	}
}

// texts reads two columns of text as a map; NULL is "".
func texts(tb testing.TB, db *sql.DB, query string) map[string]string {
	tb.Helper()
	rows, err := db.QueryContext(tb.Context(), query)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var key string
		var value sql.NullString
		if err := rows.Scan(&key, &value); err != nil {
			tb.Fatal(err)
		}
		found[key] = value.String
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return found
}

// open opens the database in a file after Sync.
func open(tb testing.TB, path string) *store.DB {
	tb.Helper()
	db := connect(tb, path)
	if _, err := db.Sync(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return db
}

// connect opens the database in a file as it is.
func connect(tb testing.TB, path string) *store.DB {
	tb.Helper()
	return openURL(tb, "sqlite:///"+path)
}

// openURL opens a database as it is.
func openURL(tb testing.TB, url string) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Options{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// raw is another program's handle.
func raw(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	db.SetMaxOpenConns(1)
	return db
}

// execute runs SQL as another program would.
func execute(tb testing.TB, path, query string, args ...any) {
	tb.Helper()
	db := raw(tb, path)
	if _, err := db.ExecContext(tb.Context(), query, args...); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

// wantLine wants an error of this kind, on one line that contains all the words.
func wantLine(tb testing.TB, err error, kind cinder.Kind, words ...string) {
	tb.Helper()
	if err == nil {
		tb.Fatalf("no error, want one that says %q", words)
	}
	if got := cinder.KindOf(err); got != kind {
		tb.Errorf("error %q is of kind %v, want %v", err, got, kind)
	}
	if strings.Contains(err.Error(), "\n") {
		tb.Errorf("error %q is not one line", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			tb.Errorf("error %q does not say %q", err, w)
		}
	}
}
