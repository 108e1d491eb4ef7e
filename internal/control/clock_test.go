package control_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/control"
)

// wall is the clock of a database and of its host, which somebody sets. Time
// itself is the bubble's.
type wall struct{ ahead atomic.Int64 }

func (w *wall) set(by time.Duration) { w.ahead.Add(int64(by)) }

func (w *wall) of(t time.Time) time.Time { return t.Add(time.Duration(w.ahead.Load())) }

// clocked is a store with that clock.
type clocked struct {
	control.Store
	wall *wall
}

func (c clocked) Update(ctx context.Context, fn func(control.Tx) error) error {
	return c.Store.Update(ctx, func(tx control.Tx) error { return fn(clockedTx{tx, c.wall}) })
}

func (c clocked) Read(ctx context.Context, fn func(control.Tx) error) error {
	return c.Store.Read(ctx, func(tx control.Tx) error { return fn(clockedTx{tx, c.wall}) })
}

func (c clocked) View(ctx context.Context, q cinder.ServiceQuery) (*control.View, error) {
	v, err := c.Store.View(ctx, q)
	if err != nil {
		return nil, err
	}
	set := *v
	set.Now = c.wall.of(v.Now)
	return &set, nil
}

func (c clocked) Clusters(ctx context.Context, q cinder.ClusterQuery) (*control.ClusterView, error) {
	v, err := c.Store.Clusters(ctx, q)
	if err != nil {
		return nil, err
	}
	set := *v
	set.Now = c.wall.of(v.Now)
	return &set, nil
}

type clockedTx struct {
	control.Tx
	wall *wall
}

func (c clockedTx) Now() time.Time     { return c.wall.of(c.Tx.Now()) }
func (c clockedTx) HostNow() time.Time { return c.wall.of(c.Tx.HostNow()) }

// timed is a site whose clock is set.
type timed struct {
	*site
	wall *wall
}

// inTime runs a test in a bubble, on a site with one service.
func inTime(t *testing.T, fn func(*timed)) {
	t.Helper()
	outside := newSite(t)
	synctest.Test(t, func(t *testing.T) {
		s := *outside
		s.t = t
		inside := &timed{&s, &wall{}}
		inside.Control = inside.process("ctl1:first")
		s.volume(alpha, "", cinder.ReplicationEnabled)
		fn(inside)
	})
}

// process is an API process whose options are changed.
func (s *timed) process(owner string, change ...func(*control.Options)) *control.Control {
	o := s.options(owner)
	o.Store, o.ResponseTimeout, o.DownTime = clocked{o.Store, s.wall}, 30*time.Second, 10*time.Hour
	for _, c := range change {
		c(&o)
	}
	return control.New(o)
}

func alone(o *control.Options) { o.Alone = true }

// cutOff is a freeze whose process is killed right after it was recorded.
func (s *timed) cutOff(owner string) cinder.Operation {
	s.t.Helper()
	c := s.process(owner, func(o *control.Options) {
		o.Store = clocked{&mortal{StorePort: app.Store(s.db), budget: 1}, s.wall}
	})
	if _, err := c.Freeze(s.t.Context(), control.Selector{Host: alpha}); err == nil {
		s.t.Fatal("a freeze whose process was killed is answered")
	}
	open := s.open()
	if len(open) != 1 {
		s.t.Fatalf("open: %+v, want the freeze that was cut off", open)
	}
	return open[0]
}

func (s *timed) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.t.Context().Done():
	}
}

