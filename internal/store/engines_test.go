package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"stoker/internal/store"
	"stoker/test/peers"
)

// engine is a database engine that tests run on.
type engine struct {
	name         string
	engine       string                           // its name in Check
	create       func(testing.TB) string          // the URL of a new, empty database
	raw          func(testing.TB, string) *sql.DB // a handle of another program
	bind         func(string) string              // replaces ? by the engine's placeholders
	describe     []string                         // queries that describe a table
	wholeSeconds bool                             // Cinder's columns store whole seconds
}

func engines() []engine {
	asIs := func(query string) string { return query }
	return []engine{
		{
			name:   "sqlite",
			engine: "SQLite",
			create: func(tb testing.TB) string {
				tb.Helper()
				return "sqlite:///" + filepath.Join(tb.TempDir(), "stoker.db")
			},
			raw: func(tb testing.TB, url string) *sql.DB {
				tb.Helper()
				return raw(tb, strings.TrimPrefix(url, "sqlite:///"))
			},
			bind:     asIs,
			describe: describeSQLite(),
		},
		{
			name:         "mysql",
			engine:       "MariaDB",
			create:       func(tb testing.TB) string { tb.Helper(); return servers.MariaDB(tb).New(tb) },
			raw:          rawMySQL,
			bind:         asIs,
			describe:     describeMySQL(),
			wholeSeconds: true,
		},
		{
			name:     "postgres",
			engine:   "PostgreSQL",
			create:   func(tb testing.TB) string { tb.Helper(); return servers.Postgres(tb).New(tb) },
			raw:      peers.Open,
			bind:     numbered,
			describe: describePostgres(),
		},
	}
}

// rawMySQL accepts names in double quotes, as the tests write them.
func rawMySQL(tb testing.TB, url string) *sql.DB {
	tb.Helper()
	db := peers.Open(tb, url)
	db.SetMaxOpenConns(1)
	execOn(tb, db, `SET SESSION sql_mode = 'TRADITIONAL,ANSI_QUOTES', in_predicate_conversion_threshold = 0`)
	return db
}

func numbered(query string) string {
	parts := strings.Split(query, "?")
	for i := range parts[1:] {
		parts[i] += fmt.Sprint("$", i+1)
	}
	return strings.Join(parts, "")
}

// prepare creates the schema of a database.
func prepare(tb testing.TB, url string) {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Options{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := db.Sync(tb.Context()); err != nil {
		tb.Error(err)
	}
	if err := db.Close(); err != nil {
		tb.Error(err)
	}
}

func execOn(tb testing.TB, db *sql.DB, query string, args ...any) {
	tb.Helper()
	if _, err := db.ExecContext(tb.Context(), query, args...); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
}

// lines returns a column of text.
func lines(tb testing.TB, db *sql.DB, question string, args ...any) []string {
	tb.Helper()
	rows, err := db.QueryContext(tb.Context(), question, args...)
	if err != nil {
		tb.Fatalf("%s: %v", question, err)
	}
	defer func() {
		if err := rows.Close(); err != nil {
			tb.Error(err)
		}
	}()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			tb.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return lines
}
