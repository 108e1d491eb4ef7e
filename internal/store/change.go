package store

import (
	"context"
	"slices"
	"strings"
	"time"
)

// change is an UPDATE of one row of a Cinder table. It writes only the columns that
// differ, on condition that they still have the values that were read.
type change struct {
	dialect dialect
	table   string

	set, where         []string
	setArgs, whereArgs []any
}

func (c *change) add(column, condition string, was, now any) {
	c.set = append(c.set, column+" = ?")
	c.setArgs = append(c.setArgs, now)
	c.where = append(c.where, condition)
	c.whereArgs = append(c.whereArgs, was)
}

// flag treats NULL as false.
func (c *change) flag(column string, was, now bool) {
	if was != now {
		c.add(column, "COALESCE("+column+", FALSE) = ?", was, now)
	}
}

// text treats NULL as "", and writes "" as NULL.
func (c *change) text(column, was, now string) {
	if was != now {
		c.add(column, c.dialect.sameText(column), was, textValue(now))
	}
}

func (c *change) pointer(column string, was, now *string) {
	if before, after := pointerValue(was), pointerValue(now); before != after {
		c.add(column, c.dialect.same(column), before, after)
	}
}

func (c *change) time(column string, was, now time.Time) {
	before, after := secondsValue(was), secondsValue(now)
	switch {
	case before == after:
	case was.IsZero(): // NULL or unreadable: no information is overwritten
		c.set, c.setArgs = append(c.set, column+" = ?"), append(c.setArgs, after)
	default:
		c.add(column, c.dialect.sameTime(column), before, after)
	}
}

// run reports whether the row was as expected. With nothing to write it is.
func (c *change) run(ctx context.Context, q querier, id any) (bool, error) {
	if len(c.set) == 0 {
		return true, nil
	}
	where := append([]string{"id = ?", "COALESCE(deleted, FALSE) = FALSE"}, c.where...)
	query := "UPDATE " + c.table + " SET " + strings.Join(c.set, ", ") + " WHERE " + strings.Join(where, " AND ")
	result, err := q.ExecContext(ctx, query, append(append(c.setArgs, id), c.whereArgs...)...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// deleteChunk is how many ids one DELETE names: with hundreds, a planner may prefer a
// scan of the whole table.
const deleteChunk = 50

// deleteRows deletes the rows with these ids from one of our tables.
func deleteRows(ctx context.Context, q querier, table string, ids []string) error {
	for chunk := range slices.Chunk(ids, deleteChunk) {
		if _, err := q.ExecContext(ctx, `DELETE FROM `+table+` WHERE id IN (`+places(len(chunk))+`)`, anys(chunk)...); err != nil {
			return err
		}
	}
	return nil
}
