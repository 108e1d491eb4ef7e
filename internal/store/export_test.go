package store

import "context"

// ExecWriter runs a statement on the one connection that writes to a file.
func ExecWriter(ctx context.Context, db *DB, statement string) error {
	_, err := db.writer.ExecContext(ctx, statement)
	return err
}
