package store

import (
	"context"
	"strings"
	"time"

	"stoker/internal/cinder"
)

// Operations reads the operations of the journal that q selects, the newest
// first. KindNotFound when q's marker is no operation; KindUnavailable.
func (db *DB) Operations(ctx context.Context, q cinder.OperationQuery) (ops []cinder.Operation, err error) {
	err = db.read(ctx, "read the journal", func(ctx context.Context, tx querier) error {
		var marker *cinder.Operation
		if q.Marker != "" {
			found, err := readOperation(ctx, tx, q.Marker)
			if err != nil {
				return err
			}
			marker = &found
		}
		query, args := operationsQuery(q, marker)
		ops, err = readOperations(ctx, tx, query, args...)
		return err
	})
	return ops, err
}

// Operation reads one operation; KindNotFound when there is none of that id.
func (db *DB) Operation(ctx context.Context, id string) (op cinder.Operation, err error) {
	err = db.read(ctx, "read the journal", func(ctx context.Context, tx querier) (err error) {
		op, err = readOperation(ctx, tx, id)
		return err
	})
	return op, err
}

func readOperation(ctx context.Context, q querier, id string) (cinder.Operation, error) {
	found, err := readOperations(ctx, q, `SELECT `+operationColumns+` FROM stoker_operations WHERE id = ?`, id)
	if err != nil {
		return cinder.Operation{}, err
	}
	for _, op := range found {
		if op.ID == id { // engines differ in what they take for the same text
			return op, nil
		}
	}
	return cinder.Operation{}, cinder.Errorf(cinder.KindNotFound, "Operation %s could not be found.", id)
}

func operationsQuery(q cinder.OperationQuery, marker *cinder.Operation) (string, []any) {
	var text strings.Builder
	var args []any
	and := func(condition string, values ...any) {
		if len(args) == 0 {
			text.WriteString(` WHERE `)
		} else {
			text.WriteString(` AND `)
		}
		text.WriteString(condition)
		args = append(args, values...)
	}
	text.WriteString(`SELECT ` + operationColumns + ` FROM stoker_operations`)
	for _, is := range []struct {
		column string
		value  *string
	}{
		{"cluster_name", q.Cluster},
		{`"binary"`, q.Binary},
		{"kind", q.Kind},
		{"state", q.State},
		{"user_id", q.UserID},
	} {
		if is.value != nil {
			and(exactly(is.column), *is.value, *is.value)
		}
	}
	if q.Host != nil {
		and(`(`+exactly("host")+` OR SUBSTR(host, 1, ?) = ?)`, *q.Host, *q.Host, len([]rune(*q.Host))+1, *q.Host+"@")
	}
	if !q.Since.IsZero() {
		and(`started_at >= ?`, timeValue(q.Since))
	}
	if !q.Before.IsZero() {
		and(`started_at < ?`, timeValue(q.Before))
	}
	if marker != nil {
		started := timeValue(marker.StartedAt)
		and(`(started_at < ? OR started_at = ? AND id < ?)`, started, started, marker.ID)
	}
	text.WriteString(` ORDER BY started_at DESC, id DESC`)
	if q.Limit > 0 {
		text.WriteString(` LIMIT ?`)
		args = append(args, q.Limit)
	}
	return text.String(), args
}

// exactly is the condition that a column of ours is a text, which it takes twice,
// to the letter, in words that an index serves: MySQL ignores trailing spaces.
func exactly(column string) string { return column + ` = ? AND LENGTH(` + column + `) = LENGTH(?)` }

// OperationOf is the id of the first operation that the request of that id has
// begun; "" when it has begun none.
func (tx *Tx) OperationOf(ctx context.Context, request string) (string, error) {
	if request == "" {
		return "", nil
	}
	ids, err := names(ctx, tx.tx, `SELECT id FROM stoker_operations WHERE request_id = ? ORDER BY started_at, id LIMIT 1`, request)
	if err != nil {
		return "", tx.db.fail(ctx, "read the journal", err)
	}
	if len(ids) == 0 {
		return "", nil
	}
	return ids[0], nil
}

// Prune removes up to limit operations that started before then and are neither
// open nor watched, the oldest first, and says how many it has removed.
func (tx *Tx) Prune(ctx context.Context, then time.Time, limit int) (int, error) {
	ids, err := names(ctx, tx.tx, `SELECT id FROM stoker_operations
		WHERE started_at < ? AND state NOT IN ('open', 'watched') ORDER BY started_at LIMIT ?`, timeValue(then), limit)
	if err != nil {
		return 0, tx.db.fail(ctx, "prune the journal", err)
	}
	for _, id := range ids {
		if _, err := tx.tx.ExecContext(ctx, `DELETE FROM stoker_operations WHERE id = ?`, id); err != nil {
			return 0, tx.db.fail(ctx, "prune the journal", err)
		}
	}
	return len(ids), nil
}
