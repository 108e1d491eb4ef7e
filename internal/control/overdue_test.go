package control_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// started is a failover whose command was delivered, and of which nothing was
// heard since. Its message has expired.
func (s *site) started(sel control.Selector) cinder.Operation {
	s.t.Helper()
	s.fleet.say("failover", errLate)
	op, err := s.Failover(s.t.Context(), sel, new("site-b"))
	wantKind(s.t, err, cinder.KindTimeout)
	s.fleet.say("failover", nil)
	s.change(op.ID, func(op *cinder.Operation) { op.StartedAt = time.Now().Add(-time.Minute) })
	return op
}

// A failover is aborted only when nobody is left who could carry it out; else
// the answer says who (G3).
func TestAbort(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	op := s.started(control.Selector{Host: alpha})

	_, err := s.Abort(t.Context(), op.ID)
	wantKind(t, err, cinder.KindConflict)
	if !strings.Contains(cinder.Message(err), "host1@alpha is up and may still carry it out") {
		t.Errorf("message %q", cinder.Message(err))
	}
	_, err = s.blind().Abort(t.Context(), op.ID)
	wantKind(t, err, cinder.KindConflict)
	if !strings.Contains(cinder.Message(err), "listens to its queue") {
		t.Errorf("message %q", cinder.Message(err))
	}
	if got, want := says(s.row(alpha)), "enabled - failing-over"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	s.fleet.gone = map[string]bool{alpha: true}
	aborted, err := s.blind().Abort(cinder.WithCaller(t.Context(), cinder.Caller{UserID: "ada"}), op.ID)
	if err != nil || aborted.Outcome != "aborted by ada" {
		t.Fatalf("%q, %v", aborted.Outcome, err)
	}
	if got, want := says(s.row(alpha)), "enabled - enabled"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	_, err = s.Abort(t.Context(), "nope")
	wantKind(t, err, cinder.KindNotFound)
}

// A second failover is not refused for what the first has made of the row: the
// answer names the first.
func TestFailoverDuringAFailover(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	op := s.started(control.Selector{Host: alpha})
	for _, site := range []*string{nil, new("site-c"), new("default")} {
		_, err := s.Failover(t.Context(), control.Selector{Host: alpha}, site)
		wantKind(t, err, cinder.KindConflict)
		if !strings.Contains(cinder.Message(err), op.ID) {
			t.Errorf("message %q, want one that names %s", cinder.Message(err), op.ID)
		}
	}
}

// What a way back writes could not be told from what a freeze or thaw writes: they
// wait for it, and the answer names it.
func TestFreezeDuringAFailback(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.fleet.say("failover", errLate)
	op, err := s.Failover(t.Context(), control.Selector{Host: alpha}, new("default"))
	wantKind(t, err, cinder.KindTimeout)
	err = s.act("freeze")
	wantKind(t, err, cinder.KindConflict)
	if !strings.Contains(cinder.Message(err), op.ID) {
		t.Errorf("message %q, want one that names %s", cinder.Message(err), op.ID)
	}
}

func TestAbortOfOthers(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	done, err := s.Disable(t.Context(), alpha, cinder.BinaryVolume)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Abort(t.Context(), done.ID)
	wantKind(t, err, cinder.KindConflict)

	young := s.started(control.Selector{Host: alpha})
	s.fleet.gone = map[string]bool{alpha: true}
	o := s.options("blind")
	o.DownTime, o.FailoverExpiry = -1, time.Hour // the message was sent a minute ago
	_, err = control.New(o).Abort(t.Context(), young.ID)
	wantKind(t, err, cinder.KindConflict)
	if !strings.Contains(cinder.Message(err), "may wait in a queue") {
		t.Errorf("message %q", cinder.Message(err))
	}
	s.edit(alpha, func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationEnabled })
	s.settle(s.Control)

	s.hung()
	wantKind(t, s.act("freeze"), cinder.KindTimeout)
	watched := s.watched()[0]
	op, err := s.Abort(t.Context(), watched.ID)
	if err != nil || op.State != cinder.OpRolledBack || len(s.watched()) > 0 {
		t.Errorf("abort of a watch: %+v, %v", op, err)
	}
}

