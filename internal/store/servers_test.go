package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"stoker/internal/cinder"
	"stoker/internal/store"
	"stoker/test/peers"
)

// dedicatedServer starts a server for this test alone.
func dedicatedServer(t *testing.T, e engine) *peers.Database {
	t.Helper()
	if e.name == "mysql" {
		return peers.StartMariaDB(t)
	}
	return peers.StartPostgres(t)
}

func serverEngines() []engine { return engines()[1:] }

// TestServerComesBack checks that after a server was killed and restarted, the first
// call of everyone succeeds and acknowledged changes are there.
func TestServerComesBack(t *testing.T) {
	for _, e := range serverEngines() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			server := dedicatedServer(t, e)
			url := server.New(t)
			prepare(t, url)
			db := openURL(t, url)
			s, err := db.Register(t.Context(), cinder.Service{Host: "h@b", Binary: cinder.BinaryVolume})
			if err != nil {
				t.Fatal(err)
			}
			for round := range 2 {
				seen(t, db, s.ID)
				server.Kill(t)
				calls := map[string]func() error{
					"list":    func() error { _, err := db.View(t.Context(), cinder.ServiceQuery{}); return err },
					"by name": func() error { _, err := db.View(t.Context(), cinder.ServiceQuery{Host: new("h")}); return err },
					"update":  func() error { return addOperation(t, db, fmt.Sprint("refused ", round)) },
					"beat":    func() error { _, err := db.Beat(t.Context(), s.ID); return err },
					"ready":   func() error { return db.Ready(t.Context()) },
				}
				waitUntilGone(t, db)
				for name, call := range calls {
					if err := call(); cinder.KindOf(err) != cinder.KindUnavailable {
						t.Errorf("%s without a server: %v, want that it is unavailable", name, err)
					}
				}
				server.Start(t)
				seen(t, db, s.ID)
				if err := addOperation(t, db, fmt.Sprint("done ", round)); err != nil {
					t.Errorf("update after the server came back: %v", err)
				}
				if missing, err := db.Beat(t.Context(), s.ID); err != nil || len(missing) > 0 {
					t.Errorf("beat after the server came back: missing %v, error %v", missing, err)
				}
			}
			if diff := cmp.Diff([]string{"done 0", "done 1"}, operationIDs(t, db)); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
		})
	}
}

// waitUntilGone waits until a killed server refuses everything: each existing
// connection may be answered once more by a child process. It writes nothing.
func waitUntilGone(tb testing.TB, db *store.DB) {
	tb.Helper()
	for began := time.Now(); ; pause(tb) {
		_, list := db.View(tb.Context(), cinder.ServiceQuery{})
		_, byName := db.View(tb.Context(), cinder.ServiceQuery{Host: new("h")})
		change := db.Update(tb.Context(), func(*store.Tx) error { return nil })
		if list != nil && byName != nil && change != nil {
			return
		}
		if time.Since(began) > time.Minute {
			tb.Fatalf("a minute after it was killed: list %v, by name %v, change %v", list, byName, change)
		}
	}
}

func seen(tb testing.TB, db *store.DB, id int64) {
	tb.Helper()
	v, err := db.View(tb.Context(), cinder.ServiceQuery{})
	if err != nil || len(v.Services) != 1 || v.Services[0].ID != id {
		tb.Fatalf("view %+v, error %v, want service %d", v, err, id)
	}
}

func addOperation(tb testing.TB, db *store.DB, id string) error {
	tb.Helper()
	return db.Update(tb.Context(), func(tx *store.Tx) error {
		return tx.AddOperation(tb.Context(), cinder.Operation{ID: id, State: cinder.OpOpen, StartedAt: tx.Now()})
	})
}

func operationIDs(tb testing.TB, db *store.DB) []string {
	tb.Helper()
	v, err := db.View(tb.Context(), cinder.ServiceQuery{})
	if err != nil {
		tb.Fatal(err)
	}
	var ids []string
	for _, op := range v.Open {
		ids = append(ids, op.ID)
	}
	return ids
}

// TestCutConnections cuts connections again and again: acknowledged changes are there
// once, refused ones are not there, and only those reported as unknown may be either.
func TestCutConnections(t *testing.T) {
	for _, e := range serverEngines() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			url := e.create(t)
			prepare(t, url)
			proxy := peers.NewProxy(t, strings.Split(strings.Split(url, "@")[1], "/")[0])
			db := openURL(t, proxy.In(t, url))
			const workers, each = 4, 30
			var outcomes [workers * each]error
			var done atomic.Int64
			var group errgroup.Group
			for w := range workers {
				group.Go(func() error {
					for i := range each {
						n := w*each + i
						outcomes[n] = addOperation(t, db, fmt.Sprintf("%03d", n))
						done.Add(1)
					}
					return nil
				})
			}
			group.Go(func() error {
				for cut := int64(5); cut < workers*each; cut += 5 {
					for done.Load() < cut {
						pause(t)
					}
					proxy.Cut()
					proxy.Restore()
				}
				return nil
			})
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			there := map[string]bool{}
			for _, id := range operationIDs(t, openURL(t, url)) {
				there[id] = true
			}
			acknowledged := 0
			for n, err := range outcomes {
				id := fmt.Sprintf("%03d", n)
				switch kind := cinder.KindOf(err); {
				case err == nil:
					acknowledged++
					if !there[id] {
						t.Errorf("operation %s was acknowledged and is lost", id)
					}
				case kind == cinder.KindUnavailable && there[id]:
					t.Errorf("operation %s was refused (%v) and is there", id, err)
				case kind != cinder.KindUnavailable && kind != cinder.KindTimeout:
					t.Errorf("operation %s: %v", id, err)
				}
			}
			if acknowledged < workers*each/2 {
				t.Errorf("%d of %d operations were acknowledged: short cuts should hardly be noticed", acknowledged, workers*each)
			}
		})
	}
}

