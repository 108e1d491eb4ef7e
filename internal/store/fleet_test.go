package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"golang.org/x/sync/errgroup"

	"stoker/internal/cinder"
)

func fleetOfOne(t *testing.T) (*DB, string) {
	t.Helper()
	db, path := prepared(t)
	if _, err := db.Register(t.Context(), cinder.Service{Host: "h@b", Binary: cinder.BinaryVolume}); err != nil {
		t.Fatal(err)
	}
	return db, path
}

func mustView(t *testing.T, db *DB) *Snapshot {
	t.Helper()
	v, err := db.View(t.Context(), cinder.ServiceQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestViewIsReadOnce(t *testing.T) {
	db, path := fleetOfOne(t)
	first := mustView(t, db)
	if _, err := db.View(t.Context(), cinder.ServiceQuery{Host: &first.Services[0].Host}); err != nil {
		t.Fatal(err)
	}
	second := mustView(t, db)
	if &first.Services[0] != &second.Services[0] {
		t.Error("read anew though nothing was written")
	}
	if !second.Now.After(first.Now) {
		t.Errorf("its time is %v after %v, want the time of the call", second.Now, first.Now)
	}
	run(t, foreign(t, path), `UPDATE services SET disabled_reason = 'x'`)
	third := mustView(t, db)
	if &third.Services[0] == &first.Services[0] || first.Services[0].DisabledReason != nil || third.Services[0].DisabledReason == nil {
		t.Errorf("after a write %+v, before it %+v", third.Services[0], first.Services[0])
	}
}

func TestViewRecovers(t *testing.T) {
	db, path := fleetOfOne(t)
	mustView(t, db)
	other := foreign(t, path)
	for range 3 {
		run(t, other, `ALTER TABLE services RENAME TO elsewhere`)
		for range 2 {
			if _, err := db.View(t.Context(), cinder.ServiceQuery{}); err == nil {
				t.Fatal("no error without a table")
			}
		}
		run(t, other, `ALTER TABLE elsewhere RENAME TO services`, `UPDATE services SET report_count = report_count + 1`)
		mustView(t, db)
	}
	if got := mustView(t, db).Services[0].ReportCount; got != 3 {
		t.Errorf("report count %d, want 3", got)
	}
	run(t, other, `INSERT INTO stoker_operations SELECT 'x', '', 'open', '', '', '[', 0, '', '', '', '', '', '', '', '{}', '{}', '{}', '', NULL, NULL, NULL, NULL, '', NULL`)
	if _, err := db.View(t.Context(), cinder.ServiceQuery{}); err == nil {
		t.Error("no error for an operation that cannot be read")
	}
	run(t, other, `DELETE FROM stoker_operations`, `ALTER TABLE stoker_operations RENAME TO elsewhere`)
	if _, err := db.View(t.Context(), cinder.ServiceQuery{}); err == nil {
		t.Error("no error without a journal")
	}
}

// TestViewersShareAQuestion checks that of all callers that wait at the same moment,
// one queries the database, after all of them have called; also when the answer is an
// error.
func TestViewersShareAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, path := fleetOfOne(t)
		mustView(t, db)
		for _, broken := range []bool{false, true} {
			asked := db.fleet.asked.Load()
			db.fleet.turn <- struct{}{} // a query is under way
			var viewers errgroup.Group
			for range 10 {
				viewers.Go(func() error {
					v, err := db.View(t.Context(), cinder.ServiceQuery{})
					if err == nil && v.Services[0].DisabledReason == nil {
						t.Error("a viewer was shown what had been asked for before it came")
					}
					return err
				})
			}
			synctest.Wait()
			run(t, foreign(t, path), `UPDATE services SET disabled_reason = 'x'`)
			if broken {
				run(t, foreign(t, path), `ALTER TABLE services RENAME TO elsewhere`)
			}
			<-db.fleet.turn
			if err := viewers.Wait(); (err != nil) != broken {
				t.Errorf("error %v, want one: %v", err, broken)
			}
			if got := db.fleet.asked.Load() - asked; got != 1 {
				t.Errorf("asked %d times for ten viewers, want once", got)
			}
		}
	})
}

func TestViewersMayGo(t *testing.T) {
	db, _ := fleetOfOne(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	db.fleet.turn <- struct{}{}
	_, err := db.View(ctx, cinder.ServiceQuery{})
	<-db.fleet.turn
	if got, want := cinder.KindOf(err), cinder.KindUnavailable; err == nil || got != want || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of kind %v, want %v", err, got, want)
	}
	mustView(t, db)
}