// Recovery puts back what nobody is left to carry out, and shows what was carried
// out all the same.
func TestGoneService(t *testing.T) {
	for _, late := range []bool{false, true} {
		s := newSite(t)
		s.volume(alpha, "", cinder.ReplicationEnabled)
		op := s.started(control.Selector{Host: alpha})
		s.fleet.gone = map[string]bool{alpha: true}
		s.change(op.ID, func(op *cinder.Operation) { op.LeaseUntil = time.Now().Add(-time.Minute) })
		s.runUntil(s.blind(), func() bool { return s.operationNow(op.ID).State == cinder.OpMonitoring })
		if got, want := says(s.row(alpha)), "enabled - enabled"; got != want {
			t.Fatalf("put back: %s, want %s", got, want)
		}
		if !late {
			if err := s.act("failover site-c"); err != nil {
				t.Fatal(err)
			}
			if got := s.operationNow(op.ID); got.State != cinder.OpRolledBack || !strings.Contains(got.Outcome, "has begun") {
				t.Errorf("after another failover: %s, %q", got.State, got.Outcome)
			}
			continue
		}
		s.edit(alpha, func(r *cinder.Service) {
			r.ReplicationStatus, r.ActiveBackendID, r.Disabled, r.DisabledReason = outcome("site-b")
		})
		s.runUntil(s.Control, func() bool { return s.operationNow(op.ID).State.Final() })
		if got, want := says(s.row(alpha)), "disabled 'failed-over' failed-over on site-b"; got != want {
			t.Errorf("carried out late: %s, want %s", got, want)
		}
		if got := s.operationNow(op.ID); got.State != cinder.OpDone || !strings.Contains(got.Outcome, "yet the service has gone on") {
			t.Errorf("%s, %q", got.State, got.Outcome)
		}
	}
}

// A member that missed the end of a failover, or took itself for enabled after a
// restart in the middle, is told again until it agrees (G3).
func TestMembersAreToldAgain(t *testing.T) {
	tests := []struct {
		name    string
		start   string // where the cluster was
		to      string
		astray  func(*site)
		want    string
		cluster string
	}{
		{"missed the end", "", "site-b", func(*site) {}, "disabled 'failed-over' failed-over on site-b", "disabled 'failed-over' failed-over on site-b"},
		{"restarted in the middle", "", "site-b", func(s *site) {
			s.edit("nodeb@alpha", func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationEnabled })
			s.editCluster(func(c *cinder.Cluster) { c.ReplicationStatus = cinder.ReplicationEnabled })
		}, "disabled 'failed-over' failed-over on site-b", "disabled 'failed-over' failed-over on site-b"},
		{"missed the way back", "site-b", "default", func(s *site) {
			s.edit("nodeb@alpha", func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationFailedOver })
		}, "enabled '' enabled", "enabled '' enabled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
				s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
			}
			if tt.start != "" {
				s.arrive(tt.start, "nodea@alpha", "nodeb@alpha")
			}
			s.started(control.Selector{Cluster: "mycl@alpha"})
			s.arrive(tt.to, "nodea@alpha")
			tt.astray(s)
			s.fleet.said()
			s.passed(func() bool {
				return slices.Contains(s.fleet.saidSoFar(), "failover_completed mycl@alpha") && len(s.open()) == 0
			})
			for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
				if got := says(s.row(h)); got != tt.want {
					t.Errorf("%s: %s, want %s", h, got, tt.want)
				}
			}
			if got := s.clusterSays(); got != tt.cluster {
				t.Errorf("cluster: %s, want %s", got, tt.cluster)
			}
		})
	}
}

// A member that takes the backend to be elsewhere is told also when the next failover
// of the cluster has failed.
func TestMembersAreToldOfAFailure(t *testing.T) {
	s := newSite(t)
	for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
		s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
	}
	s.arrive("site-b", "nodea@alpha") // nodeb has restarted in the midst of it
	s.edit("nodea@alpha", func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationFailoverError })
	s.editCluster(func(c *cinder.Cluster) { c.ReplicationStatus = cinder.ReplicationFailoverError })
	s.fleet.said()
	s.passed(func() bool {
		return slices.Contains(s.fleet.saidSoFar(), "failover_completed mycl@alpha") && len(s.open()) == 0
	})
	if got, want := says(s.row("nodeb@alpha")), "disabled - failover-error on site-b"; got != want {
		t.Errorf("nodeb: %s, want %s", got, want)
	}
	if got, want := s.clusterSays(), "disabled 'failed-over' failover-error on site-b"; got != want {
		t.Errorf("cluster: %s, want %s", got, want)
	}
}

// Members that do not listen are not told for ever.
func TestTellingIsGivenUp(t *testing.T) {
	s := newSite(t)
	for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
		s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
	}
	s.arrive("site-b", "nodea@alpha")
	s.fleet.answer["failover_completed"] = errors.New("lost")
	kind := "failover-completed"
	told := func() []cinder.Operation {
		ops, err := s.db.Operations(t.Context(), cinder.OperationQuery{Kind: &kind})
		if err != nil {
			t.Fatal(err)
		}
		return ops
	}
	s.passed(func() bool { return len(told()) > 0 && told()[0].Progress.Attempts > 0 })
	s.lookUntil(s.Control, func() bool {
		s.hurry(told()[0].ID)
		return told()[0].State.Final()
	})
	if op := told()[0]; op.State != cinder.OpFailed || !strings.Contains(op.Outcome, "told 8 times") {
		t.Errorf("%s: %q", op.State, op.Outcome)
	}
	if n := len(s.fleet.said()); n != 8 {
		t.Errorf("told %d times, want 8", n)
	}
}

