package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/store"
)

// What is acknowledged while another operation is open shows at once, and stays,
// whatever recovery does with that operation meanwhile (G1).
func TestDisableDuringAFailover(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.fleet.answer["failover"] = errLate // delivered, perhaps; carried out below
	_, err := s.Failover(t.Context(), control.Selector{Host: alpha}, new("site-b"))
	wantKind(t, err, cinder.KindTimeout)
	if err := s.act("reason disk swap"); err != nil {
		t.Fatal(err)
	}
	// The lease runs out, and another process takes the operation over.
	err = s.db.Update(t.Context(), func(tx *store.Tx) error {
		was := s.openIn(t, tx)
		gone := was
		gone.LeaseUntil = time.Now().Add(-time.Minute)
		return tx.SaveOperation(t.Context(), was, gone)
	})
	if err != nil {
		t.Fatal(err)
	}
	other := s.process("api-2")
	s.runUntil(other, func() bool { return s.open()[0].Owner == "api-2" })
	if got, want := says(s.row(alpha)), "disabled 'disk swap' failing-over"; got != want {
		t.Errorf("after the take-over: %s, want %s", got, want)
	}
	s.edit(alpha, func(r *cinder.Service) {
		r.ReplicationStatus, r.ActiveBackendID, r.Disabled, r.DisabledReason = outcome("site-b")
	})
	s.settle(other)
	delete(s.fleet.answer, "failover")

	// On the way back the service ends more than its own cause; no list shows that.
	if _, err := s.Failover(t.Context(), control.Selector{Host: alpha}, new("default")); err != nil {
		t.Fatal(err)
	}
	if got := s.row(alpha); !got.Disabled {
		t.Errorf("half-way back: %s, want it disabled", says(got))
	}
	s.settle(s.Control)
	if got, want := says(s.row(alpha)), "disabled 'disk swap' enabled"; got != want {
		t.Errorf("back: %s, want %s", got, want)
	}
}

// A thaw whose answer was lost is found out to have been carried out also when
// the administrator has given a reason while the service was frozen.
func TestLostAnswerToAThawOverADisable(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	for _, words := range []string{"freeze", "reason maint"} {
		if err := s.act(words); err != nil {
			t.Fatal(err)
		}
	}
	s.fleet.answer["thaw"], s.fleet.late = errLate, true
	if err := s.act("thaw"); err != nil {
		t.Errorf("thaw: %v", err)
	}
	if got, want := says(s.row(alpha)), "disabled 'maint' enabled"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Clusters, too, show what the journal says while an operation is open.
func TestClustersShowTheJournal(t *testing.T) {
	s := newSite(t)
	s.volume("nodea@alpha", "mycl@alpha", cinder.ReplicationEnabled)
	s.fleet.hold, s.fleet.entered = make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := s.Freeze(t.Context(), control.Selector{Cluster: "mycl@alpha"})
		done <- err
	}()
	s.fleet.arrives(t, done)
	if got, want := s.clusterSays(), "enabled - enabled"; got != want {
		t.Errorf("half-way: %s, want %s", got, want)
	}
	close(s.fleet.hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, want := s.clusterSays(), "enabled - frozen enabled"; got != want {
		t.Errorf("settled: %s, want %s", got, want)
	}
	s.fleet.hold, s.fleet.entered = nil, nil
	if _, err := s.Failover(t.Context(), control.Selector{Cluster: "mycl@alpha"}, new("site-b")); err != nil {
		t.Fatal(err)
	}
	if got, want := s.clusterSays(), "enabled - frozen failing-over"; got != want {
		t.Errorf("a failover is under way: %s, want %s", got, want)
	}
}

// A client that goes away ends neither the command nor its settling.
func TestTheClientGoesAway(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.fleet.hold, s.fleet.entered = make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.Freeze(ctx, control.Selector{Host: alpha})
		done <- err
	}()
	s.fleet.arrives(t, done)
	cancel()
	close(s.fleet.hold)
	if err := <-done; err != nil {
		t.Errorf("freeze: %v", err)
	}
	if got, want := says(s.row(alpha)), "disabled 'frozen' frozen enabled"; got != want || len(s.open()) > 0 {
		t.Errorf("%s, %d open, want %s and none", got, len(s.open()), want)
	}
}

// set-log is on record also when a service is too old for it.
func TestSetLogIsOnRecord(t *testing.T) {
	s := fleetOfLoggers(t)
	s.fleet.mute["host1@beta"] = cinder.Errorf(cinder.KindNotSupported, "too old")
	op, err := s.SetLogLevels(t.Context(), control.LogQuery{Server: "host1"}, cinder.LogDebug)
	wantKind(t, err, cinder.KindNotSupported)
	if op.ID == "" || op.Outcome != "not delivered to all: too old" {
		t.Errorf("operation %+v", op)
	}
}

