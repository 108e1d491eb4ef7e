package control_test

import (
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// A failover that is carried out in the midst of a freeze or thaw disables its
// service all the same, whatever becomes of that and whichever of the two its service
// has written first (G4).
func TestAFailoverInTheMidst(t *testing.T) {
	const host = "host1@alpha"
	sel := control.Selector{Host: host}
	for _, tt := range []struct {
		name   string
		admin  bool  // an administrator has disabled it
		thaw   bool  // a freeze otherwise
		first  bool  // the failover is carried out before the other command
		answer error // to the other command
		want   string
	}{
		{name: "thaw, then failover", thaw: true, want: "disabled 'failed-over' failed-over on site-b"},
		{name: "failover, then thaw", thaw: true, first: true, want: "disabled 'failed-over' failed-over on site-b"},
		{name: "thaw that is refused", thaw: true, answer: cinder.Errorf(cinder.KindConflict, "no"), want: "disabled 'frozen' frozen failed-over on site-b"},
		{name: "thaw of one that is disabled", admin: true, thaw: true, want: "disabled 'failed-over' failed-over on site-b"},
		{name: "freeze, then failover", want: "disabled 'frozen' frozen failed-over on site-b"},
		{name: "freeze that is refused", answer: cinder.Errorf(cinder.KindConflict, "no"), want: "disabled 'failed-over' failed-over on site-b"},
		{name: "freeze of one that is disabled, refused", admin: true, answer: cinder.Errorf(cinder.KindConflict, "no"), want: "disabled 'failed-over' failed-over on site-b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.volume(host, "", cinder.ReplicationEnabled)
			do, command := s.Freeze, "freeze"
			if tt.admin {
				if _, err := s.DisableWithReason(t.Context(), host, cinder.BinaryVolume, new("disk swap")); err != nil {
					t.Fatal(err)
				}
			}
			if tt.thaw {
				if _, err := s.Freeze(t.Context(), sel); err != nil {
					t.Fatal(err)
				}
				do, command = s.Thaw, "thaw"
			}
			s.fleet.say(command, tt.answer)
			err := s.inTheMidst(func() error { _, err := do(t.Context(), sel); return err }, func() {
				if _, err := s.Failover(t.Context(), sel, new("site-b")); err != nil {
					t.Error(err)
				}
				if tt.first { // the thaw that waits is carried out now
					s.edit(host, func(r *cinder.Service) { r.Disabled, r.DisabledReason = false, new("") })
				}
			})
			if (err != nil) != (tt.answer != nil) {
				t.Fatal(err)
			}
			s.settle(s.Control)
			if got := says(s.row(host)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if tt.answer == nil && tt.thaw || tt.answer != nil && !tt.thaw {
				if _, err := s.Failover(t.Context(), sel, new("default")); err != nil {
					t.Fatal(err)
				}
				s.settle(s.Control)
				want := map[bool]string{false: "enabled '' enabled", true: "disabled 'disk swap' enabled"}[tt.admin]
				if got := says(s.row(host)); got != want {
					t.Errorf("back: %s, want %s", got, want)
				}
			}
		})
	}
}

// The same holds when a late freeze is being undone.
func TestAFailoverInTheMidstOfAnUndo(t *testing.T) {
	const host = "host1@alpha"
	sel := control.Selector{Host: host}
	s := newSite(t)
	s.volume(host, "", cinder.ReplicationEnabled)
	s.hung()
	_, err := s.Freeze(t.Context(), sel)
	wantKind(t, err, cinder.KindTimeout)
	s.goesOn()
	s.edit(host, func(r *cinder.Service) { r.Disabled, r.DisabledReason = true, new("frozen") })
	err = s.inTheMidst(func() error { s.look(s.Control); return nil }, func() {
		if _, err := s.Failover(t.Context(), sel, new("site-b")); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s.settle(s.Control)
	if got, want := says(s.row(host)), "disabled 'failed-over' failed-over on site-b"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What a service writes on its way back is not taken for somebody else's doing.
func TestADisableOnTheWayBack(t *testing.T) {
	const host = "host1@alpha"
	sel := control.Selector{Host: host}
	s := newSite(t)
	s.volume(host, "", cinder.ReplicationEnabled)
	do := func(_ cinder.Operation, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(s.Freeze(t.Context(), sel))
	do(s.Failover(t.Context(), sel, new("site-b")))
	s.settle(s.Control)
	do(s.Failover(t.Context(), sel, new("default")))
	do(s.DisableWithReason(t.Context(), host, cinder.BinaryVolume, new("disk swap")))
	s.settle(s.Control)
	if got, want := says(s.row(host)), "disabled 'disk swap' frozen enabled"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	ops, err := s.db.Operations(t.Context(), cinder.OperationQuery{Kind: new(string(cinder.OpReconcile))})
	if err != nil || len(ops) > 0 {
		t.Errorf("on record: %+v, %v", ops, err)
	}
}
