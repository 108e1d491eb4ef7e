package control_test

import (
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// A service that is failed over and starts while it is to fail back writes that it
// is enabled, where it is. When nothing has come of the way back it is failed over
// as before, whoever notices: the request that could not be delivered, or recovery.
func TestServiceStartsDuringAFailback(t *testing.T) {
	starts := func(s *site) {
		s.edit(alpha, func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationEnabled })
	}
	for name, end := range map[string]func(*site){
		"not delivered": func(s *site) {
			s.fleet.say("failover", cinder.Errorf(cinder.KindUndeliverable, "nobody listens"))
			s.fleet.entered, s.fleet.hold = make(chan struct{}), make(chan struct{})
			failed := make(chan error)
			go func() {
				_, err := s.Failover(t.Context(), control.Selector{Host: alpha}, new("default"))
				failed <- err
			}()
			s.fleet.arrives(t, failed)
			starts(s)
			close(s.fleet.hold)
			wantKind(t, <-failed, cinder.KindUndeliverable)
			s.fleet.entered, s.fleet.hold = nil, nil
		},
		"never carried out": func(s *site) {
			s.fleet.say("failover", errLate)
			op, err := s.Failover(t.Context(), control.Selector{Host: alpha}, new("default"))
			wantKind(t, err, cinder.KindTimeout)
			starts(s)
			s.settle(s.Control)
			if got, err := s.Operation(t.Context(), op.ID); err != nil || got.State != cinder.OpRolledBack {
				t.Errorf("the operation is %s (%v), want undone", got.State, err)
			} else if after := got.After.Services[0].ReplicationStatus; after != cinder.ReplicationFailedOver {
				t.Errorf("it has ended with the service %s, want failed-over: that is put right with it, not later", after)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.volume(alpha, "", cinder.ReplicationEnabled)
			if err := s.act("failover site-b"); err != nil {
				t.Fatal(err)
			}
			end(s)
			if got, want := says(s.row(alpha)), "disabled 'failed-over' failed-over on site-b"; got != want {
				t.Errorf("%s, want %s", got, want)
			}
			s.fleet.say("failover", nil)
			if err := s.act("failover default"); err != nil {
				t.Fatal(err)
			}
			if got, want := says(s.row(alpha)), "enabled '' enabled"; got != want {
				t.Errorf("once it goes back: %s, want %s", got, want)
			}
		})
	}
}

// A service that has read failing-over when it starts may write enabled after the
// failover was undone. It is where it was: nobody has enabled it.
func TestServiceStartsLate(t *testing.T) {
	for name, looked := range map[string]bool{"recovery sees it": true, "the next failover sees it": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.volume(alpha, "", cinder.ReplicationEnabled)
			if err := s.act("failover site-b"); err != nil {
				t.Fatal(err)
			}
			s.fleet.say("failover", cinder.Errorf(cinder.KindUndeliverable, "nobody listens"))
			wantKind(t, s.act("failover default"), cinder.KindUndeliverable)
			s.edit(alpha, func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationEnabled })
			if looked {
				s.look(s.Control)
				if got, want := says(s.row(alpha)), "disabled 'failed-over' failed-over on site-b"; got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
			s.fleet.say("failover", nil)
			if err := s.act("failover default"); err != nil {
				t.Fatal(err)
			}
			if got, want := says(s.row(alpha)), "enabled '' enabled"; got != want {
				t.Errorf("once it goes back: %s, want %s", got, want)
			}
		})
	}
}
