package control_test

import (
	"slices"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// A watch ends by itself, and then what the row says is what others have made of it.
func TestAWatchEnds(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.hung()
	wantKind(t, s.act("freeze"), cinder.KindTimeout)
	id := s.watched()[0].ID
	s.change(id, func(op *cinder.Operation) { op.Progress.WatchUntil = time.Now().Add(-time.Minute) })
	s.runUntil(s.Control, func() bool { return s.operationNow(id).State == cinder.OpRolledBack })
	if got, want := s.operationNow(id).Outcome, "no answer; nor was it carried out later"; got != want {
		t.Errorf("outcome %q, want %q", got, want)
	}
}

// A thaw that comes when its watch has ended is not undone. The row says what the
// service has written, until somebody thaws it; but no thaw ends what else disables.
func TestAThawThatComesVeryLate(t *testing.T) {
	tests := []struct {
		name    string
		start   []string
		want    string
		outcome string
		thawed  string
	}{
		{"frozen", []string{"freeze"}, "enabled '' frozen enabled", "changed from elsewhere: not disabled any more as frozen", "enabled '' enabled"},
		{"disabled, too", []string{"reason maint", "freeze"}, "disabled 'maint' frozen enabled", "enabled by a thaw or failback that came late: what else disables it is in force again", "disabled 'maint' enabled"},
		{
			"failed over, too",
			[]string{"failover site-b", "freeze"},
			"disabled 'failed-over' frozen failed-over on site-b", "enabled by a thaw or failback that came late: what else disables it is in force again", "disabled 'failed-over' failed-over on site-b",
		},
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
			s.hung()
			wantKind(t, s.act("thaw"), cinder.KindTimeout)
			id := s.watched()[0].ID
			s.change(id, func(op *cinder.Operation) { op.Progress.WatchUntil = time.Now().Add(-time.Minute) })
			s.runUntil(s.Control, func() bool { return s.operationNow(id).State == cinder.OpRolledBack })
			s.goesOn()
			s.lateThaw(alpha)
			s.look(s.process("api-2"))
			if got := says(s.raw(alpha)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			last, err := s.db.Operations(t.Context(), cinder.OperationQuery{Limit: 1})
			if err != nil || len(last) != 1 || last[0].Outcome != tt.outcome {
				t.Errorf("on record: %+v (%v), want %q", last, err, tt.outcome)
			}
			if err := s.act("thaw"); err != nil {
				t.Fatal(err)
			}
			if got := says(s.raw(alpha)); got != tt.thawed {
				t.Errorf("thawed: %s, want %s", got, tt.thawed)
			}
		})
	}
}

// A service that raises when it has written that it is thawed, or that does so for an
// earlier command, is sent the opposite: its backend must be as its row says (G2).
func TestAThawThatRaisesHalfWay(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	if err := s.act("freeze"); err != nil {
		t.Fatal(err)
	}
	s.fleet.answer["thaw"], s.fleet.late = cinder.Errorf(cinder.KindRemote, "boom"), true
	op, err := s.Thaw(t.Context(), control.Selector{Host: alpha})
	wantKind(t, err, cinder.KindRemote)
	s.fleet.answer["thaw"], s.fleet.late = nil, false
	s.fleet.said()
	s.runUntil(s.process("api-2"), func() bool { return s.operationNow(op.ID).State.Final() })
	if sent := s.fleet.said(); !slices.Equal(sent, []string{"freeze host1@alpha"}) {
		t.Errorf("sent %q, want a freeze", sent)
	}
	if got := s.operationNow(op.ID); got.State != cinder.OpRolledBack || got.Outcome != "boom; carried out late by host1@alpha, and undone by a freeze" {
		t.Errorf("%s: %q", got.State, got.Outcome)
	}
	if got, want := says(s.raw(alpha)), "disabled 'frozen' frozen enabled"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
