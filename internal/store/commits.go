package store

import (
	"context"
	"math/rand/v2"
	"time"

	"stoker/internal/cinder"
)

const (
	// commitRetention is how long a recorded commit is kept: longer than any Update
	// looks for it.
	commitRetention = time.Hour
	// One commit in pruneInterval prunes expired ones, at most pruneBatch at a time,
	// because all other changes wait meanwhile.
	pruneInterval = 50
	pruneBatch    = 4 * pruneInterval
)

// serverDialect is the dialect of an engine that is a server.
type serverDialect interface {
	dialect
	fetcher
}

// scanTurn runs a query for the time and the number of commits with that id.
func scanTurn(ctx context.Context, q querier, query, id string) (now time.Time, committed bool, err error) {
	c, err := one(ctx, q, query, id)
	if err != nil {
		return time.Time{}, false, err
	}
	return c.time(), c.number() > 0, nil
}

// recordCommit implements dialect.record with the table stoker_commits.
func recordCommit(ctx context.Context, q querier, id string, now time.Time) error {
	_, err := q.ExecContext(ctx, `INSERT INTO stoker_commits (id, committed_at) VALUES (?, ?)`, id, timeValue(now))
	if err != nil || rand.N(pruneInterval) != 0 {
		return err
	}
	ids, err := names(ctx, q, `SELECT id FROM stoker_commits WHERE committed_at < ? ORDER BY committed_at LIMIT ?`,
		timeValue(now.Add(-commitRetention)), pruneBatch)
	if err != nil {
		return err
	}
	return deleteRows(ctx, q, "stoker_commits", ids)
}

func errPreparing() error {
	return cinder.Errorf(cinder.KindUnavailable, "another process has been preparing the database for %d seconds", prepareTimeout)
}
