package store_test

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// TestOlderDatabase checks that a database of an older program is recognised and
// migrated, from every point where an earlier attempt may have broken off, by many
// processes at once, and that the older program can still write to it.
func TestOlderDatabase(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			url := e.create(t)
			prepare(t, url)
			other := e.raw(t, url)
			db := openURL(t, url)
			want := ourSchema(t, e, other)
			cutOff := map[string][][]string{
				"sqlite":   {nil}, // all or nothing
				"mysql":    {nil, {`ALTER TABLE stoker_operations ADD COLUMN host_name VARCHAR(255) AS (SUBSTRING_INDEX(host, '@', 1)) VIRTUAL`}},
				"postgres": {nil, {`CREATE INDEX stoker_operations_by_kind_idx ON stoker_operations (kind)`, `ALTER TABLE stoker_requests ADD COLUMN caller VARCHAR(64) NOT NULL DEFAULT ''`}},
			}[e.name]
			for _, done := range cutOff {
				for _, statement := range append(revertNewest(t, e), done...) {
					execOn(t, other, statement)
				}
				wantLine(t, db.Ready(t.Context()), cinder.KindUnavailable, "lacks migration 00005_journal_indexes.sql", "run stoker db sync")
				concurrently(t, 4, func() error {
					db, err := store.Open(t.Context(), store.Options{URL: url})
					if err != nil {
						return err
					}
					defer end(t, db)
					_, err = db.Sync(t.Context())
					return err
				})
				if diff := cmp.Diff(want, ourSchema(t, e, other)); diff != "" {
					t.Errorf("after %v (-want +got):\n%s", done, diff)
				}
				if err := db.Ready(t.Context()); err != nil {
					t.Error(err)
				}
			}
			execOn(t, other, `INSERT INTO stoker_requests (id, fingerprint, owner, expires_at, status, headers, body)
				VALUES ('older', 'f', 'older', '2026-11-23 08:00:00.000000', 200, '{}', '')`)
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				r, err := tx.Request(t.Context(), "older")
				if err == nil && r.Caller != "" {
					t.Errorf("caller %q of a request that an older program keeps, want none", r.Caller)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// revertNewest returns the statements that revert the newest migration.
func revertNewest(tb testing.TB, e engine) []string {
	tb.Helper()
	text, err := os.ReadFile("migrations/" + e.name + "/00005_journal_indexes.sql")
	if err != nil {
		tb.Fatal(err)
	}
	_, down, _ := strings.Cut(string(text), "-- +goose Down")
	var statements []string
	for statement := range strings.SplitSeq(down, ";\n") {
		if s := strings.TrimSpace(statement); s != "" {
			statements = append(statements, s)
		}
	}
	return append(statements, `DELETE FROM stoker_migrations WHERE version_id = 5`)
}

// ourSchema describes the tables that the newest migration changes.
func ourSchema(tb testing.TB, e engine, db *sql.DB) string {
	tb.Helper()
	var text strings.Builder
	for _, table := range []string{"stoker_operations", "stoker_requests"} {
		for _, question := range e.describe {
			text.WriteString(strings.Join(lines(tb, db, question, table), "\n") + "\n")
		}
	}
	return text.String()
}
