package storetest

import (
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// reads checks Read, which blocks no change.
func reads(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	t.Run("all of one moment, and no change waits", func(t *testing.T) {
		d := create(t)
		db, other := d.Open(t), d.Open(t)
		was := register(t, db, volume("h@b"))
		err := db.Read(t.Context(), func(tx *store.Tx) error {
			before, err := tx.Services(t.Context(), cinder.ServiceQuery{Host: &was.Host})
			if err != nil {
				return err
			}
			update(t, other, func(tx *store.Tx) error { // if Read took the turn, this would wait for ever
				now := was
				now.Disabled = true
				return tx.SaveService(t.Context(), was, now)
			})
			after, err := tx.Services(t.Context(), cinder.ServiceQuery{Host: &was.Host})
			wantSame(t, "rows read again", after, before)
			if now := tx.Now(); now.IsZero() || now.Nanosecond() != 0 {
				t.Errorf("the time is %s, want one in whole seconds", now)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Read(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.Services(t.Context(), cinder.ServiceQuery{Host: &was.Host})
			if err == nil && (len(rows) != 1 || !rows[0].Disabled) {
				t.Errorf("rows %v, want what was acknowledged before", rows)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("nothing is written", func(t *testing.T) {
		db := create(t).Open(t)
		was := register(t, db, volume("h@b"))
		err := db.Read(t.Context(), func(tx *store.Tx) error {
			now := was
			now.Disabled = true
			return tx.SaveService(t.Context(), was, now)
		})
		if err == nil {
			t.Error("a write in a read is taken")
		}
		wantSame(t, "row", row(t, db, was.ID), was)
	})
}
