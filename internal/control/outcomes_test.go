package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/store"
)

// The table of outcomes (G2): a command that fails leaves the rows as they were
// and says what failed.
func TestOutcomes(t *testing.T) {
	tests := []struct {
		name    string
		start   []string
		command string
		answer  error
		late    bool
		want    string
		kind    cinder.Kind // of the error; KindInternal means none
		state   cinder.OperationState
	}{
		{name: "freeze refused", command: "freeze", answer: cinder.Errorf(cinder.KindConflict, "busy"), want: "enabled - enabled", kind: cinder.KindConflict, state: cinder.OpRolledBack},
		{name: "freeze undeliverable", command: "freeze", answer: cinder.Errorf(cinder.KindUndeliverable, "nobody listens"), want: "enabled - enabled", kind: cinder.KindUndeliverable, state: cinder.OpRolledBack},
		{name: "freeze raises", command: "freeze", answer: cinder.Errorf(cinder.KindRemote, "boom"), want: "enabled - enabled", kind: cinder.KindRemote, state: cinder.OpRolledBack},
		{name: "bus away", command: "freeze", answer: cinder.Errorf(cinder.KindUnavailable, "no broker"), want: "enabled - enabled", kind: cinder.KindUnavailable, state: cinder.OpRolledBack},
		{name: "no answer to a freeze", command: "freeze", answer: errLate, want: "enabled - enabled", kind: cinder.KindTimeout, state: cinder.OpMonitoring},
		{name: "no answer, but done", command: "freeze", answer: errLate, late: true, want: "disabled 'frozen' frozen enabled", state: cinder.OpDone},
		{name: "no answer to a freeze of a disabled one", start: []string{"reason maint"}, command: "freeze", answer: errLate, want: "disabled 'maint' enabled", kind: cinder.KindTimeout, state: cinder.OpMonitoring},
		{name: "nor that, but done", start: []string{"reason maint"}, command: "freeze", answer: errLate, late: true, want: "disabled 'frozen' frozen enabled", state: cinder.OpDone},
		{name: "thaw raises half-way", start: []string{"reason maint", "freeze"}, command: "thaw", answer: cinder.Errorf(cinder.KindRemote, "boom"), late: true, want: "disabled 'frozen' frozen enabled", kind: cinder.KindRemote, state: cinder.OpMonitoring},
		{name: "thaw undeliverable", start: []string{"freeze"}, command: "thaw", answer: cinder.Errorf(cinder.KindUndeliverable, "nobody listens"), want: "disabled 'frozen' frozen enabled", kind: cinder.KindUndeliverable, state: cinder.OpRolledBack},
		{name: "no answer to a thaw", start: []string{"freeze"}, command: "thaw", answer: errLate, want: "disabled 'frozen' frozen enabled", kind: cinder.KindTimeout, state: cinder.OpMonitoring},
		{name: "no answer to a thaw, but done", start: []string{"reason maint", "freeze"}, command: "thaw", answer: errLate, late: true, want: "disabled 'maint' enabled", state: cinder.OpDone},
		{name: "failover undeliverable", command: "failover", answer: cinder.Errorf(cinder.KindUndeliverable, "nobody listens"), want: "enabled - enabled", kind: cinder.KindUndeliverable, state: cinder.OpRolledBack},
		{name: "failback undeliverable", start: []string{"failover site-b"}, command: "failover", answer: cinder.Errorf(cinder.KindUndeliverable, "nobody listens"), want: "disabled 'failed-over' failed-over on site-b", kind: cinder.KindUndeliverable, state: cinder.OpRolledBack},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.volume(alpha, "", cinder.ReplicationEnabled)
			for _, words := range tt.start {
				if err := s.act(words); err != nil {
					t.Fatal(err)
				}
			}
			s.fleet.answer[tt.command], s.fleet.late = tt.answer, tt.late
			sel := control.Selector{Host: alpha}
			var op cinder.Operation
			var err error
			switch tt.command {
			case "freeze":
				op, err = s.Freeze(t.Context(), sel)
			case "thaw":
				op, err = s.Thaw(t.Context(), sel)
			default:
				op, err = s.Failover(t.Context(), sel, new("site-c"))
			}
			if tt.kind != cinder.KindInternal {
				wantKind(t, err, tt.kind)
			} else if err != nil {
				t.Fatal(err)
			}
			if got := says(s.row(alpha)); got != tt.want {
				t.Errorf("row %s, want %s", got, tt.want)
			}
			if op.ID == "" || op.State != tt.state {
				t.Errorf("operation %q is %s, want one that is %s", op.ID, op.State, tt.state)
			}
			if err != nil && op.Outcome == "" {
				t.Error("the operation does not say why it came to nothing")
			}
			if open := s.open(); len(open) != 0 {
				t.Errorf("left open: %+v", open)
			}
		})
	}
}

