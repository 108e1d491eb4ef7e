package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/cli/format"
	"stoker/internal/store"
)

// syncDB makes the schema and says what it did.
func syncDB(ctx context.Context, o DBOptions) error {
	return withDB(ctx, o, func(db *store.DB) error {
		report, err := db.Sync(ctx)
		if err != nil {
			return err
		}
		if report.Empty() {
			fmt.Fprintln(o.Out, "Nothing to do: the schema is there.")
		}
		for _, name := range report.Applied {
			fmt.Fprintf(o.Out, "Applied %s\n", name)
		}
		for _, name := range report.Created {
			fmt.Fprintf(o.Out, "Created %s\n", name)
		}
		if len(report.Newer) > 0 {
			fmt.Fprintf(o.Out, "A newer Stoker has applied migrations that this one does not know: %s. They stay, and this one may write as well.\n", list(report.Newer))
		}
		return nil
	})
}

// checkDB says what the database is. What sync would add is a failure.
func checkDB(ctx context.Context, o DBOptions) error {
	return withDB(ctx, o, func(db *store.DB) error {
		r, err := db.Check(ctx)
		if cinder.KindOf(err) == cinder.KindInvalid {
			return err // the server's own reason
		}
		if err != nil {
			return cmp.Or(db.Ready(ctx), err) // which knows what to do about a file that is not there
		}
		record := checked(r)
		writes := db.TakesWrites(ctx)
		if cinder.KindOf(writes) == cinder.KindUnavailable {
			record = append(record, format.Field{Name: "Changes", Value: db.Trouble(writes)})
		}
		if err := format.Write(o.Out, "table", nil, record.Table()); err != nil {
			return err
		}
		return cmp.Or(db.Ready(ctx), writes)
	})
}

// checked is a report as the operator reads it.
func checked(r store.CheckReport) format.Record {
	made := "schema revision " + r.CinderRevision
	if r.CinderRevision == "" {
		made = "has not made this database"
	}
	clock := r.ClockDifference.Round(10 * time.Millisecond)
	about := "as here"
	switch {
	case clock > 0:
		about = clock.String() + " ahead of this machine's"
	case clock < 0:
		about = (-clock).String() + " behind this machine's"
	}
	record := format.Record{
		{Name: "Database", Value: r.Database},
		{Name: "Engine", Value: r.Engine + " " + r.Version},
		{Name: "Cinder", Value: made},
		{Name: "Clock", Value: about},
		{Name: "Migrations", Value: cmp.Or(strings.Join(r.Migrations, ", "), "none")},
		{Name: "Missing migrations", Value: cmp.Or(strings.Join(r.Pending, ", "), "none")},
	}
	if r.Exposed {
		record = append(record, format.Field{Name: "File mode", Value: fmt.Sprintf("%04o: every user of this machine can read it; chmod o= it, its -wal and its -shm", r.Mode)})
	}
	if len(r.Newer) > 0 {
		record = append(record, format.Field{Name: "Migrations of a newer Stoker", Value: fmt.Sprintf("%s (this one knows up to %d)", list(r.Newer), r.Known)})
	}
	for _, t := range r.Tables {
		rows := fmt.Sprintf("%d rows", t.Rows)
		if t.Rows < 0 {
			rows = "is not there"
		}
		record = append(record, format.Field{Name: t.Name, Value: rows})
	}
	return record
}

// list is numbers as a sentence has them.
func list(numbers []int64) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ", "), "[]")
}

// withDB does something to the database.
func withDB(ctx context.Context, o DBOptions, do func(*store.DB) error) error {
	db, err := store.Open(ctx, app.StoreOptions(o.Config, nil))
	if err != nil {
		return err
	}
	err = do(db)
	if closed := db.Close(); err == nil {
		err = closed
	}
	return err
}
