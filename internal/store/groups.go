package store

import (
	"context"
	"time"

	"stoker/internal/cinder"
)

// Groups returns the groups of an owner, by id. Fails with KindUnavailable.
func (db *DB) Groups(ctx context.Context, owner cinder.Owner) ([]cinder.Group, error) {
	var groups []cinder.Group
	err := db.read(ctx, "read groups", func(ctx context.Context, tx querier) (err error) {
		groups, err = readGroups(ctx, db.dialect, tx, owner)
		return err
	})
	if err != nil {
		return nil, err
	}
	return groups, nil
}

func readGroups(ctx context.Context, d dialect, q querier, owner cinder.Owner) (_ []cinder.Group, err error) {
	condition, args := ownedBy(d, owner, "g")
	rows, err := q.QueryContext(ctx, `SELECT g.id, g.host, g.cluster_name, g.status, g.replication_status,
			f.id, f.status, f.previous_status, f.replication_status
		FROM "groups" g LEFT JOIN stoker_failed_over f ON f.resource = 'group' AND f.id = g.id
		WHERE COALESCE(g.deleted, FALSE) = FALSE AND `+condition+` ORDER BY g.id`, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, rows.Close()) }()
	var groups []cinder.Group
	c := newCells(9)
	for rows.Next() {
		if err := c.scan(rows); err != nil {
			return nil, err
		}
		id, host, cluster := c.text(), c.label(), c.label()
		g := cinder.Group{ID: id, Status: c.label(), ReplicationStatus: cinder.ReplicationStatus(c.label()), Before: c.before()}
		if owns(owner, host, cluster) {
			groups = append(groups, g)
		}
	}
	return groups, rows.Err()
}

// SaveGroups writes the changed columns of the groups whose rows still match Was, and
// records or deletes their marks: all of them or, on error, none. It returns the ids of
// the groups that it skipped. Fails with KindUnavailable.
func (db *DB) SaveGroups(ctx context.Context, changes []cinder.GroupChange) (missed []string, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		var marks []mark
		var forgotten []string
		missed = nil
		for _, g := range changes {
			c := change{dialect: db.dialect, table: `"groups"`}
			c.text("status", g.Was.Status, g.Now.Status)
			c.text("replication_status", string(g.Was.ReplicationStatus), string(g.Now.ReplicationStatus))
			if len(c.set) > 0 {
				c.time("updated_at", time.Time{}, tx.now)
			}
			ok, err := c.run(ctx, tx.tx, g.Was.ID)
			switch {
			case err != nil:
				return db.fail(ctx, "save group", err)
			case !ok:
				missed = append(missed, g.Was.ID)
			case g.Was.Before == nil && g.Now.Before != nil:
				marks = append(marks, mark{g.Was.ID, *g.Now.Before})
			case g.Was.Before != nil && g.Now.Before == nil:
				forgotten = append(forgotten, g.Was.ID)
			}
		}
		err := tx.saveMarks(ctx, resourceGroup, marks)
		if err == nil {
			err = tx.deleteMarks(ctx, resourceGroup, forgotten)
		}
		if err != nil {
			return db.fail(ctx, "save groups", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return missed, nil
}
