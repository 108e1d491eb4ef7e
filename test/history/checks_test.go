package history

import (
	"errors"
	"testing"

	"github.com/anishathalye/porcupine"

	"stoker/test/load"
)

// TestOrder checks that impossible histories have no order.
func TestOrder(t *testing.T) {
	enabled := look{Moved: "enabled"}
	disabled := func(why string) look { return look{Disabled: true, Reason: why, Moved: "enabled"} }
	frozen := look{Disabled: true, Reason: frozenWord, Frozen: true, Moved: "enabled"}
	list := func(l look) what { return what{do: "list", shows: [2]look{l}} }
	do := func(kind string, detail ...string) what { return what{do: kind, detail: append(detail, "")[0]} }
	type event struct {
		call, back int64
		what
	}
	const soon, late = 1, 100
	for name, tt := range map[string]struct {
		events []event
		want   porcupine.CheckResult
	}{
		"a freeze shows":                             {[]event{{1, 2, do("freeze")}, {3, 4, list(frozen)}}, porcupine.Ok},
		"a freeze does not show":                     {[]event{{1, 2, do("freeze")}, {3, 4, list(enabled)}}, porcupine.Illegal},
		"it shows, and then not":                     {[]event{{1, late, do("freeze")}, {3, 4, list(frozen)}, {5, 6, list(enabled)}}, porcupine.Illegal},
		"one that came late does not show at first":  {[]event{{1, late, do("freeze")}, {3, 4, list(enabled)}, {5, 6, list(frozen)}}, porcupine.Ok},
		"of two reasons the first stays":             {[]event{{1, 2, do("disable", "a")}, {3, 4, do("disable", "b")}, {5, 6, list(disabled("a"))}}, porcupine.Illegal},
		"of two at the same time either":             {[]event{{1, 4, do("disable", "a")}, {2, 5, do("disable", "b")}, {6, 7, list(disabled("a"))}}, porcupine.Ok},
		"a thaw gives the reason back":               {[]event{{1, 2, do("disable", "a")}, {3, 4, do("freeze")}, {5, 6, do("thaw")}, {7, 8, list(disabled("a"))}}, porcupine.Ok},
		"a thaw ends a disable":                      {[]event{{1, 2, do("disable", "a")}, {3, 4, do("freeze")}, {5, 6, do("thaw")}, {7, 8, list(enabled)}}, porcupine.Illegal},
		"two freezes are done":                       {[]event{{1, 2, do("freeze")}, {3, 4, do("freeze")}}, porcupine.Illegal},
		"a second one is refused":                    {[]event{{1, 2, do("freeze")}, {3, 4, what{do: "freeze", refused: true}}}, porcupine.Ok},
		"one is refused of what is not frozen":       {[]event{{1, 2, what{do: "freeze", refused: true}}}, porcupine.Illegal},
		"a frozen one is enabled":                    {[]event{{1, 2, do("freeze")}, {3, 4, do("enable")}}, porcupine.Illegal},
		"half of a freeze is shown":                  {[]event{{1, late, do("freeze")}, {3, 4, list(look{Frozen: true, Moved: "enabled"})}}, porcupine.Illegal},
		"a failover is under way, and ends":          {[]event{{1, 2, what{do: "begin", detail: "b", operation: "1"}}, {3, 4, list(look{Moved: "failing-over"})}, {1, late, what{do: "end", operation: "1", state: "done"}}, {6, 7, list(look{Disabled: true, Reason: overWord, Moved: overWord, Site: "b"})}}, porcupine.Ok},
		"a failover that was undone shows as done":   {[]event{{1, 2, what{do: "begin", detail: "b", operation: "1"}}, {1, 2, what{do: "end", operation: "1", state: "undone"}}, {6, 7, list(look{Disabled: true, Reason: overWord, Moved: overWord, Site: "b"})}}, porcupine.Illegal},
		"a service that is failed over is not shown": {[]event{{1, 2, what{do: "begin", detail: "b", operation: "1"}}, {1, late, what{do: "end", operation: "1", state: "done"}}, {late + soon, late + 2, list(enabled)}}, porcupine.Illegal},
	} {
		t.Run(name, func(t *testing.T) {
			var events []porcupine.Operation
			for _, e := range tt.events {
				events = append(events, porcupine.Operation{Input: e.what, Call: e.call, Return: e.back})
			}
			if got, _ := inOrder(standingAt([]look{enabled}), events); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestContradictions checks that answers which contradict the journal are found.
func TestContradictions(t *testing.T) {
	done, undone := &entry{id: "1", kind: "freeze", state: "done"}, &entry{id: "1", kind: "freeze", state: "undone"}
	answer := func(status int, operation string) load.Answer {
		return load.Answer{Status: status, Operation: operation}
	}
	again := answer(200, "1")
	again.Replayed = true
	for name, tt := range map[string]struct {
		answer load.Answer
		err    error
		entry  *entry
		wrong  bool
	}{
		"done":                       {answer(200, "1"), nil, done, false},
		"another operation":          {answer(200, "2"), nil, done, true},
		"not in the journal":         {answer(200, "1"), nil, nil, true},
		"acknowledged and undone":    {answer(200, "1"), nil, undone, true},
		"refused and undone":         {answer(409, "1"), nil, undone, false},
		"refused and done":           {answer(409, "1"), nil, done, true},
		"nothing changed, and done":  {answer(503, "1"), nil, done, true},
		"not known, and done":        {answer(504, "1"), nil, done, false},
		"no answer, and done":        {load.Answer{}, errors.New("cut off"), done, false},
		"answered again":             {again, nil, nil, false},
		"answered again, done again": {again, nil, done, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sent{what: "freeze", answer: tt.answer, err: tt.err, entry: tt.entry}
			if got := s.contradicts(); (got != "") != tt.wrong {
				t.Errorf("got %q, want it wrong: %v", got, tt.wrong)
			}
		})
	}
}
