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

// DisabledByAdmin returns the services, and clusters by their names, that are
// recorded as disabled by an administrator, and whether as frozen too.
func (tx *Tx) DisabledByAdmin(ctx context.Context) (_ map[cinder.ServiceName]bool, err error) {
	rows, err := tx.tx.QueryContext(ctx, `SELECT a."binary", a.host, f.cause FROM stoker_causes a
		LEFT JOIN stoker_causes f ON f."binary" = a."binary" AND f.host = a.host AND f.cause = ?
		WHERE a.cause = ?`, string(cinder.CauseFrozen), string(cinder.CauseAdmin))
	if err != nil {
		return nil, tx.db.fail(ctx, "read causes", err)
	}
	defer func() { err = firstError(err, rows.Close()) }()
	names := map[cinder.ServiceName]bool{}
	c := newCells(3)
	for rows.Next() {
		if err := c.scan(rows); err != nil {
			return nil, tx.db.fail(ctx, "read causes", err)
		}
		name := cinder.ServiceName{Binary: c.text(), Host: c.text()}
		names[name] = c.textOrNil() != nil
	}
	if err := rows.Err(); err != nil {
		return nil, tx.db.fail(ctx, "read causes", err)
	}
	return names, nil
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
