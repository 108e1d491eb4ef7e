package kill

import (
	"slices"
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/test/load"
)

// ended waits for the operation's required outcome, in time, and checks which processes
// ended it.
func (s *site) ended(t *testing.T, c trial, last string, died []time.Time, slowest *stopwatch) {
	t.Helper()
	kind := c.journal()
	if c.when == missed {
		kind = string(cinder.OpCompletion)
	}
	find := func() (o operation) {
		t.Helper()
		found := s.operations(t, kind, last)
		if len(found) > 1 || len(found) == 1 && c.ends == nothing {
			t.Fatalf("the journal has %d operations: %+v", len(found), found)
		}
		if len(found) == 1 {
			o = found[0]
		}
		return o
	}
	if c.ends == nothing {
		find()
		return
	}
	var o operation
	if c.ends == overdue {
		o = s.overdue(t, find)
	}
	limit := max(time.Until(find().deadline), 0) + settledBy
	load.Within(t, limit, "the operation has ended", func() bool { o = find(); return o.id != "" && s.over(t, c, o) })
	state := string(c.ends)
	if c.ends != done && o.state == "watched" || c.ends == overdue {
		state = o.state // rows are as before; it is still watched
	}
	if o.state != state || o.state == "done" && c.ends != done {
		t.Errorf("the operation is %s (%s), want %s", o.state, o.outcome, c.ends)
	}
	s.once(t, c, o, died, slowest)
}

// over reports whether nothing but a watch without findings remains of an operation.
func (s *site) over(t *testing.T, c trial, o operation) bool {
	t.Helper()
	if c.when == hung { // the one to be undone is watched first
		return o.state == "undone"
	}
	return o.state != "open"
}

// overdue waits until a cluster's operation is shown as overdue, and checks that it can
// be ended once the members that may execute it are gone.
func (s *site) overdue(t *testing.T, find func() operation) operation {
	t.Helper()
	var o operation
	load.Within(t, max(time.Until(find().deadline), 0)+settledBy, "it is shown as overdue", func() bool { o = find(); return strings.HasPrefix(o.outcome, "overdue") })
	shown, err := s.clients[1].Operation(t.Context(), o.id)
	if err != nil || !shown.Overdue {
		t.Errorf("the API shows %+v: %v", shown, err)
	}
	const wayOut = "Stop all members"
	if _, err := s.clients[1].AbortOperation(t.Context(), o.id); cinder.KindOf(err) != cinder.KindConflict || !strings.Contains(cinder.Message(err), wayOut) {
		t.Errorf("abort while the service may still carry it out: %v, want it to say %q", err, wayOut)
	}
	for _, e := range s.cluster.services {
		e.Kill(t)
	}
	load.Within(t, load.Patience, "it is put back when the service is gone", func() bool { o = find(); return o.state != "open" })
	for _, e := range s.cluster.services {
		e.Start(t)
	}
	return o
}

// once checks that processes took the operation over strictly one after another, and
// that one ended it, in time.
func (s *site) once(t *testing.T, c trial, o operation, died []time.Time, slowest *stopwatch) {
	t.Helper()
	history := s.history(t, o.id)
	var takeovers, ends []change
	owners := map[string]bool{}
	for _, h := range history {
		switch {
		case h.was == "open" && h.now == "open":
			takeovers = append(takeovers, h)
			if owners[h.owner] || h.owner == h.ownerWas {
				t.Errorf("taken over twice by the same process: %+v", history)
			}
			owners[h.ownerWas], owners[h.owner] = true, true
		case h.now != "open" && h.now != "watched", h.was == "open":
			ends = append(ends, h)
		}
	}
	if len(takeovers) != c.takeovers {
		t.Errorf("taken over %d times, want %d: %+v", len(takeovers), c.takeovers, history)
	}
	finals := slices.DeleteFunc(slices.Clone(ends), func(h change) bool { return h.now == "watched" })
	if len(finals) > 1 || len(ends) == 0 {
		t.Errorf("ended %d times: %+v", len(finals), history)
	}
	var took, settled time.Duration
	for i, h := range takeovers {
		if i < len(died) {
			took = max(took, h.at.Sub(died[i]))
		}
	}
	if took > takenOver {
		t.Errorf("taken over %v after the kill, want %v at most", took, takenOver)
	}
	if len(ends) > 0 {
		last := ends[len(ends)-1].at
		settled = max(last.Sub(died[len(died)-1]), 0) // before it, when the last one died after settling it
		if late := last.Sub(o.deadline); late > settledBy && c.ends != overdue {
			t.Errorf("settled %v after its deadline, want %v at most", late, settledBy)
		}
	}
	t.Logf("taken over after %v, settled after %v: %s (%s)", took.Round(time.Millisecond), settled.Round(time.Millisecond), o.state, o.outcome)
	slowest.note(took, settled)
}
