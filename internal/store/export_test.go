package store

import "context"

// ExecWriter runs a statement on a file's one connection that writes.
func (db *DB) ExecWriter(ctx context.Context, statement string) error {
	_, err := db.writer.ExecContext(ctx, statement)
	return err
}
