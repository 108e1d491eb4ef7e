package history

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"stoker/test/load"
)

const (
	// orderWithin bounds the search for an order.
	orderWithin = time.Minute
	// settledWithin bounds the duration of a transaction; its timestamp may be a second
	// earlier.
	settledWithin = 16 * time.Second
)

// events are the changes and observations of a place.
func (h *history) events(p *place, all []*sent, quiet time.Time) []porcupine.Operation {
	var events []porcupine.Operation
	end := int64(quiet.Sub(h.began))
	for _, s := range all {
		call, back := h.span(s)
		add := func(until int64, w what) {
			events = append(events, porcupine.Operation{ClientId: s.caller, Input: w, Call: call, Return: until, Metadata: s})
		}
		if looks := p.of(s.shows); looks != nil {
			w := what{do: "list"}
			copy(w.shows[:], looks)
			add(back, w)
		}
		if l, ok := s.shows[p.name]; ok && p.cluster {
			add(back, what{do: "list of clusters", shows: [2]look{l}})
		}
		if s.place != p {
			continue
		}
		w := what{do: s.what, member: s.member, detail: s.detail}
		e := s.entry
		settled := end
		if e != nil && !e.settled.IsZero() {
			settled = min(settled, int64(e.settled.Add(settledWithin).Sub(h.began)))
		}
		switch {
		case s.what == "failover" && e != nil:
			begun := settled
			if s.err == nil && s.answer.Status != http.StatusGatewayTimeout {
				begun = back
			}
			add(begun, what{do: "begin", detail: s.detail, operation: e.id})
			add(settled, what{do: "end", operation: e.id, state: e.state})
		case s.what == "failover", s.keyTaken(), s.answer.Replayed:
		case s.acknowledged():
			add(back, w)
		case s.err == nil && s.answer.Status == http.StatusBadRequest:
			w.refused = true
			add(back, w)
		case e != nil && e.state == "done":
			add(settled, w)
		}
	}
	return events
}

// ordered checks that an order of a place's changes explains all observations, from a
// time at which nothing disabled it.
func (h *history) ordered(t *testing.T, p *place, from standing, events []porcupine.Operation, journal []*entry) {
	t.Helper()
	began := time.Now()
	result, info := inOrder(from, events)
	h.total.longest = max(h.total.longest, time.Since(began))
	h.total.events += len(events)
	switch result {
	case porcupine.Ok:
	case porcupine.Unknown:
		t.Errorf("%s: whether %d events have an order was not found out in %v", p.name, len(events), orderWithin)
	default:
		t.Errorf("what callers saw of %s has no order:\n%s\n%s", p.name, h.tell(events, farthest(info)), h.others(p, events, journal))
	}
}

// inOrder searches for an order of events.
func inOrder(from standing, events []porcupine.Operation) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{from} },
		Step: func(state, input, _ any) []any {
			var next []any
			for _, st := range state.(standing).after(input.(what)) { //nolint:forcetypeassert // They are all ours.
				next = append(next, st)
			}
			return next
		},
	}
	return porcupine.CheckOperationsVerbose(model.ToModel(), events, orderWithin)
}

// farthest is the longest order of events that explains what was seen.
func farthest(info porcupine.LinearizationInfo) map[any]bool {
	in := map[any]bool{}
	for _, partition := range info.PartialLinearizationsOperations() {
		if len(partition) == 0 {
			continue
		}
		longest := slices.MaxFunc(partition, func(a, b []porcupine.Operation) int { return cmp.Compare(len(a), len(b)) })
		for _, o := range longest {
			in[o.Metadata] = true
		}
	}
	return in
}

// tell formats a history for people: the changes, and lists that differ from the one
// before. It marks events that fit no order.
func (h *history) tell(events []porcupine.Operation, fits map[any]bool) string {
	events = slices.SortedFunc(slices.Values(events), func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var lines []string
	first := -1 // of those that do not fit
	shown, told := [2]look{}, map[any]bool{}
	for _, e := range events {
		s, w := e.Metadata.(*sent), e.Input.(what) //nolint:forcetypeassert // They are all ours.
		list := strings.HasPrefix(w.do, "list")
		if list && w.shows == shown && fits[s] || !list && told[s] {
			continue
		}
		mark := "  "
		if !fits[s] {
			mark = "? "
			if first < 0 {
				first = len(lines)
			}
		}
		text := mark + h.line(s)
		if list {
			shown = w.shows
			text += fmt.Sprintf(" shows %v", seen(w.shows))
		}
		told[s] = true
		lines = append(lines, text)
	}
	from, to := max(0, first-linesBefore), min(len(lines), first+linesAfter)
	return strings.Join(lines[from:to], "\n")
}

// linesBefore and linesAfter limit the printed history around the first event that fits
// no order.
const linesBefore, linesAfter = 40, 15

// others returns the operations on a place that belong to no history of this round:
// late ones of earlier rounds, and those without a request.
func (h *history) others(p *place, events []porcupine.Operation, journal []*entry) string {
	told := map[string]bool{}
	for _, e := range events {
		told[e.Metadata.(*sent).ID] = true //nolint:forcetypeassert // They are all ours.
	}
	var lines []string
	for _, e := range journal {
		if s := h.asked[e.request]; p.is(e.target) && !told[e.request] && s != nil {
			lines = append(lines, "not in this round: "+h.line(s))
		}
	}
	return strings.Join(lines, "\n")
}

// seen returns the looks that exist.
func seen(looks [2]look) []look {
	if looks[1] == (look{}) {
		return looks[:1]
	}
	return looks[:]
}

// calm brings a place to a state in which nothing disables it, and returns that state.
func (c *caller) calm(t *testing.T, p *place) standing {
	t.Helper()
	var looks []look
	load.Within(t, time.Minute, p.name+" is enabled, thawed and at home", func() bool {
		looks = p.of(c.send(t.Context(), c.from(&sent{what: "list"})).shows)
		if looks == nil {
			return false
		}
		var what string
		member := 0
		for i, l := range looks {
			switch {
			case l.Frozen:
				what = "thaw"
			case what == "" && (l.Site != "" || l.Moved == overWord || strings.HasPrefix(l.Moved, "fail")):
				what = "failover"
			case what == "" && l.Disabled:
				what, member = "enable", i
			}
		}
		if what == "" {
			return true
		}
		s := c.from(c.ask(p, what, member, home))
		c.send(t.Context(), s)
		return false
	})
	return standingAt(looks)
}
