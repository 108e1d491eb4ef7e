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

// schemaState is which of our migrations a database has had, as this program
// sees it. Another program, older or newer, may have applied them.
type schemaState struct {
	applied []string // those that this program knows, by file name, in order
	pending []string // those that it knows and the database lacks
	newer   []int64  // those that it does not know, by number
	known   int64    // the newest that it knows
	since   int64    // the newest that a program has to know to write; 0 for any
}

// schemaState compares what goose recorded with the migrations there are. have
// are the tables of the database.
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
		if s.since, err = oneNumber(ctx, q, `SELECT COALESCE(MAX(since), 0) FROM `+writersTable); err != nil {
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

// mayWrite refuses a program that a newer one's migration has shut out.
func (db *DB) mayWrite(s schemaState) error {
	if s.since <= s.known {
		return nil
	}
	return db.refuse("a newer Stoker has changed it: only programs that know migration %d may write to it, and this one knows up to %d: upgrade it",
		s.since, s.known)
}

// migrationNumber is that with which a file's name begins.
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

// TakesWrites says whether changes can be made: KindUnavailable when the database
// is read-only or away. It asks by a statement that changes no row: that takes no
// lock others wait for, leaves nothing to replicate, and a proxy sends it where
// writes go. Settings such as read_only do not tell, for some users they do not
// hold.
func (db *DB) TakesWrites(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err := db.within(ctx, transactionWrite, func(_ *sql.Tx, s *session) error {
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

// Trouble says what an error of Ready or TakesWrites comes down to, in words that anybody may
// read: no name, no address, no text of the server's.
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
	default: // what Ready itself has to say
		return "it is not prepared for this version: stoker db check says more"
	}
}

// Ready says whether this program can work with the database: KindUnavailable
// with a line for the operator when Sync has yet to be run, KindInvalid when a
// newer program has changed it so that this one must not write to it.
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
