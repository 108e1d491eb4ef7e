package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
	"stoker/internal/control/lifecycle"
	"stoker/internal/failpoint"
)

// Freeze freezes the backend of a host, or of a cluster on all its members, and
// waits for the answer. Fails, the rows being as before, with KindInvalid when
// the precondition does not hold, KindConflict when another freeze or thaw is
// under way, and as Fleet.Freeze does. With KindTimeout the outcome is looked up
// later; the operation says how it ended.
func (c *Control) Freeze(ctx context.Context, sel Selector) (cinder.Operation, error) {
	return c.setFrozen(ctx, sel, cinder.OpFreeze)
}

// Thaw ends a freeze, and only that: another cause that disables the service
// stays, with the reason it had (G4). A refused thaw stays frozen. Fails as Freeze does.
func (c *Control) Thaw(ctx context.Context, sel Selector) (cinder.Operation, error) {
	return c.setFrozen(ctx, sel, cinder.OpThaw)
}

func (c *Control) setFrozen(ctx context.Context, sel Selector, kind cinder.OperationKind) (cinder.Operation, error) {
	id := c.newID()
	c.waiting.add(id)
	defer c.waiting.remove(id)
	began := time.Now()
	failpoint.Asked.Here()
	op, service, err := c.markFrozen(ctx, id, sel, kind)
	if err != nil {
		return cinder.Operation{}, fmt.Errorf("%s %s: %w", kind, sel, err)
	}
	failpoint.Recorded.Here()
	c.notify(ctx, op, noticeStart)
	var failed error
	if op, failed = c.mayPublish(ctx, op, began); failed == nil {
		failed = c.command(ctx, kind, service)
	}
	failpoint.Answered.Here()
	op, told, err := c.settleFrozen(ctx, op, failed, false)
	if err != nil {
		c.o.Log.ErrorContext(ctx, "operation could not be settled: left to recovery", "operation", op.ID, "kind", op.Kind, "error", err)
		told = cinder.Wrap(cinder.KindTimeout, err, "The outcome is not known yet: operation %s.", op.ID)
	}
	if told != nil {
		return op, fmt.Errorf("%s %s: %w", kind, sel, told)
	}
	return op, nil
}

// leaseMargin is what is taken off a lease that is judged by our own clock.
const leaseMargin = 2 * time.Second

// mayPublish says, right before a command is sent, whether the operation that
// began at that time is still ours. A process that was paused for longer than its
// lease must not send what another one has settled since.
func (c *Control) mayPublish(ctx context.Context, op cinder.Operation, began time.Time) (cinder.Operation, error) {
	if time.Since(began) < c.o.Lease-leaseMargin {
		return op, nil
	}
	ctx, cancel := detached(ctx, settleTimeout)
	defer cancel()
	mine, err := c.take(ctx, op)
	if err != nil {
		return op, cinder.Wrap(cinder.KindUndeliverable, err, "This process was held up for too long: nothing was sent.")
	}
	return mine, nil
}

