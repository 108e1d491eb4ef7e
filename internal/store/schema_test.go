package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

func TestSync(t *testing.T) {
	t.Run("what it did, and nothing twice", func(t *testing.T) {
		db := connect(t, filepath.Join(t.TempDir(), "stoker.db"))
		want := store.SyncReport{
			Created: slices.Concat([]string{"clusters", "groups", "services", "snapshots"}, ourTables(t), []string{"volumes", "workers"}),
			Applied: ourMigrations(t),
		}
		for range 2 {
			got, err := db.Sync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Empty() != (len(want.Created) == 0) {
				t.Errorf("empty is %v for %v", got.Empty(), got)
			}
			if err := db.Ready(t.Context()); err != nil {
				t.Error(err)
			}
			want = store.SyncReport{}
		}
	})
	t.Run("a Cinder's database is added to and not altered", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "cinder.db")
		cinderMade(t, path)
		before := query(t, path, `SELECT type || name || sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY 1`)
		db := connect(t, path)
		got, err := db.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := ourTables(t); !slices.Equal(got.Created, want) {
			t.Errorf("created %v, want %v", got.Created, want)
		}
		after := query(t, path, `SELECT type || name || sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name NOT LIKE 'stoker%' AND tbl_name NOT LIKE 'sqlite%' ORDER BY 1`)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("Cinder's tables (-before +after):\n%s", diff)
		}
		v, err := db.View(t.Context(), cinder.ServiceQuery{})
		if err != nil || len(v.Services) != 1 || v.Services[0].Host != "h@b" {
			t.Errorf("services %v (%v), want Cinder's", v, err)
		}
		if err := db.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("what somebody made in part is completed", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "stoker.db")
		cinderMade(t, path)
		execute(t, path, `DROP TABLE alembic_version; DROP TABLE clusters`)
		before := query(t, path, `SELECT sql FROM sqlite_master WHERE tbl_name = 'services'`)
		db := connect(t, path)
		got, err := db.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := slices.Concat([]string{"clusters", "groups", "snapshots"}, ourTables(t), []string{"workers"}); !slices.Equal(got.Created, want) {
			t.Errorf("created %v, want %v", got.Created, want)
		}
		if diff := cmp.Diff(before, query(t, path, `SELECT sql FROM sqlite_master WHERE tbl_name = 'services'`)); diff != "" {
			t.Errorf("the table that was there (-before +after):\n%s", diff)
		}
	})
	t.Run("a Cinder's database that is half made is Cinder's to complete", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "cinder.db")
		cinderMade(t, path)
		execute(t, path, `DROP TABLE clusters`)
		_, err := connect(t, path).Sync(t.Context())
		wantLine(t, err, cinder.KindInvalid, path, "has no table clusters", "cinder-manage db sync")
	})
	t.Run("all or nothing", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "stoker.db")
		db := connect(t, path)
		execute(t, path, `CREATE TABLE stoker_operations (another TEXT)`)
		if _, err := db.Sync(t.Context()); err == nil {
			t.Error("no error")
		}
		if got, want := query(t, path, `SELECT name FROM sqlite_master`), []string{"stoker_operations"}; !slices.Equal(got, want) {
			t.Errorf("tables %v, want %v", got, want)
		}
	})
	t.Run("many at once", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "stoker.db")
		var mu sync.Mutex // guards did
		var did []store.SyncReport
		concurrently(t, 6, func() error {
			db, err := store.Open(t.Context(), store.Options{URL: "sqlite:///" + path})
			if err != nil {
				return err
			}
			report, err := db.Sync(t.Context())
			mu.Lock()
			defer mu.Unlock()
			if !report.Empty() {
				did = append(did, report)
			}
			return errors.Join(err, db.Close())
		})
		if len(did) != 1 || len(did[0].Created) != 6+len(ourTables(t)) {
			t.Errorf("done %v, want everything, once", did)
		}
	})
	t.Run("while another program writes", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "stoker.db")
		db := open(t, path)
		release := lock(t, path, `BEGIN IMMEDIATE`)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := db.Sync(ctx)
		wantLine(t, err, cinder.KindUnavailable)
		release()
		if _, err := db.Sync(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a folder that has gone", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "folder", "stoker.db")
		mkdir(t, filepath.Dir(path))
		db := connect(t, path)
		deleteRows(t, filepath.Dir(path))
		_, err := db.Sync(t.Context())
		wantLine(t, err, cinder.KindUnavailable, path)
	})
}

// TestMigrationsOfAllEngines checks that every engine has every migration, under one
// name.
func TestMigrationsOfAllEngines(t *testing.T) {
	for _, e := range serverEngines() {
		files, err := filepath.Glob("migrations/" + e.name + "/*.sql")
		if err != nil {
			t.Fatal(err)
		}
		for i := range files {
			files[i] = filepath.Base(files[i])
		}
		if diff := cmp.Diff(ourMigrations(t), files); diff != "" {
			t.Errorf("(-sqlite +%s):\n%s", e.name, diff)
		}
	}
}

// ourMigrations returns the names of the files that Sync applies.
func ourMigrations(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("migrations/sqlite/*.sql")
	if err != nil {
		tb.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	return files
}

// ourTables returns the names of our own tables.
func ourTables(tb testing.TB) []string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "ours.db")
	open(tb, path)
	return query(tb, path, `SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'stoker%' ORDER BY 1`)
}

// cinderMade creates a database like that of another Cinder release: more columns in
// another order, fewer indexes, and unknown tables.
func cinderMade(tb testing.TB, path string) {
	tb.Helper()
	execute(tb, path, `
		CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
		CREATE TABLE volumes (id VARCHAR(36) NOT NULL PRIMARY KEY);
		CREATE TABLE services (id INTEGER NOT NULL PRIMARY KEY, novelty TEXT DEFAULT 'x', created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
			deleted BOOLEAN, host VARCHAR(255), binary VARCHAR(255), topic VARCHAR(255), report_count INTEGER NOT NULL, disabled BOOLEAN,
			availability_zone VARCHAR(255), disabled_reason VARCHAR(255), modified_at DATETIME, rpc_current_version VARCHAR(36),
			object_current_version VARCHAR(36), replication_status VARCHAR(36), frozen BOOLEAN, active_backend_id VARCHAR(255),
			cluster_name VARCHAR(255), uuid VARCHAR(36));
		CREATE TABLE clusters (id INTEGER NOT NULL PRIMARY KEY, created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, deleted BOOLEAN,
			name VARCHAR(255) NOT NULL, binary VARCHAR(255) NOT NULL, disabled BOOLEAN, disabled_reason VARCHAR(255), race_preventer INTEGER NOT NULL,
			replication_status VARCHAR(36), active_backend_id VARCHAR(255), frozen BOOLEAN NOT NULL);
		INSERT INTO services (id, report_count, host, binary, deleted) VALUES (1, 7, 'h@b', 'cinder-volume', 0)`)
}

// query reads a column of text as another program would.
func query(tb testing.TB, path, question string, args ...any) []string {
	tb.Helper()
	return lines(tb, raw(tb, path), question, args...)
}

// concurrently runs fn n times at once.
func concurrently(tb testing.TB, n int, fn func() error) {
	tb.Helper()
	var group errgroup.Group
	start := make(chan struct{})
	for i := range n {
		group.Go(func() error {
			<-start
			if err := fn(); err != nil {
				return fmt.Errorf("number %d: %w", i, err)
			}
			return nil
		})
	}
	close(start)
	if err := group.Wait(); err != nil {
		tb.Error(err)
	}
}
