package kill

import (
	"testing"

	"stoker/internal/failpoint"
)

// plight is the state of the service when a change is requested.
type plight string

const (
	fine   plight = "fine"
	gone   plight = "gone"                   // dead until the operation has ended
	hung   plight = "hung"                   // paused until the request is answered
	missed plight = "a member has missed it" // one member of the cluster does not know the failover's outcome
)

// ending is the required outcome of a change.
type ending string

const (
	nothing ending = "nothing"                // it never began
	done    ending = "done"                   // it is carried out
	undone  ending = "undone"                 // the rows are restored
	overdue ending = "overdue, then put back" // shown as overdue, and rolled back when the service is gone
)

// death is a case: the points at which processes die, one at each, and the outcome.
type death struct {
	points    []failpoint.Point
	when      plight
	kinds     []kind
	only      string // "hosts" or "clusters"; "" means both
	ends      ending
	takeovers int // how many processes, one after another, take the operation over from a dead one
}

// The kinds of target, for cases with only one of them.
const hosts, clusters = "hosts", "clusters"

// deaths returns all cases: each point, with every kind of change that reaches it.
func deaths() []death {
	all := []kind{freeze(), thaw(), failover(), failback()}
	commands, moves := all[:2], all[2:]
	one := func(p ...failpoint.Point) []failpoint.Point { return p }
	return []death{
		// In the request.
		{points: one(failpoint.Asked), when: fine, kinds: all, ends: nothing},
		{points: one(failpoint.Marking), when: fine, kinds: all, ends: nothing},
		{points: one(failpoint.Recorded), when: fine, kinds: commands, ends: undone, takeovers: 1},
		{points: one(failpoint.Recorded), when: fine, kinds: moves, only: hosts, ends: undone, takeovers: 1}, // by the service, which gets no command
		{points: one(failpoint.Recorded), when: fine, kinds: moves, only: clusters, ends: overdue, takeovers: 1},
		{points: one(failpoint.Sent), when: fine, kinds: all, ends: done, takeovers: 1},
		{points: one(failpoint.Answered), when: fine, kinds: commands, ends: done, takeovers: 1},
		{points: one(failpoint.Settling), when: fine, kinds: all, ends: done, takeovers: 1},
		{points: one(failpoint.Settled), when: fine, kinds: all, ends: done},

		// In the process that takes over.
		{points: one(failpoint.Sent, failpoint.TakenOver), when: fine, kinds: all, ends: done, takeovers: 2},
		{points: one(failpoint.Sent, failpoint.Settling), when: fine, kinds: all, ends: done, takeovers: 2},
		{points: one(failpoint.Recorded, failpoint.TakenOver), when: fine, kinds: commands, ends: undone, takeovers: 2},

		// Nobody listens, and no live process can execute it.
		{points: one(failpoint.Undelivered), when: gone, kinds: moves, ends: undone, takeovers: 1},
		{points: one(failpoint.Settling), when: gone, kinds: moves, ends: undone, takeovers: 1},
		{points: one(failpoint.Undelivered, failpoint.PuttingBack), when: gone, kinds: moves, ends: undone, takeovers: 2},
		{points: one(failpoint.Undelivered, failpoint.PutBack), when: gone, kinds: moves, ends: undone, takeovers: 1},

		// A hung service continues, and what it carries out late is undone.
		{points: one(failpoint.UndoRecorded), when: hung, kinds: commands, ends: undone, takeovers: 1},
		{points: one(failpoint.UndoAnswered), when: hung, kinds: commands, ends: undone, takeovers: 1},
		{points: one(failpoint.Settling), when: hung, kinds: commands, ends: undone, takeovers: 1},
		{points: one(failpoint.UndoSettled), when: hung, kinds: commands, ends: undone},

		// A member of a cluster is told of a failover that it missed.
		{points: one(failpoint.TellingRecorded), when: missed, kinds: moves, only: clusters, ends: done, takeovers: 1},
		{points: one(failpoint.Telling), when: missed, kinds: moves, only: clusters, ends: done, takeovers: 1},
		{points: one(failpoint.Told), when: missed, kinds: moves, only: clusters, ends: done, takeovers: 1},
	}
}

// TestEveryPointIsTried checks that every point has a case.
func TestEveryPointIsTried(t *testing.T) {
	tried := map[failpoint.Point]bool{}
	for _, d := range deaths() {
		for _, p := range d.points {
			tried[p] = true
		}
	}
	for _, p := range failpoint.Points() {
		if !tried[p] {
			t.Errorf("no case comes to %s", p)
		}
		delete(tried, p)
	}
	if len(tried) > 0 {
		t.Errorf("cases speak of %v, which are no points", tried)
	}
}

// way is the stages that lists may show for a change with this outcome.
func (e ending) way(k kind) string {
	switch {
	case e == done && len(k.during) > 0:
		return "b?d?a?"
	case e == done:
		return "b?a?"
	case e != nothing && len(k.during) > 0:
		return "b?d?b?"
	default:
		return "b?"
	}
}
