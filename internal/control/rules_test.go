package control_test

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"stoker/internal/cinder"
)

// rules are the model: what an administrator may count on, in terms of what was
// acknowledged, and nothing else.
type rules struct {
	applied map[string]bool   // operations that are taken in
	admin   map[string]string // hosts that an administrator has disabled, and why
	frozen  map[string]bool   // by host or cluster
	over    map[string]bool   // hosts that a failover has disabled, and nobody has enabled
	moved   map[string]bool   // hosts and clusters that were ever failed over
	erred   map[string]bool   // those that have ever failed to be, which disables them until they are enabled
	spoiled map[string]bool   // those where an undo was given up, on record
	left    map[string]string // reasons that an enable by another API has left in rows

	history []porcupine.Operation
	unknown []*call
}

func newRules(erred map[string]bool) rules {
	return rules{
		applied: map[string]bool{}, admin: map[string]string{}, frozen: map[string]bool{},
		over: map[string]bool{}, moved: map[string]bool{}, erred: erred, spoiled: map[string]bool{}, left: map[string]string{},
	}
}

// queueOf is the cluster of a host, or the host.
func queueOf(host string) string {
	if host == alpha {
		return host
	}
	return "mycl@alpha"
}

// learn takes in the operations that have ended since.
func (r *rules) learn(ops []cinder.Operation) {
	for i := len(ops) - 1; i >= 0; i-- { // the oldest first
		op := &ops[i]
		if r.applied[op.ID] || !op.State.Final() && op.Kind != cinder.OpFailover {
			continue
		}
		host := op.Host
		if op.Cluster != "" {
			host = op.Cluster
		}
		q := queueOf(host)
		if op.Kind == cinder.OpFailover || op.Kind == cinder.OpCompletion {
			r.moved[q] = true
		}
		if !op.State.Final() {
			continue
		}
		r.applied[op.ID] = true
		switch {
		case op.State == cinder.OpFailed && op.Kind != cinder.OpFailover:
			r.spoiled[q] = true
		case op.State != cinder.OpDone:
		case op.Kind == cinder.OpDisable:
			r.admin[op.Host] = op.Detail
		case op.Kind == cinder.OpEnable:
			delete(r.admin, op.Host)
			delete(r.over, op.Host)
		case op.Kind == cinder.OpFreeze:
			r.frozen[q] = true
		case op.Kind == cinder.OpThaw:
			r.frozen[q] = false
		}
	}
}

// hold says which rule the list breaks, if any.
func (r *rules) hold(list []cinder.Service, ops []cinder.Operation) error {
	for _, s := range list {
		q := queueOf(s.Host)
		if r.spoiled[q] {
			continue
		}
		busy := inHand(ops, q)
		if !busy && r.ended(s) {
			return fmt.Errorf("G4: %s is shown as %s; it is failed over, and nobody has enabled it", s.Host, says(s))
		}
		reason := ""
		if s.DisabledReason != nil {
			reason = *s.DisabledReason
		}
		why, admin := r.admin[s.Host]
		frozen := r.frozen[q]
		because := admin || frozen
		switch {
		case s.Frozen != frozen:
			return fmt.Errorf("G1: %s is shown as %s; acknowledged as frozen: %v", s.Host, says(s), frozen)
		case because && !s.Disabled:
			return fmt.Errorf("G1: %s is shown as %s; disabled by an administrator: %v, frozen: %v", s.Host, says(s), admin, frozen)
		case reason == "frozen" && s.Disabled && !frozen:
			return fmt.Errorf("G2: %s is shown as %s, and is not frozen", s.Host, says(s))
		case r.moved[q] && (r.erred[q] || away(s) || busy): // what a failover disables is told by the journal alone
		case s.Disabled && !because:
			return fmt.Errorf("G2: %s is shown as %s, and nobody has disabled it", s.Host, says(s))
		case admin && !frozen && reason != why:
			return fmt.Errorf("G4: %s is shown as %s, the administrator's reason is %q", s.Host, says(s), why)
		case frozen && !admin && reason != "frozen":
			return fmt.Errorf("G4: %s is shown as %s, and is frozen", s.Host, says(s))
		case !because && reason != "" && reason != r.left[s.Host]:
			return fmt.Errorf("G4: %s is shown as %s, which is no reason for anything", s.Host, says(s))
		}
	}
	for i := range ops {
		if ops[i].Stuck() && !ops[i].Progress.Undoing { // an undo may be refused, again and again
			return fmt.Errorf("G3: operation is stuck: %s", ops[i].Progress.LastError)
		}
	}
	return nil
}