func (f *fleet) saidSoFar() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

// passed lets recovery run until done, with its waits for members cut short.
func (s *site) passed(done func() bool) {
	s.t.Helper()
	o := s.options("api-1")
	o.Store, o.DownTime = hasty{o.Store, time.Now()}, time.Hour
	s.runUntil(control.New(o), func() bool {
		for _, op := range s.open() {
			if op.Kind == cinder.OpFailover {
				s.hurryFailover(op)
			}
		}
		return done()
	})
}

// hurryFailover lets the grace pass that members have to hear of the end.
func (s *site) hurryFailover(op cinder.Operation) {
	if !op.Progress.WatchUntil.IsZero() {
		s.change(op.ID, func(op *cinder.Operation) { op.Progress.WatchUntil = time.Now().Add(-time.Minute) })
	}
}

// hasty is a store whose clock runs fast.
type hasty struct {
	control.Store
	began time.Time
}

func (h hasty) Read(ctx context.Context, fn func(control.Tx) error) error {
	return h.Store.Read(ctx, func(tx control.Tx) error { return fn(hastyTx{tx, h.began}) })
}

func (h hasty) Update(ctx context.Context, fn func(control.Tx) error) error {
	return h.Store.Update(ctx, func(tx control.Tx) error { return fn(hastyTx{tx, h.began}) })
}

type hastyTx struct {
	control.Tx
	began time.Time
}

func (h hastyTx) Now() time.Time {
	return h.Tx.Now().Add(50 * time.Since(h.began)).Truncate(time.Second)
}

// An operation that cannot be settled is marked, and the others are settled all
// the same.
func TestStuckOperation(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.volume("host1@beta", "", cinder.ReplicationEnabled)
	stuck := s.started(control.Selector{Host: alpha})
	fine := s.started(control.Selector{Host: "host1@beta"})
	for _, h := range []string{alpha, "host1@beta"} {
		s.edit(h, func(r *cinder.Service) {
			r.ReplicationStatus, r.ActiveBackendID = cinder.ReplicationFailedOver, new("site-b")
		})
	}
	o := s.options("api-1")
	o.Store = &broken{o.Store, stuck.ID}
	c := control.New(o)
	s.runUntil(c, func() bool {
		s.hurry(stuck.ID)
		op := s.operationNow(stuck.ID)
		return op.Stuck() && s.operationNow(fine.ID).State == cinder.OpDone
	})
	if op := s.operationNow(stuck.ID); op.Progress.LastError != "cannot be saved" || op.Progress.NextLook.IsZero() && op.Progress.Attempts < 3 {
		t.Errorf("%+v", op.Progress)
	}
	s.hurry(stuck.ID)
	s.settle(s.Control) // once it can be, it is
}

// broken cannot settle one operation.
type broken struct {
	control.Store
	id string
}

func (b *broken) Update(ctx context.Context, fn func(control.Tx) error) error {
	return b.Store.Update(ctx, func(tx control.Tx) error { return fn(brokenTx{tx, b.id}) })
}

type brokenTx struct {
	control.Tx
	id string
}

func (b brokenTx) SaveOperation(ctx context.Context, was, now cinder.Operation) error {
	if now.ID == b.id && now.State.Final() {
		return errors.New("cannot be saved")
	}
	return b.Tx.SaveOperation(ctx, was, now)
}

// A process that was held up for longer than its lease sends nothing that another
// one has settled meanwhile.
func TestNothingIsSentWithoutALease(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	o := s.options("slow")
	o.Lease = time.Millisecond
	taken := false
	o.Store = after{o.Store, func() {
		if open := s.open(); len(open) == 1 && !taken {
			taken = true
			s.change(open[0].ID, func(op *cinder.Operation) { op.Owner = "another" })
		}
	}}
	_, err := control.New(o).Freeze(t.Context(), control.Selector{Host: alpha})
	wantKind(t, err, cinder.KindTimeout)
	if sent := s.fleet.said(); len(sent) > 0 || !taken {
		t.Errorf("sent %q, taken over: %v", sent, taken)
	}
}

// after runs something after each transaction.
type after struct {
	control.Store
	then func()
}

func (a after) Update(ctx context.Context, fn func(control.Tx) error) error {
	err := a.Store.Update(ctx, fn)
	a.then()
	return err
}

// What the journal need not keep is removed, what is open stays.
func TestPruning(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	if err := s.act("disable"); err != nil {
		t.Fatal(err)
	}
	open := s.started(control.Selector{Host: alpha})
	s.sql(`UPDATE stoker_operations SET started_at = '2000-01-01 00:00:00' WHERE id <> ?`, open.ID)
	o := s.options("api-2")
	o.Retention = 24 * time.Hour
	s.runUntil(control.New(o), func() bool {
		ops, err := s.db.Operations(t.Context(), cinder.OperationQuery{})
		return err == nil && len(ops) == 1 && ops[0].ID == open.ID
	})
}
