package control_test

import (
	"strings"
	"testing"
	"time"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/store"
)

// clusterSays is the cluster's row in one line.
func (s *site) clusterSays() string {
	s.t.Helper()
	cl, err := s.Cluster(s.t.Context(), "mycl@alpha", cinder.BinaryVolume)
	if err != nil {
		s.t.Fatal(err)
	}
	return says(cinder.Service{
		Disabled: cl.Disabled, DisabledReason: cl.DisabledReason, Frozen: cl.Frozen,
		ReplicationStatus: cl.ReplicationStatus, ActiveBackendID: cl.ActiveBackendID,
	})
}

// arrive makes the cluster's row and the rows of some members say what Python
// services write when a failover has been carried out.
func (s *site) arrive(site string, hosts ...string) {
	s.t.Helper()
	for _, h := range hosts {
		s.edit(h, func(r *cinder.Service) {
			r.ReplicationStatus, r.ActiveBackendID, r.Disabled, r.DisabledReason = outcome(site)
		})
	}
	err := s.db.Update(s.t.Context(), func(tx *store.Tx) error {
		was, err := tx.Cluster(s.t.Context(), "mycl@alpha", cinder.BinaryVolume)
		if err != nil {
			return err
		}
		now := was
		now.ReplicationStatus, now.ActiveBackendID, now.Disabled, now.DisabledReason = outcome(site)
		return tx.SaveCluster(s.t.Context(), was, now)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func outcome(site string) (status cinder.ReplicationStatus, active *string, disabled bool, reason *string) {
	if site == "default" {
		return cinder.ReplicationEnabled, new(""), false, new("")
	}
	return cinder.ReplicationFailedOver, &site, true, new("failed-over")
}

// A failover of a cluster is open until every member has heard of it; lists show
// all members alike until then. Going back gives an administrator's disable of
// the cluster, and of a member, back.
func TestClusterFailover(t *testing.T) {
	s := newSite(t)
	members := []string{"nodea@alpha", "nodeb@alpha"}
	for _, h := range members {
		s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
	}
	if _, _, err := s.DisableCluster(t.Context(), "mycl@alpha", cinder.BinaryVolume, new("maint")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DisableWithReason(t.Context(), "nodeb@alpha", cinder.BinaryVolume, new("swap")); err != nil {
		t.Fatal(err)
	}
	// The command is delivered; nobody has carried it out yet.
	s.fleet.answer["failover"], s.fleet.late = errLate, false
	sel := control.Selector{Cluster: "mycl@alpha"}
	_, err := s.Failover(t.Context(), sel, new("site-b"))
	wantKind(t, err, cinder.KindTimeout)

	s.arrive("site-b", "nodea@alpha")
	for host, want := range map[string]string{
		"nodea@alpha": "disabled 'failed-over' failing-over",
		"nodeb@alpha": "disabled 'swap' failing-over",
	} {
		if got := says(s.row(host)); got != want {
			t.Errorf("half-way, %s: %s, want %s", host, got, want)
		}
	}
	s.arrive("site-b", "nodeb@alpha")
	s.settle(s.Control)
	for _, h := range members {
		if got, want := says(s.row(h)), "disabled 'failed-over' failed-over on site-b"; got != want {
			t.Errorf("%s: %s, want %s", h, got, want)
		}
	}
	if got, want := s.clusterSays(), "disabled 'failed-over' failed-over on site-b"; got != want {
		t.Errorf("cluster: %s, want %s", got, want)
	}

	_, err = s.Failover(t.Context(), sel, new("default"))
	wantKind(t, err, cinder.KindTimeout)
	s.arrive("default", members...)
	s.settle(s.Control)
	for host, want := range map[string]string{
		"nodea@alpha": "enabled '' enabled",
		"nodeb@alpha": "disabled 'swap' enabled",
	} {
		if got := says(s.row(host)); got != want {
			t.Errorf("back, %s: %s, want %s", host, got, want)
		}
	}
	if got, want := s.clusterSays(), "disabled 'maint' enabled"; got != want {
		t.Errorf("cluster: %s, want %s", got, want)
	}
}

func TestClusterFailoverUndelivered(t *testing.T) {
	s := newSite(t)
	s.volume("nodea@alpha", "mycl@alpha", cinder.ReplicationEnabled)
	s.fleet.answer["failover"] = cinder.Errorf(cinder.KindUndeliverable, "nobody listens")
	op, err := s.Failover(t.Context(), control.Selector{Host: "nodea"}, nil)
	wantKind(t, err, cinder.KindUndeliverable)
	if got, want := says(s.row("nodea@alpha"))+"; "+s.clusterSays(), "enabled - enabled; enabled - enabled"; got != want || op.State != cinder.OpRolledBack {
		t.Errorf("%s, operation %s, want %s, undone", got, op.State, want)
	}
}

// A failover whose deadline has passed is shown as overdue and stays open: what
// became of it is not known.
func TestOverdueFailover(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.fleet.answer["failover"] = errLate
	op, err := s.Failover(t.Context(), control.Selector{Host: alpha}, nil)
	wantKind(t, err, cinder.KindTimeout)
	err = s.db.Update(t.Context(), func(tx *store.Tx) error {
		was := s.openIn(t, tx)
		o := was
		o.Deadline = op.StartedAt.Add(-1)
		return tx.SaveOperation(t.Context(), was, o)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.runUntil(s.Control, func() bool { return s.open()[0].Outcome != "" })
	if got := s.open()[0]; got.State != cinder.OpOpen || got.Outcome != "overdue: no outcome by the deadline" {
		t.Errorf("%+v", got)
	}
}

// A failover that was looked at while only one member had heard of its end is
// settled as soon as the others have, not when their time to hear is over.
func TestClusterFailoverLookedAtHalfWay(t *testing.T) {
	s := newSite(t)
	for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
		s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
	}
	op, err := s.Failover(t.Context(), control.Selector{Cluster: "mycl@alpha"}, new("site-b"))
	if err != nil {
		t.Fatal(err)
	}
	s.arrive("site-b", "nodea@alpha")
	s.lookUntil(s.Control, func() bool { return !s.operationNow(op.ID).Progress.WatchUntil.IsZero() })
	s.change(op.ID, func(op *cinder.Operation) { op.Progress.WatchUntil = time.Now().Add(time.Hour) })
	s.arrive("site-b", "nodeb@alpha")
	s.settle(s.Control)
	op, err = app.Store(s.db).Operation(t.Context(), op.ID)
	if err != nil {
		t.Fatal(err)
	}
	if op.State != cinder.OpDone || !op.SettledAt.Before(op.Progress.WatchUntil) {
		t.Errorf("%s at %v, want done before %v", op.State, op.SettledAt, op.Progress.WatchUntil)
	}
}

// A member that restarts in the middle puts the cluster's row back: that ends
// nothing as long as another may be at it.
func TestAMemberRestartsInTheMiddle(t *testing.T) {
	for _, goesOn := range []bool{true, false} {
		s := newSite(t)
		for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
			s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
		}
		op := s.started(control.Selector{Cluster: "mycl@alpha"})
		restarts := func(host string) {
			s.edit(host, func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationEnabled })
			s.editCluster(func(c *cinder.Cluster) { c.ReplicationStatus = cinder.ReplicationEnabled })
		}
		restarts("nodeb@alpha")
		for range 3 {
			s.look(s.Control)
			for _, o := range s.open() {
				s.hurryFailover(o)
			}
		}
		if got := s.operationNow(op.ID); got.State != cinder.OpOpen {
			t.Errorf("%s, %q, while a member is at it", got.State, got.Outcome)
		}
		if got, want := says(s.row("nodeb@alpha")), "enabled - failing-over"; got != want {
			t.Errorf("a list shows %s, want %s", got, want)
		}
		want := cinder.OpRolledBack
		if goesOn {
			s.arrive("site-b", "nodea@alpha", "nodeb@alpha")
			want = cinder.OpDone
		} else {
			restarts("nodea@alpha")
		}
		s.settle(s.Control)
		if got := s.operationNow(op.ID); got.State != want {
			t.Errorf("%s, %q, want %s", got.State, got.Outcome, want)
		}
	}
}

// A member of a cluster that starts does not end what the cluster is at: the
// answer does not say that it would.
func TestAbortOfAClusters(t *testing.T) {
	s := newSite(t)
	for _, m := range []string{"nodea@alpha", "nodeb@alpha"} {
		s.volume(m, "mycl@alpha", cinder.ReplicationEnabled)
	}
	op := s.started(control.Selector{Cluster: "mycl@alpha"})
	_, err := s.Abort(t.Context(), op.ID)
	wantKind(t, err, cinder.KindConflict)
	if want := "Stop all members of cluster mycl@alpha"; !strings.Contains(cinder.Message(err), want) {
		t.Errorf("message %q, want one with %q", cinder.Message(err), want)
	}
}

// A member that was down when a failover began takes its command once it has
// started: the failover is not over while it lives.
func TestAMemberStartsInTheMiddle(t *testing.T) {
	s := newSite(t)
	var late cinder.Service
	for _, m := range []string{"nodea@alpha", "nodeb@alpha"} {
		late = s.volume(m, "mycl@alpha", cinder.ReplicationEnabled)
	}
	silent := func(host string) {
		s.sql(`UPDATE services SET updated_at = '2020-01-01 00:00:00' WHERE host = ?`, host)
	}
	silent("nodeb@alpha")
	op := s.started(control.Selector{Cluster: "mycl@alpha"})
	if got, want := says(s.row("nodeb@alpha")), "enabled - enabled"; got != want {
		t.Errorf("who is down: %s, want %s", got, want)
	}
	s.beat(late)
	silent("nodea@alpha")
	_, err := s.Abort(t.Context(), op.ID)
	wantKind(t, err, cinder.KindConflict)
	if want := "nodeb@alpha is up and may still carry it out"; !strings.Contains(cinder.Message(err), want) {
		t.Errorf("message %q, want one with %q", cinder.Message(err), want)
	}
}

// Where fanouts are streams, a member that starts is given the last failover_completed
// once more, however old, and writes what it says. What the cluster decided since
// stays, and is on record.
func TestAnOldOutcomeIsHeardAgain(t *testing.T) {
	const nodeb = "nodeb@alpha"
	hears := func(s *site, site string) {
		s.edit(nodeb, func(r *cinder.Service) {
			r.ReplicationStatus, r.ActiveBackendID, r.Disabled, r.DisabledReason = outcome(site)
		})
	}
	for _, tt := range []struct {
		name    string
		since   func(s *site) error // what happened since the members were last told
		told    string
		want    string
		outcome string
	}{
		{
			"frozen since", func(s *site) error {
				_, err := s.Freeze(t.Context(), control.Selector{Cluster: "mycl@alpha"})
				return err
			}, "default", "disabled 'frozen' frozen enabled", "it is frozen, and disabled again",
		},
		{
			"disabled since", func(s *site) error {
				_, err := s.DisableWithReason(t.Context(), nodeb, cinder.BinaryVolume, new("disk swap"))
				return err
			}, "default", "disabled 'disk swap' enabled", "the administrator's disable is in force again",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			for _, h := range []string{"nodea@alpha", nodeb} {
				s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
			}
			if err := tt.since(s); err != nil {
				t.Fatal(err)
			}
			hears(s, tt.told)
			s.look(s.Control)
			if got := says(s.row(nodeb)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			ops, err := s.db.Operations(t.Context(), cinder.OperationQuery{Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			last := ops[0]
			if last.Kind != cinder.OpRestoreDisable || !strings.Contains(last.Outcome, tt.outcome) {
				t.Errorf("on record: %s %q, want one that says %q", last.Kind, last.Outcome, tt.outcome)
			}
		})
	}
}

// A member that starts reads failing-over in its cluster's row and writes enabled,
// though the failover has arrived since: the row is put right.
func TestAStartMisstatesTheCluster(t *testing.T) {
	s := newSite(t)
	for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
		s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
	}
	s.arrive("site-b", "nodea@alpha", "nodeb@alpha")
	s.editCluster(func(c *cinder.Cluster) { c.ReplicationStatus = cinder.ReplicationEnabled })
	s.runUntil(s.Control, func() bool {
		return s.clusterSays() == "disabled 'failed-over' failed-over on site-b" && len(s.open()) == 0
	})
	ops, err := s.db.Operations(t.Context(), cinder.OperationQuery{Kind: new(string(cinder.OpCompletion))})
	if err != nil || len(ops) != 1 || ops[0].Outcome != "every member agrees" {
		t.Errorf("on record: %+v (%v)", ops, err)
	}
}
