package store

import (
	"context"

	"stoker/internal/cinder"
)

// Causes returns why the service is disabled, as SaveCauses recorded it, the
// oldest first; none when nothing is recorded.
func (tx *Tx) Causes(ctx context.Context, binary, host string) (_ []cinder.Cause, err error) {
	rows, err := tx.tx.QueryContext(ctx,
		`SELECT cause, reason, COALESCE(since, NULL) FROM stoker_causes WHERE "binary" = ? AND host = ? ORDER BY since, cause`, binary, host)
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
	return causes, nil
}

// AllCauses returns what is recorded of every service, and every cluster by its
// name, that has a cause to be disabled, the oldest first.
func (tx *Tx) AllCauses(ctx context.Context) (_ map[cinder.ServiceName][]cinder.Cause, err error) {
	rows, err := tx.tx.QueryContext(ctx,
		`SELECT "binary", host, cause, reason, COALESCE(since, NULL) FROM stoker_causes ORDER BY since, cause`)
	if err != nil {
		return nil, tx.db.fail(ctx, "read causes", err)
	}
	defer func() { err = firstError(err, rows.Close()) }()
	all := map[cinder.ServiceName][]cinder.Cause{}
	c := newCells(5)
	for rows.Next() {
		if err := c.scan(rows); err != nil {
			return nil, tx.db.fail(ctx, "read causes", err)
		}
		name := cinder.ServiceName{Binary: c.text(), Host: c.text()}
		all[name] = append(all[name], cinder.Cause{Kind: cinder.CauseKind(c.text()), Reason: c.textOrNil(), Since: c.time()})
	}
	if err := rows.Err(); err != nil {
		return nil, tx.db.fail(ctx, "read causes", err)
	}
	return all, nil
}

// SaveCauses replaces what is recorded of why the service is disabled.
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
