package control_test

import (
	"slices"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// frozenAnew is a cluster that was frozen when a member, nodeb, hung, which may carry
// that out yet; and once more, by nodea.
func frozenAnew(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
		s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
	}
	s.hung()
	_, err := s.Freeze(t.Context(), control.Selector{Cluster: "mycl@alpha"})
	wantKind(t, err, cinder.KindTimeout)
	s.goesOn()
	if _, err := s.Freeze(t.Context(), control.Selector{Cluster: "mycl@alpha"}); err != nil {
		t.Fatal(err)
	}
	return s
}

// during does something while a thaw of that cluster waits for its answer.
func (s *site) during(answer error, do func()) error {
	s.t.Helper()
	s.fleet.say("thaw", answer)
	return s.inTheMidst(func() error {
		_, err := s.Thaw(s.t.Context(), control.Selector{Cluster: "mycl@alpha"})
		return err
	}, do)
}

// inTheMidst does something while what something else has sent to a service, which
// has carried it out, waits for its answer.
func (s *site) inTheMidst(of func() error, do func()) error {
	s.t.Helper()
	hold := make(chan struct{})
	s.fleet.hold, s.fleet.entered = hold, make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- of() }()
	s.fleet.arrives(s.t, done)
	s.fleet.hold, s.fleet.entered = nil, nil
	do()
	close(hold)
	return <-done
}

// What a member carries out late in the midst of a thaw is undone, though it writes
// what its row has said before (G2); and a member that does not is left in peace.
func TestAMemberIsLateDuringAThaw(t *testing.T) {
	for name, late := range map[string]bool{"late": true, "hung still": false} {
		t.Run(name, func(t *testing.T) {
			s := frozenAnew(t)
			err := s.during(nil, func() {
				if late {
					s.lateFreeze("nodeb@alpha")
				}
				for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
					if got, want := says(s.row(h)), "disabled 'frozen' frozen enabled"; got != want {
						t.Errorf("%s in the midst of it: %s, want %s", h, got, want)
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			s.fleet.said()
			s.runUntil(s.process("api-2"), func() bool { return !late || len(s.watched())+len(s.open()) == 0 })
			s.look(s.Control)
			want, watched := []string{"thaw nodeb@alpha"}, 0
			if !late {
				want, watched = nil, 1
			}
			if sent := s.fleet.said(); !slices.Equal(sent, want) || len(s.watched()) != watched {
				t.Errorf("sent %q, and %d are watched; want %q, and %d", sent, len(s.watched()), want, watched)
			}
			for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
				if got, want := says(s.raw(h)), "enabled '' enabled"; got != want {
					t.Errorf("%s: %s, want %s", h, got, want)
				}
			}
		})
	}
}

// How a thaw tells that does not show in what is changed in its midst.
func TestADisableDuringSuchAThaw(t *testing.T) {
	s := frozenAnew(t)
	err := s.during(errLate, func() {
		if _, err := s.Disable(t.Context(), "nodeb@alpha", cinder.BinaryVolume); err != nil {
			t.Error(err)
		}
	})
	wantKind(t, err, cinder.KindTimeout)
	if got, want := says(s.raw("nodeb@alpha")), "disabled 'frozen' frozen enabled"; got != want {
		t.Errorf("thaw given up: %s, want %s", got, want)
	}
	s.goesOn()
	if _, err := s.Thaw(t.Context(), control.Selector{Cluster: "mycl@alpha"}); err != nil {
		t.Fatal(err)
	}
	if got, want := says(s.raw("nodeb@alpha")), "disabled - enabled"; got != want {
		t.Errorf("thawed: %s, want %s", got, want)
	}
}
