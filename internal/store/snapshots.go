package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"stoker/internal/cinder"
)

// snapshot is the part of a snapshot's row that a failover changes.
type snapshot struct {
	id     string
	status string
	before *cinder.BeforeFailover
}

// snapshotsDown sets the snapshots of volumes that a failover lost to error.
func (tx *Tx) snapshotsDown(ctx context.Context, volumes []string) error {
	snapshots, err := tx.snapshots(ctx, volumes)
	if err != nil {
		return err
	}
	var marks []mark
	for _, s := range snapshots {
		if s.before != nil || cinder.Failed(s.status) {
			continue
		}
		ok, err := tx.saveSnapshot(ctx, s, cinder.StatusError)
		if err != nil {
			return err
		}
		if ok {
			marks = append(marks, mark{s.id, cinder.BeforeFailover{Status: s.status}})
		}
	}
	return tx.saveMarks(ctx, resourceSnapshot, marks)
}

// snapshotsBack restores the status of the volumes' snapshots, unless somebody has
// changed it since.
func (tx *Tx) snapshotsBack(ctx context.Context, volumes []string) error {
	snapshots, err := tx.snapshots(ctx, volumes)
	if err != nil {
		return err
	}
	var forgotten []string
	for _, s := range snapshots {
		if s.before == nil {
			continue
		}
		if s.status == cinder.StatusError && cinder.Lasting(s.before.Status) {
			if _, err := tx.saveSnapshot(ctx, s, s.before.Status); err != nil {
				return err
			}
		}
		forgotten = append(forgotten, s.id)
	}
	return tx.deleteMarks(ctx, resourceSnapshot, forgotten)
}

// saveSnapshot reports whether the snapshot was as it had been read.
func (tx *Tx) saveSnapshot(ctx context.Context, s snapshot, status string) (bool, error) {
	c := change{dialect: tx.db.dialect, table: "snapshots"}
	c.text("status", s.status, status)
	c.time("updated_at", time.Time{}, tx.now)
	return c.run(ctx, tx.tx, s.id)
}

// snapshots returns the snapshots of the volumes, by id.
func (tx *Tx) snapshots(ctx context.Context, volumes []string) (_ []snapshot, err error) {
	if len(volumes) == 0 {
		return nil, nil
	}
	rows, err := tx.tx.QueryContext(ctx, `SELECT s.id, s.status, f.id, f.status, f.previous_status, f.replication_status
		FROM snapshots s LEFT JOIN stoker_failed_over f ON f.resource = 'snapshot' AND f.id = s.id
		WHERE COALESCE(s.deleted, FALSE) = FALSE AND s.volume_id IN (`+places(len(volumes))+`)`, anys(volumes)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, rows.Close()) }()
	var found []snapshot
	c := newCells(6)
	for rows.Next() {
		if err := c.scan(rows); err != nil {
			return nil, err
		}
		found = append(found, snapshot{id: c.text(), status: c.label(), before: c.before()})
	}
	slices.SortFunc(found, func(a, b snapshot) int { return strings.Compare(a.id, b.id) })
	return found, rows.Err()
}
