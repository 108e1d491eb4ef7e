package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"stoker/internal/cinder"
)

// schemaState compares the migrations applied to a database with those of this program.
// Another program, older or newer, may have applied them.
type schemaState struct {
	applied   []string // known to this program, by file name, in order
	pending   []string // known to this program, not applied
	newer     []int64  // applied, not known to this program, by number
	known     int64    // the newest that this program knows
	minWriter int64    // the newest that a program must know to write; 0 for none
}

// schemaState reads the state; have are the tables of the database.
func (db *DB) schemaState(ctx context.Context, q querier, have []string) (schemaState, error) {
	var s schemaState
	_, files, err := db.dialect.migrations()
	if err != nil {
		return s, err
	}
	ours, err := fs.Glob(files, "*.sql")
	if err != nil {
		return s, err
	}
	var applied []int64
	if slices.Contains(have, versionTable) {
		applied, err = numbers(ctx, q, `SELECT DISTINCT version_id FROM `+versionTable+` WHERE is_applied = TRUE AND version_id > 0 ORDER BY version_id`)
		if err != nil {
			return s, err
		}
	}
	if slices.Contains(have, writersTable) {
		if s.minWriter, err = oneNumber(ctx, q, `SELECT COALESCE(MAX(since), 0) FROM `+writersTable); err != nil {
			return s, err
		}
	}
	for _, name := range ours {
		number, err := migrationNumber(name)
		if err != nil {
			return s, err
		}
		s.known = max(s.known, number)
		if i := slices.Index(applied, number); i >= 0 {
			s.applied = append(s.applied, name)
			applied = slices.Delete(applied, i, i+1)
		} else {
			s.pending = append(s.pending, name)
		}
	}
	s.newer = applied
	return s, nil
}

// mayWrite returns an error when a newer migration forbids this program to write.
func (db *DB) mayWrite(s schemaState) error {
	if s.minWriter <= s.known {
		return nil
	}
	return db.refuse("a newer Stoker has changed it: only programs that know migration %d may write to it, and this one knows up to %d: upgrade it",
		s.minWriter, s.known)
}

// migrationNumber is the number at the start of a file name.
func migrationNumber(name string) (int64, error) {
	digits, _, _ := strings.Cut(name, "_")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("migration %s has no number: %w", name, err)
	}
	return n, nil
}

func numbers(ctx context.Context, q querier, query string) (_ []int64, err error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, rows.Close()) }()
	var found []int64
	c := newCells(1)
	for rows.Next() {
		if err := c.scan(rows); err != nil {
			return nil, err
		}
		found = append(found, c.number())
	}
	return found, rows.Err()
}

// TakesWrites checks that the database accepts writes: KindUnavailable when it is
// read-only or away. It runs a statement that changes no row: that takes no lock others
// wait for, leaves nothing to replicate, and a proxy routes it like a write. Settings
// such as read_only do not tell: they do not apply to some users.
func (db *DB) TakesWrites(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err := db.inTransaction(ctx, transactionWrite, func(_ *sql.Tx, s *session) error {
		if _, err := s.ExecContext(ctx, `UPDATE services SET report_count = report_count WHERE FALSE`); err != nil {
			return db.fail(ctx, "look whether database "+db.name+" takes writes", err)
		}
		return nil
	})
	if db.dialect.fault(err) == faultBusy || !db.server && ctx.Err() != nil {
		return nil // others write
	}
	return err
}

// Trouble sums up an error of Ready or TakesWrites in words that anybody may read: no
// names, no addresses, no messages of the server.
func (db *DB) Trouble(err error) string {
	switch db.dialect.fault(err) {
	case faultBusy:
		return "busy"
	case faultRefused:
		return "it refuses us: stoker db check says more"
	case faultReadOnly:
		return "read-only: no change can be made"
	case faultLost:
		return "away"
	case faultOther, faultMissing, faultDuplicate, faultValue:
	}
	e, ok := errors.AsType[*cinder.Error](err)
	switch {
	case !ok || e.Kind == cinder.KindInternal:
		return "it answers with an error: stoker db check says more"
	case e.Err != nil:
		return "away"
	default: // an error of Ready's own
		return "it is not prepared for this version: stoker db check says more"
	}
}

// Ready checks that this program can work with the database. KindUnavailable, with a
// line for the operator, when Sync has yet to be run; KindInvalid when a newer
// program's migration forbids this one to write.
func (db *DB) Ready(ctx context.Context) error {
	err := db.read(ctx, "look at database "+db.name, func(ctx context.Context, tx querier) error {
		tables, err := db.dialect.tables(ctx, tx)
		if err != nil {
			return err
		}
		needed := []string{"services", "clusters", "stoker_causes", "stoker_failed_over", "stoker_operations", "stoker_requests"}
		if db.server {
			needed = append(needed, "stoker_commits")
		}
		for _, needed := range needed {
			if !slices.Contains(tables, needed) {
				return cinder.Errorf(cinder.KindUnavailable, "database %s has no table %s: run stoker db sync", db.name, needed)
			}
		}
		s, err := db.schemaState(ctx, tx, tables)
		if err != nil {
			return err
		}
		if err := db.mayWrite(s); err != nil {
			return err
		}
		if len(s.pending) > 0 {
			return cinder.Errorf(cinder.KindUnavailable, "database %s lacks migration %s: run stoker db sync", db.name, s.pending[0])
		}
		return nil
	})
	if db.dialect.fault(err) == faultMissing {
		return cinder.Errorf(cinder.KindUnavailable, "database %s does not exist: run stoker db sync", db.name)
	}
	return err
}
