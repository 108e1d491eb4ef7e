package control_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// publish lets a process tell its listeners until the test ends.
func publish(t *testing.T, c *control.Control) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Publish(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// next waits for the next events, in words.
func next(t *testing.T, l *control.Listener) (words []string, last string) {
	t.Helper()
	select {
	case events, more := <-l.Events:
		if !more {
			t.Fatal("the listener was dropped")
		}
		return inWords(events), events[len(events)-1].ID
	case <-time.After(patience):
		t.Fatalf("no event within %v", patience)
	}
	return nil, ""
}

func inWords(events []control.Event) []string {
	var words []string
	for _, e := range events {
		if e.Operation != nil {
			words = append(words, fmt.Sprintf("%s %s", e.Operation.Kind, e.Operation.State))
		} else {
			words = append(words, strings.TrimSpace(e.Service.Host+" "+strings.Join(e.Changed, " ")))
		}
	}
	return words
}

// A listener hears what changes, whoever changes it: through another process, in
// the rows themselves, or nobody but the clock.
func TestListen(t *testing.T) {
	s := newSite(t)
	row := s.volume(alpha, "", cinder.ReplicationEnabled)
	publish(t, s.Control)
	l, err := s.Listen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.ID == "" || len(l.Missed) > 0 {
		t.Errorf("id %q, missed %v", l.ID, l.Missed)
	}
	other := s.process("api-2")
	if _, err := other.DisableWithReason(t.Context(), alpha, cinder.BinaryVolume, new("swap")); err != nil {
		t.Fatal(err)
	}
	if words, id := next(t, l); !slices.Equal(words, []string{"host1@alpha status disabled_reason", "disable done"}) || id == "" {
		t.Errorf("heard %q, id %q", words, id)
	}
	s.edit(alpha, func(r *cinder.Service) {
		r.ReplicationStatus, r.ActiveBackendID = cinder.ReplicationFailedOver, new("site-b")
	})
	if words, _ := next(t, l); !slices.Equal(words, []string{"host1@alpha replication_status active_backend_id"}) {
		t.Errorf("heard %q", words)
	}
	s.volume("host1@beta", "", cinder.ReplicationDisabled)
	if words, _ := next(t, l); !slices.Equal(words, []string{"host1@beta added"}) {
		t.Errorf("heard %q", words)
	}
	s.remove(row.ID)
	if words, _ := next(t, l); !slices.Equal(words, []string{"host1@alpha removed"}) {
		t.Errorf("heard %q", words)
	}
}

// Who comes back hears of what changed meanwhile, from any process, and of nothing
// when nothing did.
func TestListenAgain(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.volume("host1@beta", "", cinder.ReplicationDisabled)
	first, err := s.Listen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	other := s.process("api-2")
	same, err := other.Listen(t.Context(), first.ID)
	if err != nil || len(same.Missed) > 0 {
		t.Errorf("nothing has changed: missed %q, %v", inWords(same.Missed), err)
	}
	same.Close()
	if err := s.act("freeze"); err != nil {
		t.Fatal(err)
	}
	again, err := other.Listen(t.Context(), first.ID)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if words := inWords(again.Missed); !slices.Equal(words, []string{"host1@alpha", "host1@beta", "freeze done"}) {
		t.Errorf("missed %q", words)
	}
	if id := again.Missed[len(again.Missed)-1].ID; id != again.ID {
		t.Errorf("the last of what was missed has the id %q, want %q", id, again.ID)
	}
}

// A listener that does not read is dropped, and the others hear on; the end of the
// process ends them all.
func TestSlowListener(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	slow, err := s.Listen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	for i := range 70 {
		if err := s.act(fmt.Sprintf("reason %d", i)); err != nil {
			t.Fatal(err)
		}
		l, err := s.Listen(t.Context(), "") // which looks
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	n := 0
	for range slow.Events {
		n++
	}
	if n != 64 {
		t.Errorf("%d batches before it was dropped, want 64", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	fine, err := s.Listen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer fine.Close()
	cancel()
	s.Publish(ctx)
	if _, more := <-fine.Events; more {
		t.Error("an event after the end")
	}
}

func TestTooManyListeners(t *testing.T) {
	s := newSite(t)
	for range 256 {
		l, err := s.Listen(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	_, err := s.Listen(t.Context(), "")
	wantKind(t, err, cinder.KindUnavailable)
}
