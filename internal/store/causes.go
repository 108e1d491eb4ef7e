package store

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"stoker/internal/cinder"
)

// Causes returns the causes that SaveCauses recorded for the service, oldest first;
// none when nothing is recorded.
func (tx *Tx) Causes(ctx context.Context, binary, host string) (_ []cinder.Cause, err error) {
	rows, err := tx.tx.QueryContext(ctx,
		`SELECT cause, reason, COALESCE(since, NULL) FROM stoker_causes WHERE "binary" = ? AND host = ?`, binary, host)
	if err != nil {
		return nil, tx.db.fail(ctx, "read causes", err)
	}
	defer func() { err = firstError(err, rows.Close()) }()
	var causes []cinder.Cause
	c := newCells(3)
	for rows.Next() {
		if err := c.scan(rows); err != nil {
			return nil, tx.db.fail(ctx, "read causes", err)
		}
		causes = append(causes, cinder.Cause{Kind: cinder.CauseKind(c.text()), Reason: c.textOrNil(), Since: c.time()})
	}
	if err := rows.Err(); err != nil {
		return nil, tx.db.fail(ctx, "read causes", err)
	}
	sortCauses(causes)
	return causes, nil
}

// sortCauses sorts causes, oldest first.
func sortCauses(causes []cinder.Cause) {
	slices.SortFunc(causes, func(a, b cinder.Cause) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(string(a.Kind), string(b.Kind)))
	})
}

// AllCauses returns the recorded causes of every disabled service and cluster, oldest
// first; a cluster's entry has its name as host. It reads one row per cause and blocks
// no change. Fails with KindUnavailable.
func (db *DB) AllCauses(ctx context.Context) (all map[cinder.ServiceName][]cinder.Cause, err error) {
	err = db.read(ctx, "read causes", func(ctx context.Context, tx querier) error {
		all, err = readCauses(ctx, tx)
		return err
	})
	return all, err
}

func readCauses(ctx context.Context, q querier) (_ map[cinder.ServiceName][]cinder.Cause, err error) {
	rows, err := q.QueryContext(ctx, `SELECT "binary", host, cause, reason, COALESCE(since, NULL) FROM stoker_causes`)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, rows.Close()) }()
	all := map[cinder.ServiceName][]cinder.Cause{}
	c := newCells(5)
	for rows.Next() {
		if err := c.scan(rows); err != nil {
			return nil, err
		}
		name := cinder.ServiceName{Binary: c.text(), Host: c.text()}
		all[name] = append(all[name], cinder.Cause{Kind: cinder.CauseKind(c.text()), Reason: c.textOrNil(), Since: c.time()})
	}
	for _, causes := range all {
		sortCauses(causes)
	}
	return all, rows.Err()
}

// SaveCauses replaces the recorded causes of the service.
func (tx *Tx) SaveCauses(ctx context.Context, binary, host string, causes []cinder.Cause) error {
	if _, err := tx.tx.ExecContext(ctx, `DELETE FROM stoker_causes WHERE "binary" = ? AND host = ?`, binary, host); err != nil {
		return tx.db.fail(ctx, "save causes", err)
	}
	for _, cause := range causes {
		_, err := tx.tx.ExecContext(ctx, `INSERT INTO stoker_causes ("binary", host, cause, reason, since) VALUES (?, ?, ?, ?, ?)`,
			binary, host, string(cause.Kind), pointerValue(cause.Reason), timeValue(cause.Since))
		if err != nil {
			return tx.db.fail(ctx, "save causes", err)
		}
	}
	return nil
}
