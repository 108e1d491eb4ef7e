package store

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// CheckReport is the result of Check.
type CheckReport struct {
	Database string // without user and password
	Engine   string // SQLite, MariaDB, MySQL or PostgreSQL
	Version  string
	// Mode is the mode of an SQLite file. Exposed reports whether users besides its
	// owner and group can access it. Both are zero for a server.
	Mode    fs.FileMode
	Exposed bool
	// CinderRevision is the alembic revision of Cinder's schema; "" when Cinder did not
	// create the database.
	CinderRevision string
	Tables         []TableReport // the Cinder tables that we use, then all of ours
	Migrations     []string      // applied migrations of ours, by number and name, in order
	Pending        []string      // migrations of ours not applied yet
	Newer          []int64       // applied migrations of a newer program, by number
	Known          int64         // the newest migration that this program has
	// ClockDifference is how far the database's clock is ahead of this host's, accurate
	// to half the query's round trip.
	ClockDifference time.Duration
}

// TableReport describes one table.
type TableReport struct {
	Name string
	Rows int64 // not counting deleted ones; -1 when there is no such table
}

// checkedTables are the Cinder tables that Check counts.
func checkedTables() []string {
	return []string{"services", "clusters", "workers", "groups", "volumes", "snapshots"}
}

// Check inspects the database and changes nothing. Fails with KindUnavailable, and with
// KindInvalid when the user lacks the right to read it.
func (db *DB) Check(ctx context.Context) (CheckReport, error) {
	report := CheckReport{Database: db.name}
	if file, ok := db.dialect.(sqliteDialect); ok {
		report.Mode, report.Exposed = file.access()
	}
	err := db.read(ctx, "check database "+db.name, func(ctx context.Context, tx querier) (err error) {
		if report.Engine, report.Version, err = db.dialect.version(ctx, tx); err != nil {
			return err
		}
		tables, err := db.dialect.tables(ctx, tx)
		if err != nil {
			return err
		}
		if report.Tables, err = db.countRows(ctx, tx, tables); err != nil {
			return err
		}
		if slices.Contains(tables, alembicTable) {
			if report.CinderRevision, err = oneText(ctx, tx, `SELECT version_num FROM `+alembicTable); err != nil {
				return err
			}
		}
		state, err := db.schemaState(ctx, tx, tables)
		if err != nil {
			return err
		}
		report.Migrations, report.Pending, report.Newer, report.Known = state.applied, state.pending, state.newer, state.known
		report.ClockDifference, err = db.clockDifference(ctx, tx)
		return err
	})
	if err != nil {
		return CheckReport{}, db.command(ctx, "check database "+db.name, err)
	}
	return report, nil
}

func (db *DB) countRows(ctx context.Context, q querier, have []string) ([]TableReport, error) {
	var reports []TableReport
	tables := checkedTables()
	for _, table := range have {
		if strings.HasPrefix(table, "stoker_") && table != versionTable {
			tables = append(tables, table)
		}
	}
	for _, table := range tables {
		report := TableReport{Name: table, Rows: -1}
		if slices.Contains(have, table) {
			columns, err := db.dialect.columns(ctx, q, table)
			if err != nil {
				return nil, err
			}
			query := `SELECT COUNT(*) FROM "` + table + `"`
			if slices.Contains(columns, "deleted") {
				query += ` WHERE COALESCE(deleted, FALSE) = FALSE`
			}
			if report.Rows, err = oneNumber(ctx, q, query); err != nil {
				return nil, err
			}
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// clockDifference assumes that the database answered halfway through the query.
func (db *DB) clockDifference(ctx context.Context, q querier) (time.Duration, error) {
	before := db.now()
	theirs, err := db.dialect.clock(ctx, q)
	if err != nil {
		return 0, err
	}
	after := db.now()
	return theirs.Sub(before.Add(after.Sub(before) / 2)), nil
}

// oneText returns the only value of a result; "" for NULL and for no row.
func oneText(ctx context.Context, q querier, query string) (string, error) {
	c, err := one(ctx, q, query)
	if err != nil || c == nil {
		return "", err
	}
	return c.text(), nil
}

// oneNumber returns the only value of a result; 0 for NULL and for no row.
func oneNumber(ctx context.Context, q querier, query string, args ...any) (int64, error) {
	c, err := one(ctx, q, query, args...)
	if err != nil || c == nil {
		return 0, err
	}
	return c.number(), nil
}

// oneTime returns the only value of a result; the zero time for NULL and for no row.
func oneTime(ctx context.Context, q querier, query string, args ...any) (time.Time, error) {
	c, err := one(ctx, q, query, args...)
	if err != nil || c == nil {
		return time.Time{}, err
	}
	return c.time(), nil
}

// one reads the first row; nil when there is none.
func one(ctx context.Context, q querier, query string, args ...any) (_ *cells, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	if !rows.Next() {
		return nil, rows.Err()
	}
	c := newCells(len(columns))
	return c, c.scan(rows)
}