// pass lets time pass, and processes look at what is under way.
func (s *timed) pass(d time.Duration, processes ...*control.Control) {
	s.t.Helper()
	for d > 0 {
		step := time.Second
		if d > 10*time.Minute { // nothing is due that soon
			step = time.Minute
		}
		d -= step
		s.wait(step)
		for _, c := range processes {
			if err := c.Look(s.t.Context()); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// jumps are what becomes of a clock.
func jumps() map[string]time.Duration {
	return map[string]time.Duration{"set back": -2 * time.Hour, "set back a little": -40 * time.Second, "set ahead": 2 * time.Hour, "left alone": 0}
}

// A freeze that a dead process has left behind is settled as soon as it would be
// had nobody set the clock; at once by a process that knows that it is dead.
func TestClockIsSetAfterAKill(t *testing.T) {
	for name, jump := range jumps() {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(s *timed) {
				op := s.cutOff("ctl1:killed")
				s.wall.set(jump)
				s.pass(60*time.Second, s.process("ctl2:second")) // lease and deadline, and a look or two
				if got := s.operationNow(op.ID); got.State != cinder.OpMonitoring || !strings.Contains(got.Outcome, "no answer") {
					t.Errorf("%s %q, want it given up, and watched", got.State, got.Outcome)
				}
				if got, want := says(s.row(alpha)), "enabled - enabled"; got != want {
					t.Errorf("%s, want %s", got, want)
				}
				s.pass(time.Hour+time.Minute, s.process("ctl2:second"))
				if got := s.operationNow(op.ID); got.State != cinder.OpRolledBack {
					t.Errorf("after the time that it is watched for: %s %q", got.State, got.Outcome)
				}
			})
			inTime(t, func(s *timed) {
				op := s.cutOff("ctl1:killed")
				s.wall.set(jump)
				s.pass(2*time.Second, s.process("ctl1:second", alone))
				if got := s.operationNow(op.ID); got.State != cinder.OpMonitoring {
					t.Errorf("by a process that is alone: %s, deadline in %v", got.State, got.Deadline.Sub(s.wall.of(time.Now())))
				}
			})
			inTime(t, func(s *timed) {
				op := s.cutOff("ctl1:killed")
				s.wall.set(jump)
				ended, err := s.process("ctl1:second", alone).Abort(cinder.WithCaller(t.Context(), cinder.Caller{UserID: "ada"}), op.ID)
				if err != nil || ended.State != cinder.OpMonitoring || ended.Outcome != "aborted by ada" {
					t.Errorf("aborted: %s %q, %v", ended.State, ended.Outcome, err)
				}
			})
		})
	}
}

// What another process has in hand is neither taken from it nor aborted, whatever
// the clock says; once it is dead it is taken over.
func TestClockIsSetWhileAProcessLives(t *testing.T) {
	for name, jump := range jumps() {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(s *timed) {
				s.fleet.answer["failover"] = errLate
				op, err := s.Failover(t.Context(), control.Selector{Host: alpha}, new("site-b"))
				wantKind(t, err, cinder.KindTimeout)
				owner := op.Owner
				other := s.process("ctl2:second")
				s.pass(3*time.Second, other, s.Control)
				s.wall.set(jump)
				s.pass(3*time.Minute, other, s.Control)
				if got := s.operationNow(op.ID); got.Owner != owner {
					t.Errorf("taken over by %s from a process that lives", got.Owner)
				}
				s.wall.set(jump)
				s.pass(time.Minute, other)
				if got := s.operationNow(op.ID); got.Owner != "ctl2:second" {
					t.Errorf("owned by %s, which died a minute ago", got.Owner)
				}
			})
			inTime(t, func(s *timed) {
				s.cutOff("ctl9:killed") // of which nobody says that it is dead
				s.pass(time.Second, s.Control)
				_, err := s.process("ctl1:second", alone).Abort(t.Context(), s.open()[0].ID)
				wantKind(t, err, cinder.KindConflict)
			})
		})
	}
}

// A failover whose service is gone is put back in time, and an abort that comes too
// early says how long to wait.
func TestClockIsSetDuringAFailover(t *testing.T) {
	for name, jump := range jumps() {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(s *timed) {
				s.fleet.answer["failover"] = errLate
				op, err := s.Failover(t.Context(), control.Selector{Host: alpha}, new("site-b"))
				wantKind(t, err, cinder.KindTimeout)
				s.fleet.gone = map[string]bool{alpha: true}
				s.wall.set(jump)
				blind := s.process("ctl2:second", func(o *control.Options) { o.DownTime, o.FailoverExpiry = -1, time.Minute })
				if jump <= 0 {
					_, err = blind.Abort(t.Context(), op.ID)
					wantKind(t, err, cinder.KindConflict)
					if !strings.Contains(cinder.Message(err), "may wait in a queue for another 1m1s") && !strings.Contains(cinder.Message(err), "for another 1m0s") {
						t.Errorf("%q, want a minute's wait", cinder.Message(err))
					}
				}
				s.pass(2*time.Minute, blind)
				if got := s.operationNow(op.ID); got.State != cinder.OpMonitoring || !strings.Contains(got.Outcome, "put back") {
					t.Errorf("%s %q, want it put back", got.State, got.Outcome)
				}
			})
		})
	}
}

