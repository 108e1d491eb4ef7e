package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

func TestCheck(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			url := e.create(t)
			db, err := store.Open(t.Context(), store.Options{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			defer end(t, db)
			if e.name != "sqlite" { // it has no file yet
				empty := check(t, db)
				if len(empty.Migrations) != 0 || len(empty.Pending) == 0 {
					t.Errorf("migrations %v applied, %v pending in an empty database", empty.Migrations, empty.Pending)
				}
			}
			report, err := db.Sync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := db.Register(t.Context(), cinder.Service{Host: time.Now().String(), Binary: cinder.BinaryVolume}); err != nil {
					t.Fatal(err)
				}
			}
			other := e.raw(t, url)
			execOn(t, other, `UPDATE services SET deleted = TRUE WHERE id = 1`)
			execOn(t, other, `CREATE TABLE alembic_version (version_num VARCHAR(32))`)
			execOn(t, other, `INSERT INTO alembic_version VALUES ('c92a3e68beed')`)
			execOn(t, other, `DROP TABLE snapshots`)

			got := check(t, db)
			want := store.CheckReport{
				Engine: e.engine, CinderRevision: "c92a3e68beed", Migrations: report.Applied,
				Tables: []store.TableReport{
					{Name: "services", Rows: 2}, {Name: "clusters"}, {Name: "workers", Rows: 1}, {Name: "groups"}, {Name: "volumes"}, {Name: "snapshots", Rows: -1},
				},
			}
			for _, name := range ourTables(t) {
				if name != "stoker_migrations" && name != "stoker_commits" {
					want.Tables = append(want.Tables, store.TableReport{Name: name})
				}
			}
			got.Tables = slices.DeleteFunc(got.Tables, func(r store.TableReport) bool { return r.Name == "stoker_commits" })
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.CheckReport{}, "Database", "Version", "ClockDifference", "Known", "Mode"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Version == "" || got.Database == "" || got.ClockDifference.Abs() > time.Minute { // the query takes time; a wrong time zone would be further off
				t.Errorf("%+v: want a version, a name, and the clock of this very host", got)
			}
		})
	}
}

func check(tb testing.TB, db *store.DB) store.CheckReport {
	tb.Helper()
	report, err := db.Check(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return report
}