// Drivers announce other names than they accept: what they did not announce is theirs to
// refuse, and the journal has the warning and what came of it.
func TestFailoverToASiteThatWasNotAnnounced(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  cinder.ReplicationStatus // that the service comes to
		active  *string
		state   cinder.OperationState
		outcome string
	}{
		{"the driver takes it", cinder.ReplicationFailedOver, new("backend-7"), cinder.OpDone, "active backend: backend-7"},
		{"the driver does not know it", cinder.ReplicationEnabled, nil, cinder.OpRolledBack, "the service stays on default: it refused the target"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.volume(alpha, "", cinder.ReplicationEnabled)
			s.fleet.targets = cinder.FailoverTargets{Names: []string{"000197800123"}}
			op, err := s.Failover(t.Context(), control.Selector{Host: alpha}, new("backend-7"))
			if err != nil {
				t.Fatal(err)
			}
			want := "host1@alpha announced the replication targets 000197800123, and not backend-7: its driver decides."
			if op.Progress.Warning != want {
				t.Errorf("warning %q, want %q", op.Progress.Warning, want)
			}
			s.edit(alpha, func(r *cinder.Service) { r.ReplicationStatus, r.ActiveBackendID = tt.status, tt.active })
			if err := s.Look(t.Context()); err != nil {
				t.Fatal(err)
			}
			op, err = s.Operation(t.Context(), op.ID)
			if err != nil {
				t.Fatal(err)
			}
			if op.State != tt.state || !strings.HasPrefix(op.Outcome, tt.outcome) || op.Progress.Warning != want {
				t.Errorf("the journal has %s, %q, %q; want %s, %q, and the warning", op.State, op.Outcome, op.Progress.Warning, tt.state, tt.outcome)
			}
		})
	}
}

func TestPreconditions(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.volume("host1@beta", "", cinder.ReplicationDisabled)
	s.volume("node1@lvm", "mycl@lvm", cinder.ReplicationEnabled)
	s.volume("node2@lvm", "mycl@lvm", cinder.ReplicationEnabled)
	s.fleet.targets = cinder.FailoverTargets{Names: []string{"site-b", "site-c"}, Complete: true}
	down := s.volume("dead@x", "", cinder.ReplicationEnabled)
	s.edit(down.Host, func(*cinder.Service) {})
	tests := []struct {
		name    string
		command string
		sel     control.Selector
		site    *string
		says    string
	}{
		{"unknown host", "freeze", control.Selector{Host: "nope"}, nil, "No service found with host=nope"},
		{"unknown cluster", "thaw", control.Selector{Cluster: "nope"}, nil, "No service found with cluster=nope"},
		{"two backends", "freeze", control.Selector{Host: "host1"}, nil, "Services from different clusters found."},
		{"cluster without its backend", "freeze", control.Selector{Cluster: "my"}, nil, "No service found with cluster=my"},
		{"thaw of what is not frozen", "thaw", control.Selector{Host: alpha}, nil, "Invalid input received: No service could be changed: frozen in ['host1@alpha'] must be True to thaw."},
		{"of a cluster", "thaw", control.Selector{Host: "node1"}, nil, "Invalid input received: frozen in mycl@lvm must be True to thaw."},
		{"not replicated", "failover", control.Selector{Host: "host1@beta"}, new("default"), "Invalid input received: No service could be changed: replication_status in ['host1@beta'] must be ['enabled', 'failed-over'] and must be up to failover."},
		{"unknown site", "failover", control.Selector{Host: alpha}, new("nowhere"), "Invalid input received: nowhere is no replication target of host1@alpha: it has site-b, site-c, and default to go back."},
		{"unknown site of a cluster", "failover", control.Selector{Cluster: "mycl@lvm"}, new("x"), "Invalid input received: x is no replication target of mycl@lvm: it has site-b, site-c, and default to go back."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			switch tt.command {
			case "freeze":
				_, err = s.Freeze(t.Context(), tt.sel)
			case "thaw":
				_, err = s.Thaw(t.Context(), tt.sel)
			default:
				_, err = s.Failover(t.Context(), tt.sel, tt.site)
			}
			wantKind(t, err, cinder.KindInvalid)
			if got := cinder.Message(err); got != tt.says {
				t.Errorf("message\n%s\nwant\n%s", got, tt.says)
			}
		})
	}
	if len(s.fleet.sent) != 0 {
		t.Errorf("commands were sent: %v", s.fleet.sent)
	}
}

