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

// lateFreeze and lateThaw are what a hung Python process writes when it goes on.
func (s *site) lateFreeze(host string) {
	s.edit(host, func(r *cinder.Service) {
		r.Disabled, r.DisabledReason, r.ModifiedAt = true, new("frozen"), time.Now()
	})
}

func (s *site) lateThaw(host string) {
	s.edit(host, func(r *cinder.Service) {
		r.Disabled, r.DisabledReason, r.ModifiedAt = false, new(""), time.Now()
	})
}

// hung makes the service take commands and answer none.
func (s *site) hung()   { s.fleet.say("freeze", errLate); s.fleet.say("thaw", errLate) }
func (s *site) goesOn() { s.fleet.say("freeze", nil); s.fleet.say("thaw", nil) }

func (f *fleet) say(command string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer[command] = err
}

// said are the commands sent since they were last asked for.
func (f *fleet) said() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	said := f.sent
	f.sent = nil
	return said
}

// raw is a row as it is in the database.
func (s *site) raw(host string) cinder.Service {
	s.t.Helper()
	var row cinder.Service
	err := s.db.Update(s.t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Services(s.t.Context(), cinder.ServiceQuery{Host: &host})
		if err == nil {
			row = rows[0]
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return row
}

// operationNow is an operation as the journal has it.
func (s *site) operationNow(id string) cinder.Operation {
	s.t.Helper()
	op, err := s.db.Operation(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return op
}

// look lets a process look at everything a few times.
func (s *site) look(c *control.Control) {
	s.t.Helper()
	for range 3 {
		if err := c.Look(s.t.Context()); err != nil {
			s.t.Error(err)
		}
	}
}

// A freeze or thaw that a hung process carries out late is undone by the opposite
// command, whatever the administrator has done to the service meanwhile (G2); no
// list shows it.
func TestCarriedOutLate(t *testing.T) {
	tests := []struct {
		name    string
		start   []string
		command string
		then    []string // after it was given up
		want    string
		sent    string
	}{
		{"freeze", nil, "freeze", nil, "enabled - enabled", "thaw host1@alpha"},
		{"freeze of a disabled one", []string{"reason maint"}, "freeze", nil, "disabled 'maint' enabled", "thaw host1@alpha"},
		{"freeze, disabled meanwhile", nil, "freeze", []string{"reason swap"}, "disabled 'swap' enabled", "thaw host1@alpha"},
		{"freeze of a failed over one", []string{"failover site-b"}, "freeze", nil, "disabled 'failed-over' failed-over on site-b", "thaw host1@alpha"},
		{"thaw", []string{"freeze"}, "thaw", nil, "disabled 'frozen' frozen enabled", "freeze host1@alpha"},
		{"thaw of a disabled one", []string{"reason maint", "freeze"}, "thaw", nil, "disabled 'frozen' frozen enabled", "freeze host1@alpha"},
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
			wantKind(t, s.act(tt.command), cinder.KindTimeout)
			id := s.watched()[0].ID
			for _, words := range tt.then {
				if err := s.act(words); err != nil {
					t.Fatal(err)
				}
			}
			s.look(s.Control)
			s.goesOn()
			s.fleet.said()
			if tt.command == "freeze" {
				s.lateFreeze(alpha)
			} else {
				s.lateThaw(alpha)
			}
			if got := says(s.row(alpha)); got != tt.want {
				t.Errorf("a list shows %s before it is undone, want %s", got, tt.want)
			}
			s.runUntil(s.process("api-2"), func() bool { return len(s.watched())+len(s.open()) == 0 })
			if got := says(s.raw(alpha)); got != tt.want {
				t.Errorf("row %s, want %s", got, tt.want)
			}
			if sent := s.fleet.said(); !slices.Equal(sent, []string{tt.sent}) {
				t.Errorf("sent %q, want %s, once", sent, tt.sent)
			}
			op := s.operationNow(id)
			if op.State != cinder.OpRolledBack || !strings.Contains(op.Outcome, "carried out late by host1@alpha, and undone by a ") {
				t.Errorf("%s: %q", op.State, op.Outcome)
			}
		})
	}
}

// What an administrator has wanted since is not undone.
func TestNewIntentWins(t *testing.T) {
	t.Run("frozen again", func(t *testing.T) {
		s := newSite(t)
		s.volume(alpha, "", cinder.ReplicationEnabled)
		s.hung()
		wantKind(t, s.act("freeze"), cinder.KindTimeout)
		s.goesOn()
		s.lateFreeze(alpha)
		if err := s.act("freeze"); err != nil {
			t.Fatal(err)
		}
		s.fleet.said()
		s.look(s.Control)
		if got, want := says(s.row(alpha)), "disabled 'frozen' frozen enabled"; got != want || len(s.fleet.said()) > 0 {
			t.Errorf("%s, want %s and nothing sent", got, want)
		}
		if err := s.act("thaw"); err != nil {
			t.Fatal(err)
		}
		s.look(s.Control)
		if got, want := says(s.row(alpha)), "enabled '' enabled"; got != want {
			t.Errorf("thawed: %s, want %s", got, want)
		}
	})
	t.Run("enabled before it was seen", func(t *testing.T) {
		s := newSite(t)
		s.volume(alpha, "", cinder.ReplicationEnabled)
		s.hung()
		wantKind(t, s.act("freeze"), cinder.KindTimeout)
		s.goesOn()
		s.lateFreeze(alpha)
		if err := s.act("enable"); err != nil {
			t.Fatal(err)
		}
		s.fleet.said()
		// The backend is frozen all the same, and nobody wants that.
		s.runUntil(s.Control, func() bool { return len(s.watched())+len(s.open()) == 0 })
		if got, want := says(s.row(alpha)), "enabled - enabled"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if sent := s.fleet.said(); !slices.Equal(sent, []string{"thaw host1@alpha"}) {
			t.Errorf("sent %q, want a thaw", sent)
		}
	})
	t.Run("disabled before it was seen", func(t *testing.T) {
		s := newSite(t)
		s.volume(alpha, "", cinder.ReplicationEnabled)
		s.hung()
		wantKind(t, s.act("freeze"), cinder.KindTimeout)
		s.goesOn()
		s.lateFreeze(alpha)
		if err := s.act("disable"); err != nil {
			t.Fatal(err)
		}
		if got, want := says(s.row(alpha)), "disabled - enabled"; got != want {
			t.Errorf("%s, want %s: the reason of a freeze that was given up is none", got, want)
		}
		s.runUntil(s.Control, func() bool { return len(s.watched())+len(s.open()) == 0 })
		if got, want := says(s.row(alpha)), "disabled - enabled"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	t.Run("enabled by another API", func(t *testing.T) {
		s := newSite(t)
		s.volume(alpha, "", cinder.ReplicationEnabled)
		if err := s.act("freeze"); err != nil {
			t.Fatal(err)
		}
		s.hung()
		wantKind(t, s.act("thaw"), cinder.KindTimeout)
		s.goesOn()
		s.fleet.said()
		s.edit(alpha, func(r *cinder.Service) { r.Disabled = false }) // the reason stays
		s.look(s.Control)
		if got, want := says(s.row(alpha)), "enabled 'frozen' frozen enabled"; got != want || len(s.fleet.said()) > 0 {
			t.Errorf("%s, want %s and nothing sent", got, want)
		}
	})
}

// The undo is sent to the very member that was late; all members are alike after it.
func TestAMemberIsLate(t *testing.T) {
	s := newSite(t)
	for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
		s.volume(h, "mycl@alpha", cinder.ReplicationEnabled)
	}
	s.hung()
	_, err := s.Freeze(t.Context(), control.Selector{Cluster: "mycl@alpha"})
	wantKind(t, err, cinder.KindTimeout)
	s.goesOn()
	s.fleet.said()
	s.lateFreeze("nodeb@alpha")
	s.runUntil(s.Control, func() bool { return len(s.watched())+len(s.open()) == 0 })
	if sent := s.fleet.said(); !slices.Equal(sent, []string{"thaw nodeb@alpha"}) {
		t.Errorf("sent %q, want a thaw of nodeb@alpha", sent)
	}
	for _, h := range []string{"nodea@alpha", "nodeb@alpha"} {
		if got, want := says(s.raw(h)), "enabled - enabled"; got != want {
			t.Errorf("%s: %s, want %s", h, got, want)
		}
	}
	if got, want := s.clusterSays(), "enabled - enabled"; got != want {
		t.Errorf("cluster: %s, want %s", got, want)
	}
}

// An undo that fails is tried again with pauses, by whoever is there, and given up
// on record.
func TestTheUndoFails(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.hung()
	wantKind(t, s.act("freeze"), cinder.KindTimeout)
	id := s.watched()[0].ID
	s.lateFreeze(alpha)
	for i, c := range []*control.Control{s.Control, s.process("api-2"), s.Control, s.process("api-3"), s.Control, s.Control, s.Control, s.Control} {
		s.fleet.said()
		s.lookUntil(c, func() bool { return s.operationNow(id).Progress.Attempts == i+1 })
		if sent := s.fleet.said(); !slices.Equal(sent, []string{"thaw host1@alpha"}) {
			t.Fatalf("attempt %d: sent %q, want a thaw", i+1, sent)
		}
		s.hurry(id)
	}
	op := s.operationNow(id)
	if op.State != cinder.OpFailed || !strings.Contains(op.Outcome, "has failed 8 times and is given up: no answer") {
		t.Errorf("%s: %q", op.State, op.Outcome)
	}
	s.fleet.said()
	s.look(s.Control)
	if sent := s.fleet.said(); len(sent) > 0 {
		t.Errorf("sent %q after it was given up", sent)
	}
}

// The thaw that undoes a freeze may itself be carried out and not answered, or come
// late: what the administrator has disabled stays so, and no list shows otherwise.
func TestTheUndoIsNotAnswered(t *testing.T) {
	const want = "disabled 'maint' enabled"
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	if err := s.act("reason maint"); err != nil {
		t.Fatal(err)
	}
	s.hung()
	wantKind(t, s.act("freeze"), cinder.KindTimeout)
	id := s.watched()[0].ID
	s.lateFreeze(alpha)
	s.lookUntil(s.Control, func() bool { return s.operationNow(id).Progress.Attempts == 1 })
	s.lateThaw(alpha)
	if got := says(s.row(alpha)); got != want {
		t.Errorf("a list shows %s before it is put right, want %s", got, want)
	}
	s.goesOn()
	s.hurry(id)
	s.runUntil(s.process("api-2"), func() bool { return len(s.watched())+len(s.open()) == 0 })
	if got := says(s.raw(alpha)); got != want {
		t.Errorf("row %s, want %s", got, want)
	}
}

// hurry takes the pause out of an operation.
func (s *site) hurry(id string) {
	s.t.Helper()
	s.change(id, func(op *cinder.Operation) { op.Progress.NextLook = time.Time{} })
}

// change edits an operation that is not settled.
func (s *site) change(id string, f func(*cinder.Operation)) {
	s.t.Helper()
	err := s.db.Update(s.t.Context(), func(tx *store.Tx) error {
		open, err := tx.OpenOperations(s.t.Context())
		for _, op := range open {
			if op.ID == id {
				now := op
				f(&now)
				return tx.SaveOperation(s.t.Context(), op, now)
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// An API process that dies while it undoes leaves that to another one.
func TestAnotherProcessGoesOnUndoing(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.hung()
	wantKind(t, s.act("freeze"), cinder.KindTimeout)
	id := s.watched()[0].ID
	s.goesOn()
	s.lateFreeze(alpha)
	s.change(id, func(op *cinder.Operation) { // as beginUndo leaves it
		op.State, op.Progress.Undoing, op.Progress.Late = cinder.OpOpen, true, []string{alpha}
		op.Owner, op.LeaseUntil, op.Deadline = "dead", time.Now().Add(-time.Minute), time.Now().Add(-time.Minute)
	})
	if got, want := says(s.row(alpha)), "enabled - enabled"; got != want {
		t.Errorf("half-way: %s, want %s", got, want)
	}
	wantKind(t, s.act("freeze"), cinder.KindConflict)
	s.lookUntil(s.process("api-2"), func() bool { return s.operationNow(id).State == cinder.OpMonitoring })
	s.hurry(id)
	s.runUntil(s.process("api-2"), func() bool { return s.operationNow(id).State == cinder.OpRolledBack })
	if got, want := says(s.raw(alpha)), "enabled - enabled"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Exactly one of several processes undoes.
func TestOneUndoes(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.hung()
	wantKind(t, s.act("freeze"), cinder.KindTimeout)
	s.goesOn()
	s.fleet.said()
	s.lateFreeze(alpha)
	done := make(chan struct{})
	for _, name := range []string{"api-2", "api-3", "api-4"} {
		go func() {
			defer func() { done <- struct{}{} }()
			s.look(s.process(name))
		}()
	}
	for range 3 {
		<-done
	}
	if sent := s.fleet.said(); !slices.Equal(sent, []string{"thaw host1@alpha"}) {
		t.Errorf("sent %q, want one thaw", sent)
	}
}
