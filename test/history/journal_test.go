package history

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// entry is an entry of the journal.
type entry struct {
	id, kind, state, request, target, outcome string
	settled                                   time.Time // in whole seconds; zero when it is open
}

func (e *entry) String() string {
	if e == nil {
		return ""
	}
	text := "[" + e.state
	if e.outcome != "" {
		text += ": " + e.outcome
	}
	return text + " at " + e.settled.Format(time.TimeOnly) + ", operation " + e.id + "]"
}

// journal returns the journal's entries since a time, oldest first.
func (h *history) journal(t *testing.T, since time.Time) []*entry {
	t.Helper()
	rows, err := h.DB.QueryContext(t.Context(), "SELECT id, kind, state, request_id, CASE WHEN host = '' THEN cluster_name ELSE host END, outcome, COALESCE(CAST(settled_at AS CHAR), '')"+
		" FROM stoker_operations WHERE started_at >= ? ORDER BY id", since.UTC().Format(time.DateTime))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []*entry
	for rows.Next() {
		e, settled := &entry{}, ""
		if err := rows.Scan(&e.id, &e.kind, &e.state, &e.request, &e.target, &e.outcome, &settled); err != nil {
			t.Fatal(err)
		}
		if settled != "" {
			if e.settled, err = time.Parse("2006-01-02 15:04:05.999999", settled); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// recorded compares answers with the journal: each acknowledged change has one entry,
// done, with its request id and the operation in the answer; no refused change is done.
// There are no entries that nobody requested.
func (h *history) recorded(t *testing.T, all []*sent, journal []*entry) {
	t.Helper()
	for _, s := range all {
		s.entry = nil
	}
	for _, e := range journal {
		s := h.asked[e.request]
		switch {
		case e.kind == "reconcile" && h.alone(e.target) && strings.HasPrefix(e.outcome, "changed from elsewhere"):
			t.Errorf("%s was taken for changed from elsewhere, and nobody else is here: %s", e.target, e)
		case s == nil && slices.ContainsFunc(h.places, func(p *place) bool { return p.is(e.target) }) && e.request != "":
			t.Errorf("nobody has asked for %s of %s (request %s) %s", e.kind, e.target, e.request, e)
		case s == nil:
		case s.entry != nil && s.entry.id != e.id:
			t.Errorf("one request, two operations:\n%s\n%s", h.line(s), e)
		default:
			s.entry = e
		}
	}
	for _, s := range all {
		if wrong := s.contradicts(); wrong != "" {
			t.Errorf("%s:\n%s", wrong, h.line(s))
		}
	}
}

// alone reports whether a service belongs to no cluster. When a member hears late of a
// failback, the journal shows a change from elsewhere.
func (h *history) alone(name string) bool {
	return slices.ContainsFunc(h.places, func(p *place) bool { return p.is(name) && !p.cluster })
}

// contradicts says how an answer and the journal contradict each other.
func (s *sent) contradicts() string {
	e, a := s.entry, s.answer
	switch {
	case s.what == "list":
		return ""
	case e != nil && (a.Replayed || s.keyTaken()):
		return "the answer is another request's, and it has an operation of its own"
	case s.keyTaken(), a.Replayed, s.err != nil:
		return ""
	case e != nil && (e.kind != s.what || a.Operation != "" && a.Operation != e.id):
		return "the answer names operation " + a.Operation + ", and the journal has another"
	case e == nil && (a.Operation != "" || s.acknowledged()):
		return "it was answered, and is not in the journal"
	case s.acknowledged() && e.kind != "failover" && e.state != "done":
		return "it was acknowledged, and is not done"
	case s.refused() && e != nil && e.state == "done":
		return "it was refused, and is done"
	default:
		return ""
	}
}

// keysHold checks that requests with the same key had one operation and one answer.
func (h *history) keysHold(t *testing.T) {
	t.Helper()
	for key, all := range h.keys {
		var began []*entry
		var first *sent // the one that got the stored answer
		for _, s := range all {
			if s.entry != nil {
				began = append(began, s.entry)
			}
			if s.err != nil || s.keyTaken() || s.answer.Operation == "" {
				continue
			}
			if first == nil {
				first = s
			}
			if a, b := s.answer, first.answer; a.Operation != b.Operation || a.Status != b.Status || a.Body != b.Body {
				t.Errorf("two answers to one key:\n%s", h.lines(all))
				break
			}
		}
		if len(began) > 1 {
			t.Errorf("the key %s was used once, and %d operations were begun:\n%s", key, len(began), h.lines(all))
		}
		if first != nil && len(began) == 0 {
			t.Errorf("no request of key %s began the operation that was answered:\n%s", key, h.lines(all))
		}
	}
}

// lines formats requests, a line each, in the order of sending.
func (h *history) lines(all []*sent) string {
	all = slices.SortedFunc(slices.Values(all), func(a, b *sent) int { return a.answer.Began.Compare(b.answer.Began) })
	var text strings.Builder
	for _, s := range all {
		fmt.Fprintln(&text, h.line(s))
	}
	return text.String()
}
