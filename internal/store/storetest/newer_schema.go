package storetest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// newerSchema checks what a program does with a database that a newer one has changed.
func newerSchema(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	const applied = `INSERT INTO stoker_migrations (version_id, is_applied) VALUES (99, TRUE)`
	sync := func(t *testing.T, db *store.DB) (store.SyncReport, error) {
		t.Helper()
		return db.Sync(t.Context())
	}
	t.Run("a migration that older programs may live with is named", func(t *testing.T) {
		d := create(t)
		d.Exec(t, applied)
		db := d.Open(t)
		if err := db.Ready(t.Context()); err != nil {
			t.Errorf("ready: %v", err)
		}
		got, err := sync(t, db)
		if err != nil {
			t.Errorf("sync: %v", err)
		}
		if diff := cmp.Diff(store.SyncReport{Newer: []int64{99}}, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("sync (-want +got):\n%s", diff)
		}
		wantSame(t, "newer migrations", check(t, db).Newer, []int64{99})
	})
	t.Run("one that they may not is refused, and nothing changed", func(t *testing.T) {
		d := create(t)
		d.Exec(t, applied)
		d.Exec(t, `INSERT INTO stoker_writers (since) VALUES (98)`)
		d.Exec(t, `DROP TABLE snapshots`)
		db := d.Open(t)
		_, synced := sync(t, db)
		for what, err := range map[string]error{"ready": db.Ready(t.Context()), "sync": synced} {
			wantKind(t, err, cinder.KindInvalid)
			for _, words := range []string{"newer Stoker", "migration 98", "upgrade"} {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%s: %q does not say %q", what, err, words)
				}
			}
		}
		r := check(t, db)
		wantSame(t, "newer migrations", r.Newer, []int64{99})
		if len(r.Pending) > 0 {
			t.Errorf("pending %v", r.Pending)
		}
		for _, table := range r.Tables {
			if table.Name == "snapshots" && table.Rows >= 0 {
				t.Error("sync has made a table in a database that it must not write to")
			}
		}
	})
	t.Run("a migration of ours that is missing is not ready", func(t *testing.T) {
		d := create(t)
		db := d.Open(t)
		all := check(t, db).Migrations
		last := all[len(all)-1]
		d.Exec(t, `DELETE FROM stoker_migrations WHERE version_id = (SELECT v FROM (SELECT MAX(version_id) AS v FROM stoker_migrations) AS newest)`)
		err := db.Ready(t.Context())
		wantKind(t, err, cinder.KindUnavailable)
		if !strings.Contains(err.Error(), last) {
			t.Errorf("%q does not name %s", err, last)
		}
		wantSame(t, "pending", check(t, db).Pending, []string{last})
	})
}

func check(tb testing.TB, db *store.DB) store.CheckReport {
	tb.Helper()
	r, err := db.Check(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
