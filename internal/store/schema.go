package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"

	"stoker/internal/cinder"
)

const (
	// versionTable is where goose records our applied migrations.
	versionTable = "stoker_migrations"
	// alembicTable is where Cinder records its own: a database that has it was made by
	// Cinder.
	alembicTable = "alembic_version"
	// writersTable is where a migration records that only programs that know it may
	// write from then on.
	writersTable = "stoker_writers"
)

// SyncReport is the result of Sync.
type SyncReport struct {
	Created []string // tables, by name
	Applied []string // migrations, by file name, in order
	Newer   []int64  // migrations of a newer program, by number, left in place
}

// Empty reports whether Sync had nothing to do.
func (r SyncReport) Empty() bool { return len(r.Created) == 0 && len(r.Applied) == 0 }

// Sync creates missing tables and applies pending migrations: all or nothing, and once,
// however many processes call it. It creates each missing Cinder table unless Cinder
// itself made the database, and never alters an existing one. KindInvalid when a newer
// program's migration forbids this one to write, and when the user may not create or
// alter tables.
func (db *DB) Sync(ctx context.Context) (SyncReport, error) {
	var report SyncReport
	err := db.retryBusy(ctx, db.dialect, func() error {
		return db.dialect.prepare(ctx, func(conn *sql.DB) (err error) {
			report, err = db.sync(ctx, conn)
			return err
		})
	})
	if err != nil {
		return SyncReport{}, db.command(ctx, "prepare database "+db.name, err)
	}
	return report, nil
}

func (db *DB) sync(ctx context.Context, conn *sql.DB) (SyncReport, error) {
	before, err := db.dialect.tables(ctx, conn)
	if err != nil {
		return SyncReport{}, err
	}
	state, err := db.schemaState(ctx, conn, before)
	if err != nil {
		return SyncReport{}, err
	}
	if err := db.mayWrite(state); err != nil {
		return SyncReport{}, err
	}
	dialect, files, err := db.dialect.migrations()
	if err != nil {
		return SyncReport{}, err
	}
	if slices.Contains(before, alembicTable) {
		err = db.requireCinder(before)
	} else {
		err = createMissing(ctx, conn, files, before)
	}
	if err != nil {
		return SyncReport{}, err
	}
	applied, err := migrate(ctx, conn, dialect, files)
	if err != nil {
		return SyncReport{}, err
	}
	after, err := db.dialect.tables(ctx, conn)
	if err != nil {
		return SyncReport{}, err
	}
	created := slices.DeleteFunc(after, func(t string) bool { return slices.Contains(before, t) })
	return SyncReport{Created: created, Applied: applied, Newer: state.newer}, nil
}

// requireCinder returns an error when a database that Cinder made lacks a table: we add
// none of Cinder's to it.
func (db *DB) requireCinder(have []string) error {
	for _, table := range []string{"services", "clusters"} {
		if !slices.Contains(have, table) {
			return cinder.Errorf(cinder.KindInvalid,
				"database %s was made by Cinder, and has no table %s yet: run cinder-manage db sync first", db.name, table)
		}
	}
	return nil
}

// createMissing creates the missing Cinder tables: the file 05_volumes.sql creates the
// table volumes. A file that names no table can be run any number of times.
func createMissing(ctx context.Context, conn *sql.DB, files fs.FS, have []string) error {
	names, err := fs.Glob(files, "cinder/*.sql")
	if err != nil {
		return err
	}
	for _, name := range names { // ordered by foreign keys
		_, table, _ := strings.Cut(strings.TrimSuffix(path.Base(name), ".sql"), "_")
		if slices.Contains(have, table) {
			continue
		}
		ddl, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, string(ddl)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// migrate applies pending migrations.
func migrate(ctx context.Context, conn *sql.DB, dialect goose.Dialect, files fs.FS) ([]string, error) {
	provider, err := goose.NewProvider(dialect, conn, files,
		goose.WithTableName(versionTable),
		goose.WithDisableGlobalRegistry(true),
		// On SQLite everything runs inside our own transaction, and MySQL has no
		// transactional DDL; on PostgreSQL each migration is a transaction unless it
		// opts out.
		goose.WithIsolateDDL(dialect != goose.DialectPostgres))
	if err != nil {
		return nil, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return nil, err
	}
	var applied []string
	for _, r := range results {
		applied = append(applied, path.Base(r.Source.Path))
	}
	return applied, nil
}
