package store

import (
	"context"
	"math/rand/v2"
	"time"

	"stoker/internal/cinder"
)

const (
	// commitsKept is how long a commit is remembered: longer than anybody asks.
	commitsKept = time.Hour
	// commitsPruned is how rarely those older are removed: once in so many; and
	// commitsBatch how many at once, for all others wait meanwhile.
	commitsPruned = 50
	commitsBatch  = 4 * commitsPruned
)

// serverDialect is that of an engine that is a server: what it does to keep all
// its clients apart, and to be read fast.
type serverDialect interface {
	dialect
	fetcher
}

// turnTaken reads what a query says: the time, and how many commits have the id.
func turnTaken(ctx context.Context, q querier, query, id string) (now time.Time, committed bool, err error) {
	c, err := one(ctx, q, query, id)
	if err != nil {
		return time.Time{}, false, err
	}
	return c.time(), c.number() > 0, nil
}

// recordCommit is record of a database that has the table stoker_commits.
func recordCommit(ctx context.Context, q querier, id string, now time.Time) error {
	_, err := q.ExecContext(ctx, `INSERT INTO stoker_commits (id, committed_at) VALUES (?, ?)`, id, timeValue(now))
	if err != nil || rand.N(commitsPruned) != 0 {
		return err
	}
	ids, err := names(ctx, q, `SELECT id FROM stoker_commits WHERE committed_at < ? ORDER BY committed_at LIMIT ?`,
		timeValue(now.Add(-commitsKept)), commitsBatch)
	if err != nil {
		return err
	}
	return remove(ctx, q, "stoker_commits", ids)
}

func errPreparing() error {
	return cinder.Errorf(cinder.KindUnavailable, "another process has been preparing the database for %d seconds", prepareWait)
}
