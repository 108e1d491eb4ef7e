package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"stoker/internal/cinder"
)

const requestColumns = `id, caller, fingerprint, owner, COALESCE(lease_until, NULL), COALESCE(expires_at, NULL), status, headers, body`

// KeysFull returns when the caller may use another idempotency key, given that most
// kept requests are allowed. The zero time means now.
func (db *DB) KeysFull(ctx context.Context, caller string, most int) (until time.Time, err error) {
	err = db.read(ctx, "count kept requests", func(ctx context.Context, tx querier) error {
		until, err = oneTime(ctx, tx, `SELECT COALESCE(expires_at, NULL) FROM stoker_requests
			WHERE caller = ? AND expires_at > ? ORDER BY expires_at DESC LIMIT 1 OFFSET ?`, caller, timeValue(db.now()), most-1)
		return err
	})
	return until, err
}

// Request returns the request kept under that id; KindNotFound when there is none.
func (tx *Tx) Request(ctx context.Context, id string) (r cinder.KeptRequest, err error) {
	rows, err := tx.tx.QueryContext(ctx, `SELECT `+requestColumns+` FROM stoker_requests WHERE id = ?`, id)
	if err != nil {
		return r, tx.db.fail(ctx, "read kept request", err)
	}
	defer func() { err = firstError(err, rows.Close()) }()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return r, tx.db.fail(ctx, "read kept request", err)
		}
		return r, cinder.Errorf(cinder.KindNotFound, "No such request is kept.")
	}
	c := newCells(9)
	if err := c.scan(rows); err != nil {
		return r, tx.db.fail(ctx, "read kept request", err)
	}
	r = cinder.KeptRequest{ID: c.text(), Caller: c.text(), Fingerprint: c.text(), Owner: c.text(), LeaseUntil: c.time(), ExpiresAt: c.time(), Status: int(c.number())}
	if err := c.json(&r.Header); err != nil {
		return r, fmt.Errorf("kept request: %w", err)
	}
	r.Body = []byte(c.text())
	return r, nil
}

// KeepRequest stores r, replacing what is kept under its id.
func (tx *Tx) KeepRequest(ctx context.Context, r cinder.KeptRequest) error {
	header, err := json.Marshal(r.Header)
	if err != nil {
		return fmt.Errorf("keep request: %w", err)
	}
	if err := tx.ForgetRequest(ctx, r.ID); err != nil {
		return err
	}
	_, err = tx.tx.ExecContext(ctx, `INSERT INTO stoker_requests (id, caller, fingerprint, owner, lease_until, expires_at, status, headers, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.Caller, r.Fingerprint, r.Owner, timeValue(r.LeaseUntil), timeValue(r.ExpiresAt), r.Status, string(header), string(r.Body))
	if err != nil {
		return tx.db.fail(ctx, "keep request", err)
	}
	return nil
}

// ForgetRequest removes the request kept under that id, if any.
func (tx *Tx) ForgetRequest(ctx context.Context, id string) error {
	if _, err := tx.tx.ExecContext(ctx, `DELETE FROM stoker_requests WHERE id = ?`, id); err != nil {
		return tx.db.fail(ctx, "forget request", err)
	}
	return nil
}

// PruneRequests removes up to limit requests that expired before then, and returns how
// many it removed.
func (tx *Tx) PruneRequests(ctx context.Context, then time.Time, limit int) (int, error) {
	ids, err := names(ctx, tx.tx, `SELECT id FROM stoker_requests WHERE expires_at < ? ORDER BY expires_at LIMIT ?`, timeValue(then), limit)
	if err != nil {
		return 0, tx.db.fail(ctx, "prune kept requests", err)
	}
	if err := deleteRows(ctx, tx.tx, "stoker_requests", ids); err != nil {
		return 0, tx.db.fail(ctx, "prune kept requests", err)
	}
	return len(ids), nil
}