// pause waits a millisecond.
func pause(tb testing.TB) {
	tb.Helper()
	timer := time.NewTimer(time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-tb.Context().Done():
	}
}

// TestStalledServer checks that an unresponsive server blocks nobody longer than the
// caller's timeout, and is used again when it responds.
func TestStalledServer(t *testing.T) {
	for _, e := range serverEngines() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			url := e.create(t)
			prepare(t, url)
			proxy := peers.NewProxy(t, strings.Split(strings.Split(url, "@")[1], "/")[0])
			db := openURL(t, proxy.In(t, url))
			s, err := db.Register(t.Context(), cinder.Service{Host: "h@b", Binary: cinder.BinaryVolume})
			if err != nil {
				t.Fatal(err)
			}
			seen(t, db, s.ID)
			proxy.Stall()
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := db.View(ctx, cinder.ServiceQuery{Host: new("h")}); cinder.KindOf(err) != cinder.KindUnavailable {
				t.Errorf("view: %v, want that it is unavailable", err)
			}
			err = db.Update(ctx, func(tx *store.Tx) error { return tx.AddOperation(ctx, cinder.Operation{ID: "1", State: cinder.OpOpen}) })
			if cinder.KindOf(err) != cinder.KindUnavailable {
				t.Errorf("update: %v, want that it is unavailable", err)
			}
			proxy.Cut() // what was stalled stays lost
			proxy.Restore()
			seen(t, db, s.ID)
			if ids := operationIDs(t, db); len(ids) != 0 {
				t.Errorf("operations %v, want none", ids)
			}
		})
	}
}

// TestOpenServerRefuses checks the one-line refusals of databases that cannot be ours.
func TestOpenServerRefuses(t *testing.T) {
	for _, e := range serverEngines() {
		t.Run(e.name, func(t *testing.T) {
			url := e.create(t)
			open := func(url string) error {
				db, err := store.Open(t.Context(), store.Options{URL: url})
				if err == nil {
					end(t, db)
				}
				return err
			}
			at := strings.LastIndex(url, "@")
			slash := at + strings.IndexByte(url[at:], '/')
			options := ""
			if i := strings.IndexByte(url, '?'); i > 0 {
				options = url[i:]
			}
			wantLine(t, open(url[:slash]+"/nowhere"+options), cinder.KindInvalid, "nowhere", "does not exist on that server")
			wantLine(t, open(url[:at]+"@127.0.0.1:1/x"), cinder.KindUnavailable, "127.0.0.1:1/x", "refused")
			if e.name == "mysql" {
				wantLine(t, open("mysql://nobody:secret"+url[at:]), cinder.KindInvalid, "does not let the user in")
			} else {
				wantLine(t, open("postgresql://nobody:secret"+url[at:]), cinder.KindInvalid, "does not let the user in")
			}
			wantLine(t, open(url[:slash]+"/x?sslmode=nonsense&ssl_ca=/nowhere.pem"), cinder.KindInvalid)

			db := e.raw(t, url)
			execOn(t, db, `CREATE TABLE instances (x INTEGER)`)
			wantLine(t, open(url), cinder.KindInvalid, "belongs to another program", "(instances)")
			execOn(t, db, `CREATE TABLE services (id INTEGER)`)
			wantLine(t, open(url), cinder.KindInvalid, "its table services has no column uuid")
		})
	}
}

// TestLongAndStrangeTexts checks that values which columns cannot store are refused,
// and that nothing is written.
func TestLongAndStrangeTexts(t *testing.T) {
	for _, e := range serverEngines() {
		t.Run(e.name, func(t *testing.T) {
			url := e.create(t)
			prepare(t, url)
			db := openURL(t, url)
			s, err := db.Register(t.Context(), cinder.Service{Host: "h@b", Binary: cinder.BinaryVolume})
			if err != nil {
				t.Fatal(err)
			}
			texts := map[string]string{"too long": strings.Repeat("x", 256), "NUL": "a\x00b"}
			if e.name == "mysql" { // its utf8 has no four-byte characters
				texts = map[string]string{"too long": strings.Repeat("é", 256), "four bytes": "tired 😴"}
			}
			for name, text := range texts {
				err := db.Update(t.Context(), func(tx *store.Tx) error {
					now := s
					now.DisabledReason = &text
					return tx.SaveService(t.Context(), s, now)
				})
				if cinder.KindOf(err) != cinder.KindInvalid || !strings.Contains(cinder.Message(err), "cannot save a value") {
					t.Errorf("%s: %v, want that the value is invalid", name, err)
				}
			}
			if v, err := db.View(t.Context(), cinder.ServiceQuery{}); err != nil || v.Services[0].DisabledReason != nil {
				t.Errorf("after all that: %+v, error %v", v, err)
			}
		})
	}
}

