package store

import (
	"context"
	"time"

	"stoker/internal/cinder"
)

// Volumes returns a page of an owner's volumes, by id: at most limit of those with ids
// after after. It is empty only when there are no more. changed selects only volumes
// that a failover has marked. Fails with KindUnavailable.
func (db *DB) Volumes(ctx context.Context, owner cinder.Owner, changed bool, after string, limit int) ([]cinder.Volume, error) {
	var volumes []cinder.Volume
	err := db.read(ctx, "read volumes", func(ctx context.Context, tx querier) error {
		for volumes = nil; len(volumes) == 0; {
			n, last, err := readVolumes(ctx, db.dialect, tx, owner, changed, after, limit, &volumes)
			if err != nil || n < limit {
				return err
			}
			after = last
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return volumes, nil
}

// readVolumes appends one page of the owner's volumes. It returns how many rows it
// read, including other owners' rows, and the last id.
func readVolumes(ctx context.Context, d dialect, q querier, owner cinder.Owner, changed bool, after string, limit int, volumes *[]cinder.Volume) (n int, last string, err error) {
	condition, args := ownedBy(d, owner, "v")
	join := "LEFT JOIN"
	if changed {
		join = "JOIN"
	}
	rows, err := q.QueryContext(ctx, `SELECT v.id, v.host, v.cluster_name, v._name_id, v.group_id, v.status, v.previous_status,
			v.replication_status, v.replication_driver_data, f.id, f.status, f.previous_status, f.replication_status
		FROM volumes v `+join+` stoker_failed_over f ON f.resource = 'volume' AND f.id = v.id
		WHERE COALESCE(v.deleted, FALSE) = FALSE AND `+condition+` AND v.id > ? ORDER BY v.id LIMIT ?`, append(args, after, limit)...)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = firstError(err, rows.Close()) }()
	c := newCells(13)
	for ; rows.Next(); n++ {
		if err := c.scan(rows); err != nil {
			return 0, "", err
		}
		last = c.text()
		host, cluster := c.label(), c.label()
		v := cinder.Volume{
			ID: last, Name: c.text(), Group: c.text(), Status: c.label(), PreviousStatus: c.textOrNil(),
			ReplicationStatus: cinder.ReplicationStatus(c.label()), DriverData: c.textOrNil(), Before: c.before(),
		}
		if v.Name == "" { // else it is the id of another volume, which it replaced in a migration
			v.Name = v.ID
		}
		v.Name = "volume-" + v.Name
		if owns(owner, host, cluster) {
			*volumes = append(*volumes, v)
		}
	}
	return n, last, rows.Err()
}

// SaveVolumes writes the changed columns of the volumes whose rows still match Was, and
// records or deletes their marks: all of them or, on error, none. It returns the ids of
// the volumes that it skipped. The snapshots of a volume that goes to error go there
// too; when the volume comes back, or its mark is deleted, they come back. Fails with
// KindUnavailable.
func (db *DB) SaveVolumes(ctx context.Context, changes []cinder.VolumeChange) (missed []string, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		var marks []mark
		var forgotten, down, back []string
		missed = nil
		for _, c := range changes {
			ok, err := tx.saveVolume(ctx, c.Was, c.Now)
			if err != nil {
				return db.fail(ctx, "save volume", err)
			}
			if !ok {
				missed = append(missed, c.Was.ID)
				continue
			}
			switch was, now := c.Was.Before, c.Now.Before; {
			case was == nil && now != nil:
				marks = append(marks, mark{c.Was.ID, *now})
			case was != nil && now == nil:
				forgotten = append(forgotten, c.Was.ID)
			}
			switch wasDown, isDown := c.Was.Status == cinder.StatusError, c.Now.Status == cinder.StatusError; {
			case !wasDown && isDown:
				down = append(down, c.Was.ID)
			case wasDown && !isDown, c.Was.Before != nil && c.Now.Before == nil:
				back = append(back, c.Was.ID)
			}
		}
		for _, step := range []func() error{
			func() error { return tx.saveMarks(ctx, resourceVolume, marks) },
			func() error { return tx.deleteMarks(ctx, resourceVolume, forgotten) },
			func() error { return tx.snapshotsDown(ctx, down) },
			func() error { return tx.snapshotsBack(ctx, back) },
		} {
			if err := step(); err != nil {
				return db.fail(ctx, "save volumes", err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return missed, nil
}

// saveVolume reports whether the volume was as expected.
func (tx *Tx) saveVolume(ctx context.Context, was, now cinder.Volume) (bool, error) {
	c := change{dialect: tx.db.dialect, table: "volumes"}
	c.text("status", was.Status, now.Status)
	c.pointer("previous_status", was.PreviousStatus, now.PreviousStatus)
	c.text("replication_status", string(was.ReplicationStatus), string(now.ReplicationStatus))
	c.pointer("replication_driver_data", was.DriverData, now.DriverData)
	if len(c.set) > 0 {
		c.time("updated_at", time.Time{}, tx.now)
	}
	return c.run(ctx, tx.tx, was.ID)
}