// ended says whether a service that a failover has disabled is not any more, though
// it has not come back.
func (r *rules) ended(s cinder.Service) bool {
	switch {
	case s.ReplicationStatus != cinder.ReplicationFailedOver:
		delete(r.over, s.Host)
	case !s.Disabled:
		return r.over[s.Host]
	case s.DisabledReason != nil && *s.DisabledReason == cinder.ReasonFailedOver:
		r.over[s.Host] = true
	}
	return false
}

// wrote says that what disables the services of a queue was written by nobody that
// the rules know of.
func (r *rules) wrote(queue string) {
	for host := range r.over {
		if queueOf(host) == queue {
			delete(r.over, host)
		}
	}
}

// away says whether a service is not where it was before any failover.
func away(s cinder.Service) bool {
	return s.ReplicationStatus != cinder.ReplicationEnabled || s.ActiveBackendID != nil && *s.ActiveBackendID != ""
}

// inHand says whether anything of a host or cluster is under way, or watched.
func inHand(ops []cinder.Operation, q string) bool {
	return slices.ContainsFunc(ops, func(op cinder.Operation) bool {
		return !op.State.Final() && (op.Cluster == q || op.Host != "" && queueOf(op.Host) == q)
	})
}

// What follows is for the checker of histories: of one service, alpha.

type asked struct{ move string }

type seen struct {
	disabled, frozen bool // of a list
	ok               bool // of a change
	refused          bool // a change that the state forbids
}

type standing struct{ admin, frozen bool }

// note takes a call into the history. One whose outcome its caller does not know
// is taken in when the journal knows it.
func (r *rules) note(c *call) {
	if c.host != alpha || c.move == "abort" || strings.HasPrefix(c.move, "fail") {
		return
	}
	o := porcupine.Operation{Input: asked{c.move}, Call: int64(c.began), Return: int64(c.ended)}
	switch kind := cinder.KindOf(c.err); {
	case c.process.m.dies(), kind == cinder.KindTimeout, c.err != nil && kind == cinder.KindInternal:
		r.unknown = append(r.unknown, c)
		return
	case c.err == nil:
		o.Output = seen{ok: true}
	case kind == cinder.KindInvalid:
		o.Output = seen{refused: true}
	default: // it failed, and has changed nothing
		return
	}
	r.history = append(r.history, o)
}

// listed takes a list into the history.
func (r *rules) listed(step int, list []cinder.Service) {
	for _, s := range list {
		if s.Host == alpha {
			r.history = append(r.history, porcupine.Operation{
				Input: asked{"list"}, Output: seen{disabled: s.Disabled, frozen: s.Frozen}, Call: int64(step), Return: int64(step),
			})
		}
	}
}

// linearizable says whether there is an order of what callers did that explains
// what they saw.
func linearizable(history []porcupine.Operation) error {
	model := porcupine.Model{
		Init: func() any { return standing{} },
		Step: func(state, input, output any) (bool, any) {
			st, in, out := state.(standing), input.(asked), output.(seen) //nolint:forcetypeassert // They are all ours.
			switch in.move {
			case "list":
				return out.frozen == st.frozen && out.disabled == (st.admin || st.frozen), st
			case "freeze", "thaw":
				if out.refused {
					return st.frozen == (in.move == "freeze"), st
				}
				return st.frozen != (in.move == "freeze"), standing{st.admin, in.move == "freeze"}
			case "disable":
				return true, standing{true, st.frozen}
			default:
				if out.refused {
					return st.frozen, st
				}
				return !st.frozen, standing{false, st.frozen}
			}
		},
	}
	if !porcupine.CheckOperations(model, history) {
		return fmt.Errorf("what callers saw of %s has no order: %+v", alpha, history)
	}
	return nil
}

// settled takes the calls into the history whose callers did not learn what came
// of them: what the journal says of them came about at any time since.
func (r *rules) settled(ops []cinder.Operation) {
	for _, c := range r.unknown {
		for i := range ops {
			if ops[i].Caller.RequestID == c.request() && ops[i].State == cinder.OpDone {
				r.history = append(r.history, porcupine.Operation{
					Input: asked{c.move}, Output: seen{ok: true}, Call: int64(c.began), Return: math.MaxInt64,
				})
			}
		}
	}
}
