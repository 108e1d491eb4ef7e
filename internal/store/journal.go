package store

import (
	"context"
	"time"

	"stoker/internal/cinder"
)

// Operations returns the operations that q selects, newest first, from as many pages as
// it takes. KindNotFound when q's marker is no operation; KindUnavailable.
func (db *DB) Operations(ctx context.Context, q cinder.OperationQuery) (ops []cinder.Operation, err error) {
	limit := q.Limit
	for {
		page, err := db.OperationPage(ctx, q)
		if err != nil {
			return nil, err
		}
		ops = append(ops, page.Operations...)
		if q.Limit = limit - len(ops); page.Next == "" || limit > 0 && q.Limit == 0 {
			return ops, nil
		}
		q.Limit, q.Marker = max(q.Limit, 0), page.Next
	}
}

// OperationPage returns one page of them. KindNotFound when q's marker is no operation;
// KindUnavailable.
func (db *DB) OperationPage(ctx context.Context, q cinder.OperationQuery) (page cinder.OperationPage, err error) {
	err = db.read(ctx, "read the journal", func(ctx context.Context, tx querier) error {
		page, err = db.readPage(ctx, tx, q)
		return err
	})
	return page, err
}

// Operation reads one operation; KindNotFound when there is none with that id.
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
		if op.ID == id { // engines differ in which texts they consider equal
			return op, nil
		}
	}
	return cinder.Operation{}, cinder.Errorf(cinder.KindNotFound, "Operation %s could not be found.", id)
}

// OperationOf returns the id of the first operation that the request with this id
// began; "" when there is none.
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

// Prune removes up to limit operations that started before then and are neither open
// nor watched, oldest first, and returns how many it removed.
func (tx *Tx) Prune(ctx context.Context, then time.Time, limit int) (int, error) {
	ids, err := names(ctx, tx.tx, `SELECT id FROM stoker_operations
		WHERE started_at < ? AND `+unindexed("state")+` NOT IN ('open', 'watched') ORDER BY started_at, id LIMIT ?`, timeValue(then), limit)
	if err == nil {
		err = deleteRows(ctx, tx.tx, "stoker_operations", ids)
	}
	if err != nil {
		return 0, tx.db.fail(ctx, "prune the journal", err)
	}
	return len(ids), nil
}
