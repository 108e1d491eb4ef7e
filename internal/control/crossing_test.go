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
			hold := make(chan struct{})
			s.fleet.hold, s.fleet.entered = hold, make(chan struct{})
			done := make(chan error, 1)
			go func() {
				_, err := do(t.Context(), sel)
				done <- err
			}()
			<-s.fleet.entered
			s.fleet.hold, s.fleet.entered = nil, nil
			if _, err := s.Failover(t.Context(), sel, new("site-b")); err != nil {
				t.Fatal(err)
			}
			if tt.first { // the thaw that waits is carried out now
				s.edit(host, func(r *cinder.Service) { r.Disabled, r.DisabledReason = false, new("") })
			}
			close(hold)
			if err := <-done; (err != nil) != (tt.answer != nil) {
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
