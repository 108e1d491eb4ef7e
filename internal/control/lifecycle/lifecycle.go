package lifecycle

import (
	"slices"
	"strings"

	"stoker/internal/cinder"
)

// Phase is how far an operation has come. It is derived from what the journal
// keeps, so that processes of different versions may work side by side.
type Phase string

// The phases. The last three are final.
const (
	Commanded    Phase = "commanded"    // the intent is on record; the command is sent, or about to be
	Telling      Phase = "telling"      // the outcome is known, and members of a cluster have yet to hear of it
	Monitoring   Phase = "monitoring"   // the rows are as before; a hung process may still carry the command out
	Compensating Phase = "compensating" // it did: the opposite command is under way
	Done         Phase = "done"
	RolledBack   Phase = "rolled back"
	Failed       Phase = "failed"
)

// Of returns the phase of an operation.
func Of(op *cinder.Operation) Phase {
	switch op.State {
	case cinder.OpDone:
		return Done
	case cinder.OpRolledBack:
		return RolledBack
	case cinder.OpFailed:
		return Failed
	case cinder.OpMonitoring:
		return Monitoring
	case cinder.OpOpen:
	}
	switch {
	case op.Progress.Undoing:
		return Compensating
	case op.Kind == cinder.OpCompletion, op.Kind == cinder.OpFailover && !op.Progress.WatchUntil.IsZero():
		return Telling
	default:
		return Commanded
	}
}

// State is how the journal spells the phase.
func (p Phase) State() cinder.OperationState {
	switch p {
	case Done:
		return cinder.OpDone
	case RolledBack:
		return cinder.OpRolledBack
	case Failed:
		return cinder.OpFailed
	case Monitoring:
		return cinder.OpMonitoring
	default:
		return cinder.OpOpen
	}
}

// Final reports whether nothing follows the phase.
func (p Phase) Final() bool { return p.State().Final() }

// Facts are what is known of an operation at one moment.
type Facts uint32

// What can be known.
const (
	// Of the command that was sent.
	Answered Facts = 1 << iota // the service carried it out
	Refused                    // it was not carried out: the service or the bus says so
	NoReply                    // nobody answered in time
	TooEarly                   // an answer may still come
	NotSent                    // it never left this process, or nobody listens

	// Of other operations and other people.
	Busy       // another operation has the rows in hand, or it is too soon to try again
	Superseded // another failover of the same rows begins
	Aborted    // an administrator ends it

	// Of the rows of a freeze or thaw.
	RowsShowIt // the service did as it was told
	Late       // a hung process carried out what was given up

	// Of the rows of a failover.
	Running        // it is under way
	MembersBehind  // the cluster's row names the outcome, and members do not
	MembersAgree   // all of them do
	Arrived        // it reached its target
	FailoverFailed // failover-error
	Stayed         // the service is where it was
	Replaced       // somebody else changed it
	Removed        // the service has no row any more
	Moved          // rows are elsewhere than the rollback left them

	// Of a cluster whose members are told.
	ClusterMovedOn // the cluster's row names another outcome
	NobodyListens  // the members that are behind are down

	// Of time.
	DeadlinePassed
	MonitoringOver
	Exhausted  // tried as often as it is to be
	NobodyLeft // no live process can execute it, and its message has expired
)

// factNames are their names, in order.
func factNames() []string {
	return []string{
		"answered", "refused", "no reply", "an answer may still come", "not sent", "another operation has the rows", "another failover begins", "aborted",
		"the rows show it", "carried out late", "under way", "members are behind", "members agree", "arrived", "failover-error", "stayed", "changed from elsewhere",
		"service removed", "moved all the same", "the cluster has moved on", "nobody listens", "deadline passed", "monitoring over", "attempts exhausted", "nobody is left",
	}
}

// String names the facts that hold.
func (f Facts) String() string {
	var held []string
	for i, name := range factNames() {
		if f&(1<<i) != 0 {
			held = append(held, name)
		}
	}
	return strings.Join(held, ", ")
}

// Has reports whether all of some facts hold.
func (f Facts) Has(all Facts) bool { return f&all == all }

// With adds a fact if it holds.
func (f Facts) With(fact Facts, holds bool) Facts {
	if holds {
		return f | fact
	}
	return f
}

// Effect is something that control does to rows, causes and the operation itself,
// in the transaction in which the phase changes.
type Effect string

// The effects, as doc/journal.md tells them.
const (
	ApplyCommand     Effect = "the freeze or thaw is written into all rows alike"
	RestoreRows      Effect = "the rows are put back"
	ShowRows         Effect = "the rows become what lists have shown"
	SuspectHidden    Effect = "members whose rows a failover has written are suspected"
	SuspectShowing   Effect = "members whose rows show the command are suspected"
	SuspectMonitored Effect = "freezes and thaws monitored on the same rows are suspected"
	Reopen           Effect = "the opposite command is owed to a member"
	Retry            Effect = "the attempt is counted"
	Monitor          Effect = "the rows are monitored for watch_time"
	RestoreStatus    Effect = "replication_status is put back"
	SettleStatus     Effect = "a status that a starting service wrote is put right"
	FollowRows       Effect = "causes follow from where the rows are"
	DisableMissed    Effect = "members that had missed the failover are disabled"
	GiveGrace        Effect = "members have 5 s to hear of it"
	TellMembers      Effect = "the members are told"
)

// Transition is a row of the table: an operation of these kinds, in one of these
// phases, comes to another phase when all of these facts hold.
type Transition struct {
	Kinds   []cinder.OperationKind
	From    []Phase
	When    Facts
	To      Phase // "" stays
	Effects []Effect

	// Says is the outcome, or with a semicolon what is added to it. A name in braces
	// is for control to fill in.
	Says string
}

// Step returns the first transition that fits; false when there is none: then
// nothing is to be done yet.
func Step(kind cinder.OperationKind, from Phase, facts Facts) (Transition, bool) {
	for _, t := range Table() {
		if slices.Contains(t.Kinds, kind) && slices.Contains(t.From, from) && facts.Has(t.When) {
			return t, true
		}
	}
	return Transition{}, false
}
