package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"stoker/internal/cinder"
)

const operationColumns = `id, kind, state,
	user_id, project_id, roles, is_admin, request_id, global_request_id, address,
	"binary", host, cluster_name, detail, rows_before, rows_shown, rows_after,
	owner, COALESCE(lease_until, NULL), COALESCE(deadline, NULL), COALESCE(started_at, NULL), COALESCE(settled_at, NULL), outcome, progress`

// operationCells is the number of columns in operationColumns.
const operationCells = 24

// openOperations is not ordered; its users sort the result.
const openOperations = `SELECT ` + operationColumns + ` FROM stoker_operations WHERE state IN ('open', 'watched')`

// readOpen reads the open and watched operations, oldest first.
func readOpen(ctx context.Context, q querier) ([]cinder.Operation, error) {
	ops, err := readOperations(ctx, q, openOperations)
	oldestFirst(ops)
	return ops, err
}

// oldestFirst sorts operations; those without a start time come first.
func oldestFirst(ops []cinder.Operation) {
	slices.SortFunc(ops, func(a, b cinder.Operation) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), strings.Compare(a.ID, b.ID))
	})
}

// AddOperation adds an entry to the journal.
func (tx *Tx) AddOperation(ctx context.Context, op cinder.Operation) error {
	values, err := operationValues(op)
	if err != nil {
		return fmt.Errorf("add operation: %w", err)
	}
	_, err = tx.tx.ExecContext(ctx, `INSERT INTO stoker_operations (id, kind, state,
		user_id, project_id, roles, is_admin, request_id, global_request_id, address,
		"binary", host, cluster_name, detail, rows_before, rows_shown, rows_after,
		owner, lease_until, deadline, started_at, settled_at, outcome, progress)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, values...)
	if err != nil {
		return tx.db.fail(ctx, "add operation", err)
	}
	return nil
}

// OpenOperations returns the open and watched operations, oldest first.
func (tx *Tx) OpenOperations(ctx context.Context) ([]cinder.Operation, error) {
	open, err := readOpen(ctx, tx.tx)
	if err != nil {
		return nil, tx.db.fail(ctx, "read open operations", err)
	}
	return open, nil
}

// SaveOperation replaces the entry was with now. KindConflict when its state is final,
// or its state or owner has changed since.
func (tx *Tx) SaveOperation(ctx context.Context, was, now cinder.Operation) error {
	if was.State.Final() {
		return cinder.Errorf(cinder.KindConflict, "Operation %s is settled.", was.ID)
	}
	values, err := operationValues(now)
	if err != nil {
		return fmt.Errorf("save operation: %w", err)
	}
	result, err := tx.tx.ExecContext(ctx, `UPDATE stoker_operations SET id = ?, kind = ?, state = ?,
		user_id = ?, project_id = ?, roles = ?, is_admin = ?, request_id = ?, global_request_id = ?, address = ?,
		"binary" = ?, host = ?, cluster_name = ?, detail = ?, rows_before = ?, rows_shown = ?, rows_after = ?,
		owner = ?, lease_until = ?, deadline = ?, started_at = ?, settled_at = ?, outcome = ?, progress = ?
		WHERE id = ? AND state = ? AND owner = ?`, append(values, was.ID, stored(was.State), was.Owner)...)
	if err != nil {
		return tx.db.fail(ctx, "save operation", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return tx.db.fail(ctx, "save operation", err)
	}
	if n == 0 {
		return cinder.Errorf(cinder.KindConflict, "Operation %s is settled, or another process has taken it over.", was.ID)
	}
	return nil
}

// operationValues returns the values of all columns, in the order of operationColumns.
func operationValues(op cinder.Operation) ([]any, error) {
	roles, err := jsonValue(op.Caller.Roles)
	if err != nil {
		return nil, err
	}
	before, err := jsonValue(op.Before)
	if err != nil {
		return nil, err
	}
	shown, err := jsonValue(op.Shown)
	if err != nil {
		return nil, err
	}
	after, err := jsonValue(op.After)
	if err != nil {
		return nil, err
	}
	progress, err := jsonValue(op.Progress)
	if err != nil {
		return nil, err
	}
	return []any{
		op.ID, stored(op.Kind), stored(op.State),
		op.Caller.UserID, op.Caller.ProjectID, roles, op.Caller.IsAdmin, op.Caller.RequestID, op.Caller.GlobalRequestID, op.Caller.Address,
		op.Binary, op.Host, op.Cluster, op.Detail, before, shown, after,
		op.Owner, timeValue(op.LeaseUntil), timeValue(op.Deadline), timeValue(op.StartedAt), timeValue(op.SettledAt), op.Outcome, progress,
	}, nil
}

func readOperations(ctx context.Context, q querier, query string, args ...any) ([]cinder.Operation, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return scanOperations(rows)
}

// scanOperations reads all rows and closes them.
func scanOperations(rows *sql.Rows) (_ []cinder.Operation, err error) {
	defer func() { err = firstError(err, rows.Close()) }()
	var ops []cinder.Operation
	c := newCells(operationCells)
	for rows.Next() {
		if err := c.scan(rows); err != nil {
			return nil, err
		}
		op, err := c.operation()
		if err != nil {
			return nil, fmt.Errorf("operation %s: %w", op.ID, err)
		}
		ops = append(ops, op)
	}
	return ops, rows.Err()
}

// operation reads operationColumns.
func (c *cells) operation() (op cinder.Operation, err error) {
	op.ID, op.Kind, op.State = c.text(), read[cinder.OperationKind](c.text()), read[cinder.OperationState](c.text())
	op.Caller.UserID, op.Caller.ProjectID = c.text(), c.text()
	err = c.json(&op.Caller.Roles)
	op.Caller.IsAdmin, op.Caller.RequestID, op.Caller.GlobalRequestID, op.Caller.Address = c.flag(), c.text(), c.text(), c.text()
	op.Binary, op.Host, op.Cluster, op.Detail = c.text(), c.text(), c.text(), c.text()
	for _, rows := range []*cinder.Rows{&op.Before, &op.Shown, &op.After} {
		err = firstError(err, c.json(rows))
	}
	op.Owner, op.LeaseUntil, op.Deadline, op.StartedAt, op.SettledAt = c.text(), c.time(), c.time(), c.time(), c.time()
	op.Outcome = c.text()
	if text := c.textOrNil(); text != nil {
		err = firstError(err, json.Unmarshal([]byte(*text), &op.Progress))
	}
	return op, err
}