// A service of another API's that was failed over and failed is disabled for
// that: going back enables it.
func TestTheirFailoverError(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.edit(alpha, func(r *cinder.Service) { r.ReplicationStatus, r.Disabled = cinder.ReplicationFailoverError, true })
	if err := s.act("failover default"); err != nil {
		t.Fatal(err)
	}
	if got, want := says(s.row(alpha)), "enabled '' enabled"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// interposed runs something between the first transaction and the second.
type interposed struct {
	control.Store
	calls   int
	between func()
}

func (i *interposed) Update(ctx context.Context, fn func(control.Tx) error) error {
	if i.calls++; i.calls == 2 {
		i.between()
	}
	return i.Store.Update(ctx, fn)
}

// A disable that is acknowledged while recovery takes an operation over is not
// overwritten by what recovery had read before.
func TestDisableWhileRecoveryTakesOver(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.fleet.answer["failover"] = errLate
	_, err := s.Failover(t.Context(), control.Selector{Host: alpha}, new("site-b"))
	wantKind(t, err, cinder.KindTimeout)
	err = s.db.Update(t.Context(), func(tx *store.Tx) error {
		was := s.openIn(t, tx)
		gone := was
		gone.LeaseUntil = time.Now().Add(-time.Minute)
		return tx.SaveOperation(t.Context(), was, gone)
	})
	if err != nil {
		t.Fatal(err)
	}
	o := s.options("api-2")
	o.Store = &interposed{Store: o.Store, between: func() {
		if err := s.act("reason disk swap"); err != nil {
			t.Error(err)
		}
	}}
	s.runUntil(control.New(o), func() bool { return s.open()[0].Owner == "api-2" })
	open := s.open()[0].Shown.Services[0]
	if !open.Disabled || open.DisabledReason == nil || *open.DisabledReason != "disk swap" {
		t.Errorf("the operation shows %+v, want it disabled for a disk swap", open)
	}
}

// What comes when a service has written that it is back, before that is settled,
// finds the causes as they were, and none of them ended from elsewhere.
func TestChangesRightAfterAFailback(t *testing.T) {
	errBoom := cinder.Errorf(cinder.KindRemote, "boom")
	for _, tt := range []struct {
		name, cluster string
		before        []string // what was done to the service
		change        string
		fails         error
		want          string
	}{
		// Members end every cause on their way back; a service alone leaves frozen.
		{"thaw of a disabled one", "mycl@alpha", []string{"reason disk swap", "freeze"}, "thaw", nil, "disabled 'disk swap' enabled"},
		{"thaw", "mycl@alpha", []string{"freeze"}, "thaw", nil, "enabled '' enabled"},
		{"thaw that fails", "mycl@alpha", []string{"reason disk swap", "freeze"}, "thaw", errBoom, "disabled 'frozen' frozen enabled"},
		{"disable of a frozen one", "mycl@alpha", []string{"freeze"}, "reason disk swap", nil, "disabled 'disk swap' frozen enabled"},
		{"freeze", "", nil, "freeze", nil, "disabled 'frozen' frozen enabled"},
		{"freeze that fails", "", nil, "freeze", errBoom, "enabled '' enabled"},
		{"freeze of a disabled one that fails", "", []string{"reason disk swap"}, "freeze", errBoom, "disabled 'disk swap' enabled"},
		{"enable", "", []string{"reason disk swap"}, "enable", nil, "enabled - enabled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.volume(alpha, tt.cluster, cinder.ReplicationEnabled)
			for _, words := range tt.before {
				if err := s.act(words); err != nil {
					t.Fatalf("%s: %v", words, err)
				}
			}
			s.fleet.answer["failover"] = errLate // carried out below
			for _, site := range []string{"site-b", "default"} {
				_, err := s.Failover(t.Context(), control.Selector{Host: alpha}, &site)
				wantKind(t, err, cinder.KindTimeout)
				if tt.cluster != "" {
					s.arrive(site, alpha)
				} else {
					s.edit(alpha, func(r *cinder.Service) {
						r.ReplicationStatus, r.ActiveBackendID, r.Disabled, r.DisabledReason = outcome(site)
					})
				}
				if site != "default" {
					s.settle(s.Control)
				}
			}
			s.fleet.answer[tt.change] = tt.fails
			if err := s.act(tt.change); !errors.Is(err, tt.fails) {
				t.Fatalf("%s: %v", tt.change, err)
			}
			s.settle(s.Control)
			if got := says(s.row(alpha)); got != tt.want {
				t.Errorf("in the end: %s, want %s", got, tt.want)
			}
			if ops, err := s.db.Operations(t.Context(), cinder.OperationQuery{Kind: new(string(cinder.OpReconcile))}); err != nil || len(ops) > 0 {
				t.Errorf("taken for changes from elsewhere: %+v %v", ops, err)
			}
		})
	}
}