// A freeze that was given up is undone when it comes late, whatever the clock has
// been set to since, and is not watched for longer than it would be.
func TestClockIsSetDuringAWatch(t *testing.T) {
	for name, jump := range jumps() {
		for _, late := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				inTime(t, func(s *timed) {
					s.hung()
					_, err := s.Freeze(t.Context(), control.Selector{Host: alpha})
					wantKind(t, err, cinder.KindTimeout)
					id := s.watched()[0].ID
					s.pass(10*time.Second, s.Control)
					s.wall.set(jump)
					s.pass(30*time.Second, s.Control)
					want := "nor was it carried out later"
					if late {
						want = "carried out late by host1@alpha, and undone by a thaw"
						s.goesOn()
						s.lateFreeze(alpha)
						s.pass(30*time.Second, s.Control)
					} else {
						s.pass(time.Hour+time.Minute, s.Control)
					}
					if got := s.operationNow(id); got.State != cinder.OpRolledBack || !strings.Contains(got.Outcome, want) {
						t.Errorf("%s %q, want %q", got.State, got.Outcome, want)
					}
				})
			})
		}
	}
}

// Members of a cluster that have missed a failover are told all the same.
func TestClockIsSetAndMembersAreTold(t *testing.T) {
	for name, jump := range jumps() {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(s *timed) {
				for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
					s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
				}
				s.pass(5*time.Second, s.Control)
				s.wall.set(jump)
				s.arrive("site-b", "nodea@alpha")
				s.fleet.said()
				s.pass(30*time.Second, s.Control)
				if got, want := says(s.row("nodeb@alpha")), "disabled 'failed-over' failed-over on site-b"; got != want {
					t.Errorf("nodeb: %s, want %s", got, want)
				}
			})
		})
	}
}

// A clock that is set ahead by mistake does not cost the journal.
func TestClockIsSetAheadOfTheJournal(t *testing.T) {
	inTime(t, func(s *timed) {
		c := s.process("ctl1:first", func(o *control.Options) { o.Retention = 24 * time.Hour })
		if _, err := c.Disable(t.Context(), alpha, cinder.BinaryVolume); err != nil {
			t.Fatal(err)
		}
		left := func() int {
			ops, err := s.db.Operations(t.Context(), cinder.OperationQuery{})
			if err != nil {
				t.Fatal(err)
			}
			return len(ops)
		}
		s.pass(3*time.Second, c)
		s.wall.set(1000 * time.Hour)
		s.pass(30*time.Minute, c)
		if left() == 0 {
			t.Fatal("the journal is gone")
		}
		s.pass(time.Hour, c)
		if n := left(); n > 0 {
			t.Errorf("%d operations are kept for ever", n)
		}
	})
}

// A request that was cut off does not keep its key in use.
func TestClockIsSetDuringARequest(t *testing.T) {
	for name, jump := range jumps() {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(s *timed) {
				ctx := cinder.WithCaller(t.Context(), cinder.Caller{RequestID: "req-1"})
				if _, _, err := s.Once(ctx, control.Key{ID: "id", Fingerprint: "f"}); err != nil {
					t.Fatal(err)
				}
				s.wall.set(jump)
				other := s.process("ctl2:second")
				if jump <= 0 {
					_, _, err := other.Once(ctx, control.Key{ID: "id", Fingerprint: "f"})
					wantKind(t, err, cinder.KindConflict)
				}
				s.wait(2 * time.Minute)
				if _, _, err := other.Once(ctx, control.Key{ID: "id", Fingerprint: "f"}); err != nil {
					t.Errorf("two minutes later: %v", err)
				}
			})
			inTime(t, func(s *timed) {
				ctx := cinder.WithCaller(t.Context(), cinder.Caller{RequestID: "req-1"})
				if _, _, err := s.Once(ctx, control.Key{ID: "id", Fingerprint: "f"}); err != nil {
					t.Fatal(err)
				}
				s.wall.set(jump)
				if _, _, err := s.process("ctl1:second", alone).Once(ctx, control.Key{ID: "id", Fingerprint: "f"}); err != nil {
					t.Errorf("a process that knows that the one before is dead: %v", err)
				}
			})
		})
	}
}