// markFrozen is the transaction before the command: preconditions, the journal
// entry, and the column that marks the intent. disabled and its reason are the
// service's to write, and so tell whether it did.
func (c *Control) markFrozen(ctx context.Context, id string, sel Selector, kind cinder.OperationKind) (op cinder.Operation, first cinder.Service, err error) {
	want := kind == cinder.OpFreeze
	must := precondition{
		says:    fmt.Sprintf("frozen in %%s must be %s to %s.", python(!want), kind),
		cluster: func(cl *cinder.Cluster) bool { return evidence.CanSetFrozen(cl.Frozen, kind) },
		member:  func(s *cinder.Service) bool { return evidence.CanSetFrozen(s.Frozen, kind) },
	}
	err = c.update(ctx, func(tx Tx) error {
		t, err := find(ctx, tx, sel)
		if err != nil {
			return err
		}
		open, err := tx.OpenOperations(ctx)
		if err != nil {
			return err
		}
		if err := t.busy(open, cinder.OpFreeze, cinder.OpThaw); err != nil {
			return err
		}
		if err := t.onItsWayBack(open); err != nil {
			return err
		}
		oldest := cinder.OldestRPC(t.members) // any member may take the command
		if t, err = t.check(must); err != nil {
			return err
		}
		first = t.members[0]
		first.RPCVersion = oldest
		op = c.operation(ctx, tx, id, kind)
		op.Binary, op.Host, op.Cluster = first.Binary, sel.Host, sel.Cluster
		op.Deadline = op.StartedAt.Add(c.o.ResponseTimeout)
		for i := range t.members {
			s, err := c.load(ctx, tx, t.members[i], open)
			if err != nil {
				return err
			}
			t.members[i].Disabled, t.members[i].DisabledReason = s.Row.Disabled, s.Row.DisabledReason
			s.Row.Frozen = want
			if evidence.MonitoredOn(opposite(kind), &s.Row, open) {
				s.Row.DisabledReason = evidence.Sentinel(kind, s.Row.Disabled, s.Row.DisabledReason)
			}
			if err := s.save(ctx, tx); err != nil {
				return err
			}
			failpoint.Marking.Here()
		}
		op.Before = t.before()
		op.Shown = op.Before
		if t.cluster != nil {
			now := *t.cluster
			now.Frozen, now.UpdatedAt = want, tx.Now()
			if err := tx.SaveCluster(ctx, *t.cluster, now); err != nil {
				return err
			}
		}
		return tx.AddOperation(ctx, op)
	})
	return op, first, err
}

// command sends the freeze or thaw and waits, whether or not the client does.
func (c *Control) command(ctx context.Context, kind cinder.OperationKind, s cinder.Service) error {
	ctx, cancel := detached(ctx, c.o.ResponseTimeout)
	defer cancel()
	if kind == cinder.OpFreeze {
		return c.o.Fleet.Freeze(ctx, s)
	}
	return c.o.Fleet.Thaw(ctx, s)
}

// settleFrozen is the transaction after the command: it ends the operation as
// done or rolled back, on all members alike, or has it monitored. told is what the
// caller is told, nil when it was carried out; err is why the operation is still
// open, or errSettled. early says that an answer may still come.
func (c *Control) settleFrozen(ctx context.Context, op cinder.Operation, failed error, early bool) (_ cinder.Operation, told, err error) {
	ctx, cancel := detached(ctx, settleTimeout)
	defer cancel()
	s, t, err := c.settle(ctx, op, byID, func(s *settlement) lifecycle.Facts {
		s.failed = failed
		return answer(failed).With(lifecycle.TooEarly, early).With(lifecycle.RowsShowIt, evidence.CarriedOut(&s.was, s.rows.members))
	})
	if err != nil || t.To == "" {
		return op, nil, err
	}
	failpoint.Settled.Here()
	c.notify(ctx, s.op, noticeEnd)
	c.o.Log.InfoContext(ctx, "operation settled", "operation", op.ID, "kind", op.Kind, "state", s.op.State, "outcome", s.op.Outcome, "error", failed)
	if t.To == lifecycle.Done {
		failed = nil
	}
	return s.op, failed, nil
}

// restore puts back what an operation that came to nothing found, as changed by
// what was acknowledged meanwhile.
func restore(row *cinder.Service, states []cinder.ServiceState) {
	for _, st := range states {
		if st.ID == row.ID {
			row.Disabled, row.DisabledReason = st.Disabled, st.DisabledReason
		}
	}
}

// noteCarriedOut notes in an open operation what a row shows that is about to be
// changed.
func noteCarriedOut(ctx context.Context, tx Tx, op *cinder.Operation, row cinder.Service) error {
	if op.Progress.Undoing || slices.Contains(op.Progress.Late, row.Host) || !evidence.ShowsCarriedOut(op, &row) {
		return nil
	}
	was := *op
	op.Progress.Late = append(slices.Clip(was.Progress.Late), row.Host)
	return tx.SaveOperation(ctx, was, *op)
}

// python spells a truth value as Cinder's messages do.
func python(b bool) string {
	if b {
		return "True"
	}
	return "False"
}
