package store

import (
	"context"
	"time"

	"stoker/internal/cinder"
)

// Workers returns the unfinished work of a service, given by its row's id, that r
// selects, by id. Fails with KindUnavailable.
func (db *DB) Workers(ctx context.Context, service int64, r cinder.CleanupRequest) ([]cinder.Worker, error) {
	var workers []cinder.Worker
	err := db.read(ctx, "read workers", func(ctx context.Context, tx querier) (err error) {
		workers, err = readWorkers(ctx, tx, service, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return workers, nil
}

func readWorkers(ctx context.Context, q querier, service int64, r cinder.CleanupRequest) (_ []cinder.Worker, err error) {
	rows, err := q.QueryContext(ctx, `SELECT id, resource_type, resource_id, status, service_id, race_preventer, COALESCE(updated_at, NULL)
		FROM workers WHERE COALESCE(deleted, FALSE) = FALSE AND service_id = ? ORDER BY id`, service)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, rows.Close()) }()
	var workers []cinder.Worker
	c := newCells(7)
	for rows.Next() {
		if err := c.scan(rows); err != nil {
			return nil, err
		}
		w := cinder.Worker{
			ID: c.number(), ResourceType: c.text(), ResourceID: c.text(), Status: c.text(), ServiceID: c.number(), RacePreventer: c.number(),
		}
		since := c.time()
		if (r.ResourceType == "" || r.ResourceType == w.ResourceType) && (r.ResourceID == "" || r.ResourceID == w.ResourceID) &&
			(r.Until.IsZero() || !since.After(r.Until)) {
			workers = append(workers, w)
		}
	}
	return workers, rows.Err()
}

// EndWork removes the entry of interrupted work. If the resource still has the status
// of that work, it gets status or, when that is "", the status that its attachments
// imply. ok is false, and nothing is written, when somebody else has taken over the
// work. Fails with KindUnavailable.
func (db *DB) EndWork(ctx context.Context, w cinder.Worker, status string) (ok bool, err error) {
	table, known := map[string]string{cinder.ResourceVolume: "volumes", cinder.ResourceSnapshot: "snapshots"}[w.ResourceType]
	if !known {
		return false, cinder.Errorf(cinder.KindInvalid, "There is no work on a %s.", w.ResourceType)
	}
	err = db.Update(ctx, func(tx *Tx) error {
		result, err := tx.tx.ExecContext(ctx, `DELETE FROM workers WHERE id = ? AND status = ? AND service_id = ? AND race_preventer = ?`,
			w.ID, w.Status, w.ServiceID, w.RacePreventer)
		if err != nil {
			return db.fail(ctx, "end work", err)
		}
		n, err := result.RowsAffected()
		if ok = n > 0; err != nil || !ok {
			return err
		}
		c := change{dialect: db.dialect, table: table}
		if status == "" {
			c.set = append(c.set, `status = CASE WHEN attach_status = 'attached' THEN 'in-use' ELSE 'available' END`)
			c.where, c.whereArgs = append(c.where, `status = ?`), append(c.whereArgs, w.Status)
		} else {
			c.text("status", w.Status, status)
		}
		c.time("updated_at", time.Time{}, tx.now)
		if _, err := c.run(ctx, tx.tx, w.ResourceID); err != nil {
			return db.fail(ctx, "end work", err)
		}
		return nil
	})
	return ok && err == nil, err
}