// While a thaw of a service that the administrator disabled is half-way, its
// row says enabled; lists say what the journal says (G1).
func TestListShowsTheJournalWhileOpen(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	for _, words := range []string{"reason maint", "freeze"} {
		if err := s.act(words); err != nil {
			t.Fatal(err)
		}
	}
	s.fleet.hold, s.fleet.entered = make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() { done <- s.act("thaw") }()
	s.fleet.arrives(t, done)
	if got, want := says(s.row(alpha)), "disabled 'frozen' frozen enabled"; got != want {
		t.Errorf("half-way: %s, want %s", got, want)
	}
	half, err := s.db.View(t.Context(), cinder.ServiceQuery{})
	if err != nil {
		t.Fatal(err)
	}
	before := says(half.Services[0])
	if all, err := s.Services(t.Context(), cinder.ServiceQuery{}); err != nil || says(all.Services[0]) == before || says(half.Services[0]) != before {
		t.Errorf("a list of all says %s, %v, and makes of the store's own rows %s, which were %s", says(all.Services[0]), err, says(half.Services[0]), before)
	}
	_, err = s.Freeze(t.Context(), control.Selector{Host: alpha})
	wantKind(t, err, cinder.KindConflict)
	if err = s.act("reason other"); err != nil {
		t.Fatal(err)
	}
	if got, want := says(s.row(alpha)), "disabled 'other' frozen enabled"; got != want {
		t.Errorf("after an acknowledged disable: %s, want %s", got, want)
	}
	close(s.fleet.hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, want := says(s.row(alpha)), "disabled 'other' enabled"; got != want {
		t.Errorf("settled: %s, want %s", got, want)
	}
}

// Freeze, thaw and failover reach every member of a cluster, whoever took the
// command, and the cluster's own row.
func TestClusterMembersAlike(t *testing.T) {
	s := newSite(t)
	for _, h := range []string{"nodea@alpha", "nodeb@alpha", "nodec@alpha"} {
		s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
	}
	check := func(want string, frozen bool) {
		t.Helper()
		for _, h := range []string{"nodea@alpha", "nodeb@alpha", "nodec@alpha"} {
			if got := says(s.row(h)); got != want {
				t.Errorf("%s: %s, want %s", h, got, want)
			}
		}
		cl, err := s.Cluster(t.Context(), "mycl@alpha", cinder.BinaryVolume)
		if err != nil || cl.Frozen != frozen {
			t.Errorf("cluster frozen %v, %v, want %v", cl.Frozen, err, frozen)
		}
	}
	if _, err := s.Freeze(t.Context(), control.Selector{Cluster: "mycl@alpha"}); err != nil {
		t.Fatal(err)
	}
	check("disabled 'frozen' frozen enabled", true)
	s.fleet.answer["thaw"] = cinder.Errorf(cinder.KindConflict, "no")
	if _, err := s.Thaw(t.Context(), control.Selector{Host: "nodeb"}); cinder.KindOf(err) != cinder.KindConflict {
		t.Fatalf("thaw refused: %v", err)
	}
	check("disabled 'frozen' frozen enabled", true)
	delete(s.fleet.answer, "thaw")
	if _, err := s.Thaw(t.Context(), control.Selector{Host: "nodeb"}); err != nil {
		t.Fatal(err)
	}
	check("enabled '' enabled", false)
	if got, want := strings.Join(s.fleet.sent, ", "), "freeze mycl@alpha, thaw mycl@alpha, thaw mycl@alpha"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

// A failover is open until its rows say how it ended, and is taken over when the
// process that began it is gone.
func TestAnotherProcessSettlesAFailover(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	op, err := s.Failover(t.Context(), control.Selector{Host: alpha}, nil)
	if err != nil || op.State != cinder.OpOpen {
		t.Fatalf("failover: %+v, %v", op, err)
	}
	_, err = s.Failover(t.Context(), control.Selector{Host: alpha}, nil)
	wantKind(t, err, cinder.KindConflict)
	if got, want := says(s.row(alpha)), "disabled 'failed-over' failing-over"; got != want {
		t.Errorf("while open: %s, want %s", got, want)
	}
	err = s.db.Update(t.Context(), func(tx *store.Tx) error {
		was := s.openIn(t, tx)
		gone := was
		gone.LeaseUntil = time.Now().Add(-time.Minute)
		return tx.SaveOperation(t.Context(), was, gone)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.settle(s.process("api-2"))
	if got, want := says(s.row(alpha)), "disabled 'failed-over' failed-over on site-b"; got != want {
		t.Errorf("settled: %s, want %s", got, want)
	}
}

func (s *site) openIn(t *testing.T, tx *store.Tx) cinder.Operation {
	t.Helper()
	open, err := tx.OpenOperations(t.Context())
	if err != nil || len(open) != 1 {
		t.Fatalf("%d open operations, %v, want 1", len(open), err)
	}
	return open[0]
}

// A freeze whose API process died is looked up in the rows: done when the
// service did it, else undone.
func TestAnotherProcessSettlesAFreeze(t *testing.T) {
	for _, late := range []bool{true, false} {
		s := newSite(t)
		s.volume(alpha, "", cinder.ReplicationEnabled)
		s.fleet.hold, s.fleet.entered = make(chan struct{}), make(chan struct{})
		s.fleet.answer["freeze"], s.fleet.late = errLate, late
		done := make(chan error, 1)
		go func() { done <- s.act("freeze") }()
		s.fleet.arrives(t, done)
		err := s.db.Update(t.Context(), func(tx *store.Tx) error {
			was := s.openIn(t, tx)
			gone := was
			gone.LeaseUntil = time.Now().Add(-time.Minute)
			return tx.SaveOperation(t.Context(), was, gone)
		})
		if err != nil {
			t.Fatal(err)
		}
		s.settle(s.process("api-2"))
		close(s.fleet.hold)
		wantKind(t, <-done, cinder.KindTimeout) // the first one is not dead after all: it settles nothing twice
		want := "enabled - enabled"
		if late {
			want = "disabled 'frozen' frozen enabled"
		}
		if got := says(s.row(alpha)); got != want {
			t.Errorf("carried out %v: %s, want %s", late, got, want)
		}
	}
}

// A failover over a freeze wipes out what the freeze has written. When nobody then
// knows of the freeze whether it was carried out, it is undone in any case.
func TestAFreezeThatAFailoverHides(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.fleet.hold, s.fleet.entered = make(chan struct{}), make(chan struct{})
	s.fleet.answer["freeze"] = errLate
	hold := s.fleet.hold
	done := make(chan error, 1)
	go func() { done <- s.act("freeze") }()
	s.fleet.arrives(t, done)
	s.fleet.hold, s.fleet.entered = nil, nil
	s.edit(alpha, func(r *cinder.Service) { // by a process that nothing is known of
		r.Disabled, r.DisabledReason, r.ReplicationStatus, r.ActiveBackendID = true, new("failed-over"), cinder.ReplicationFailedOver, new("site-b")
	})
	close(hold)
	wantKind(t, <-done, cinder.KindTimeout)
	s.fleet.said()
	s.runUntil(s.Control, func() bool { return len(s.open())+len(s.watched()) == 0 })
	if sent := s.fleet.said(); !slices.Equal(sent, []string{"thaw host1@alpha"}) {
		t.Errorf("sent %q, want a thaw", sent)
	}
}

// What we write never looks like a heartbeat (G5).
func TestNoChangeLooksLikeAHeartbeat(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	before := s.row(alpha).UpdatedAt
	for _, words := range []string{"disable", "enable", "freeze", "thaw", "failover site-b", "failover default"} {
		if err := s.act(words); err != nil {
			t.Fatal(err)
		}
		if got := s.row(alpha).UpdatedAt; !got.Equal(before) {
			t.Fatalf("%s moved updated_at from %v to %v", words, before, got)
		}
	}
}

// A write of disabled is noted in modified_at, also when it changes nothing else
// (services.json, enable/vol@3.26).
func TestEveryEnableAndDisableIsDated(t *testing.T) {
	for _, words := range []string{"enable", "disable", "reason x"} {
		s := newSite(t)
		s.volume(alpha, "", cinder.ReplicationEnabled)
		if err := s.act(words); err != nil {
			t.Fatal(err)
		}
		if s.row(alpha).ModifiedAt.IsZero() {
			t.Errorf("%s left modified_at empty", words)
		}
	}
}

// A request that waits for its answer is left alone by the recovery of its own
// process, and by that of others as long as its lease holds.
func TestRecoveryLeavesTheLivingAlone(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.fleet.hold, s.fleet.entered = make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- s.act("freeze") }()
	s.fleet.arrives(t, done)
	for _, c := range []*control.Control{s.Control, s.process("api-2")} {
		s.look(c)
		if open := s.open(); len(open) != 1 || open[0].Owner != "api-1" {
			t.Fatalf("while the service works: %+v, want one open operation of api-1", open)
		}
	}
	close(s.fleet.hold)
	if err := <-done; err != nil {
		t.Errorf("freeze: %v", err)
	}
}

// A service that is down is not failed over, and neither is a cluster without
// anybody who could do it (services.json, failover/down@3.70).
func TestFailoverOfTheDead(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.volume("nodea@alpha", "mycl@alpha", cinder.ReplicationEnabled)
	for _, sel := range []control.Selector{{Host: alpha}, {Cluster: "mycl@alpha"}} {
		_, err := s.blind().Failover(t.Context(), sel, nil)
		wantKind(t, err, cinder.KindInvalid)
		if !strings.HasSuffix(cinder.Message(err), "and must be up to failover.") {
			t.Errorf("%s: %v", sel, err)
		}
	}
}