// TestSyncGoesOn checks that Sync completes a killed one, and that concurrent ones
// apply each migration once.
func TestSyncGoesOn(t *testing.T) {
	for _, e := range serverEngines() {
		t.Run(e.name, func(t *testing.T) {
			whole := e.create(t)
			prepare(t, whole)
			want := e.schema(t, e.raw(t, whole))
			for _, lost := range []string{
				`DROP TABLE snapshots`, `DELETE FROM workers`, `DROP TABLE stoker_requests`, `DROP TABLE stoker_migrations`,
			} {
				if e.name != "mysql" && strings.Contains(lost, "stoker_") {
					continue // a migration is atomic there
				}
				url := e.create(t)
				prepare(t, url)
				other := e.raw(t, url)
				execOn(t, other, lost)
				if strings.HasSuffix(lost, "requests") {
					execOn(t, other, `DELETE FROM stoker_migrations WHERE version_id >= 2`)
				}
				concurrently(t, 4, func() error {
					db, err := store.Open(t.Context(), store.Options{URL: url})
					if err != nil {
						return err
					}
					defer end(t, db)
					if _, err := db.Sync(t.Context()); err != nil {
						return err
					}
					return db.Ready(t.Context())
				})
				if diff := cmp.Diff(want, e.schema(t, other)); diff != "" {
					t.Errorf("after %s (-want +got):\n%s", lost, diff)
				}
				if got := lines(t, other, `SELECT status FROM workers`); len(got) != 1 {
					t.Errorf("after %s: rows of workers %v, want one", lost, got)
				}
			}
		})
	}
}

// TestWhatIsReadStays checks that nobody can change the rows that a transaction has
// read by name until it ends; other rows stay free.
func TestWhatIsReadStays(t *testing.T) {
	for _, e := range serverEngines() {
		t.Run(e.name, func(t *testing.T) {
			url := e.create(t)
			prepare(t, url)
			db, other := openURL(t, url), e.raw(t, url)
			for _, host := range []string{"h1@b", "h2@b"} {
				if _, err := db.Register(t.Context(), cinder.Service{Host: host, Binary: cinder.BinaryVolume}); err != nil {
					t.Fatal(err)
				}
			}
			execOn(t, other, map[string]string{"mysql": `SET SESSION innodb_lock_wait_timeout = 1`, "postgres": `SET lock_timeout = '200ms'`}[e.name])
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				if _, err := tx.Services(t.Context(), cinder.ServiceQuery{Host: new("h1")}); err != nil {
					return err
				}
				if _, err := other.ExecContext(t.Context(), `UPDATE services SET disabled_reason = 'x' WHERE host = 'h1@b'`); err == nil {
					t.Error("somebody else has changed a service that was read by name")
				}
				execOn(t, other, `UPDATE services SET disabled_reason = 'y' WHERE id = 2`)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestHeartbeatsOfOthers checks that another program's constant heartbeats are not lost
// to our changes and do not make our changes fail.
func TestHeartbeatsOfOthers(t *testing.T) {
	for _, e := range serverEngines() {
		t.Run(e.name, func(t *testing.T) {
			url := e.create(t)
			prepare(t, url)
			db := openURL(t, url)
			s, err := db.Register(t.Context(), cinder.Service{Host: "h@b", Binary: cinder.BinaryVolume})
			if err != nil {
				t.Fatal(err)
			}
			const beats, changes = 150, 40
			var group errgroup.Group
			group.Go(func() error {
				other := e.raw(t, url)
				for range beats {
					if _, err := other.ExecContext(t.Context(), `UPDATE services SET report_count = report_count + 1, updated_at = '2026-11-23 08:00:00' WHERE id = 1`); err != nil {
						return err
					}
				}
				return nil
			})
			group.Go(func() error {
				for i := range changes {
					err := db.Update(t.Context(), func(tx *store.Tx) error {
						rows, err := tx.Services(t.Context(), cinder.ServiceQuery{Host: &s.Host})
						if err != nil {
							return err
						}
						now := rows[0]
						now.Frozen, now.DisabledReason = !now.Frozen, new(fmt.Sprint(i))
						return tx.SaveService(t.Context(), rows[0], now)
					})
					if err != nil {
						return fmt.Errorf("change %d: %w", i, err)
					}
				}
				return nil
			})
			if err := group.Wait(); err != nil {
				t.Error(err)
			}
			v, err := db.View(t.Context(), cinder.ServiceQuery{})
			if err != nil || v.Services[0].ReportCount != beats || *v.Services[0].DisabledReason != fmt.Sprint(changes-1) {
				t.Errorf("view %+v, error %v, want %d beats and the last of %d changes", v, err, beats, changes)
			}
		})
	}
}
