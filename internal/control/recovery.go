package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
	"stoker/internal/failpoint"
)

// The pace at which Run looks at open operations: at once after a failover was
// sent, then slower and slower.
const (
	paceFirst = 20 * time.Millisecond
	paceIdle  = 2 * time.Second
)

// callsAtOnce is how many commands recovery sends at the same time: one to a
// hung process must not keep the others waiting.
const callsAtOnce = 8

// Run settles operations whose outcome shows in the rows (failovers), takes over
// those whose owner stopped renewing its lease, undoes what was carried out late,
// gives back disables that others have ended, tells members of clusters what they
// have missed, and removes what the journal need not keep. It returns when ctx
// ends, and what it began then is left to another process.
func (c *Control) Run(ctx context.Context) {
	var calls errgroup.Group
	calls.SetLimit(callsAtOnce)
	defer func() { _ = calls.Wait() }() // they report their errors themselves
	pace := paceFirst
	timer := time.NewTimer(0)
	defer timer.Stop()
	blind := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
			pace = paceFirst
		case <-timer.C:
		}
		err := c.recover(ctx, &calls)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !blind:
			c.o.Log.WarnContext(ctx, "open operations cannot be looked at: trying again until they can", "error", err)
		case err == nil && blind:
			c.o.Log.InfoContext(ctx, "open operations can be looked at again")
		}
		blind = err != nil
		timer.Reset(pace)
		pace = min(2*pace, paceIdle)
	}
}

// Look is one look of Run's, with what it begins brought to its end.
func (c *Control) Look(ctx context.Context) error {
	var calls errgroup.Group
	calls.SetLimit(callsAtOnce)
	err := c.recover(ctx, &calls)
	return errors.Join(err, calls.Wait())
}

// recover looks once at everything.
func (c *Control) recover(ctx context.Context, calls *errgroup.Group) error {
	short, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	var open []cinder.Operation
	var now time.Time
	err := c.o.Store.Read(short, func(tx Tx) (err error) {
		now = tx.Now()
		open, err = tx.OpenOperations(short)
		return err
	})
	if err != nil {
		return err
	}
	if err := c.fitClock(short, open, now); err != nil {
		return err
	}
	causes, err := c.o.Store.AllCauses(short)
	if err != nil {
		return err
	}
	view, err := c.o.Store.View(short, cinder.ServiceQuery{})
	if err != nil {
		return err
	}
	var errs []error
	for _, op := range open {
		errs = append(errs, c.attend(ctx, short, calls, op, view.Services, now))
	}
	errs = append(errs, c.giveBack(short, view.Services, causes), c.unite(short, open, now), c.prune(short, now))
	return errors.Join(errs...)
}

// attend looks at one operation. Nothing that concerns it alone keeps recovery
// from the others: what fails is noted in it, and tried again later.
func (c *Control) attend(ctx, short context.Context, calls *errgroup.Group, op cinder.Operation, services []cinder.Service, now time.Time) error {
	if op.State == cinder.OpMonitoring {
		if now.Before(op.Progress.NextLook) || !due(&op, services, now) {
			return nil
		}
		calls.TryGo(func() error { //nolint:contextcheck // A call may take longer than a look.
			if err := c.lookWatched(ctx, op); err != nil && !errors.Is(err, errSettled) {
				c.o.Log.WarnContext(ctx, "a watched operation could not be looked at", "operation", op.ID, "error", err)
			}
			return nil
		})
		return nil
	}
	if op.Owner != c.o.Owner || op.LeaseUntil.Before(now.Add(c.o.Lease/2)) {
		mine, err := c.take(short, op)
		if errors.Is(err, errSettled) {
			return nil
		}
		if err != nil {
			return err
		}
		op = mine
		now = later(now, op.LeaseUntil.Add(-c.o.Lease)) // as take has read it
	}
	if now.Before(op.Progress.NextLook) {
		return nil
	}
	err := c.lookAt(short, calls, op, now)
	switch {
	case err == nil, errors.Is(err, errSettled):
		return nil
	case cinder.KindOf(err) == cinder.KindUnavailable, short.Err() != nil:
		return err // it is not the operation's fault
	default:
		return c.noteFault(short, op, err)
	}
}

// due says whether a watched operation needs to be looked at: its time is over,
// or a row shows what it waits for.
func due(op *cinder.Operation, services []cinder.Service, now time.Time) bool {
	if now.After(op.Progress.WatchUntil) || len(op.Progress.Late) > 0 {
		return true
	}
	return slices.ContainsFunc(services, func(s cinder.Service) bool {
		if op.Kind == cinder.OpFailover {
			return evidence.CarriedOutAfterRollback(op, &s)
		}
		st, ok := evidence.Monitors(op, &s)
		return ok && evidence.CarriedOutLate(op, &s, st)
	})
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// take makes an operation ours whose process is gone, or renews our own lease. A
// process is gone when its lease has run out, other than by a clock that was set,
// or when it is certain to be dead.
func (c *Control) take(ctx context.Context, op cinder.Operation) (cinder.Operation, error) {
	mine := op
	err := c.o.Store.Update(ctx, func(tx Tx) error {
		// Read anew: what was acknowledged meanwhile may have changed what it shows.
		was, _, err := current(ctx, tx, op)
		if err != nil {
			return err
		}
		now := tx.Now()
		mine = was
		if op.Owner != c.o.Owner {
			switch {
			case c.dead(op.Owner):
				if mine.Kind != cinder.OpFailover && now.Before(mine.Deadline) {
					mine.Deadline = now // nobody is left who could answer
				}
			case !was.LeaseUntil.Before(now), c.clock.leaptWithin(c.o.Lease):
				return errSettled
			}
		}
		mine.Owner, mine.LeaseUntil = c.o.Owner, now.Add(c.o.Lease)
		return tx.SaveOperation(ctx, was, mine)
	})
	if cinder.KindOf(err) == cinder.KindConflict {
		return op, errSettled
	}
	if err == nil && op.Owner != c.o.Owner {
		failpoint.TakenOver.Here()
		c.o.Log.WarnContext(ctx, "operation taken over from a process that is gone", "operation", op.ID, "kind", op.Kind, "from", op.Owner)
	}
	return mine, err
}

// lookAt settles an operation of ours when its outcome is known. A freeze or thaw
// whose request is gone may still be carried out until its deadline.
func (c *Control) lookAt(ctx context.Context, calls *errgroup.Group, op cinder.Operation, now time.Time) error {
	if c.waiting.has(op.ID) {
		return nil
	}
	switch op.Kind {
	case cinder.OpFailover:
		return c.lookAtFailover(ctx, calls, op, now)
	case cinder.OpCompletion:
		return c.lookAtCompletion(ctx, op)
	case cinder.OpFreeze, cinder.OpThaw:
		unknown := cinder.Errorf(cinder.KindTimeout, "no answer is known")
		if !op.Progress.Undoing {
			_, _, err := c.settleFrozen(ctx, op, unknown, now.Before(op.Deadline))
			return err
		}
		if now.Before(op.Deadline) {
			return nil
		}
		return c.settleUndo(ctx, op, op.Kind, unknown)
	default:
		return nil
	}
}

// noteFault notes in an operation that it could not be settled, and when that is
// tried again.
func (c *Control) noteFault(ctx context.Context, op cinder.Operation, fault error) error {
	mine := op
	err := c.o.Store.Update(ctx, func(tx Tx) error {
		was, _, err := current(ctx, tx, op)
		if err != nil {
			return err
		}
		mine = was
		mine.Progress.Attempts++
		mine.Progress.LastError = fault.Error()
		mine.Progress.NextLook = tx.Now().Add(backoff(mine.Progress.Attempts))
		return tx.SaveOperation(ctx, was, mine)
	})
	if errors.Is(err, errSettled) || cinder.KindOf(err) == cinder.KindConflict {
		return nil
	}
	if err == nil && mine.Stuck() && !op.Stuck() {
		c.o.Log.ErrorContext(ctx, "operation is stuck: it cannot be settled, and is tried again with pauses", "operation", op.ID, "kind", op.Kind, "error", fault)
	}
	return err
}

const (
	pruneEvery = time.Minute
	pruneBatch = 200
)

// prune removes a batch of what the journal need not keep any longer.
func (c *Control) prune(ctx context.Context, now time.Time) error {
	if c.o.Retention <= 0 || now.Sub(c.pruned).Abs() < pruneEvery || c.clock.leaptWithin(keepJournal) {
		return nil
	}
	removed := 0
	err := c.o.Store.Update(ctx, func(tx Tx) error {
		var err error
		if removed, err = tx.Prune(ctx, now.Add(-c.o.Retention), pruneBatch); err != nil {
			return err
		}
		expired, err := tx.PruneRequests(ctx, now, pruneBatch)
		removed = max(removed, expired)
		return err
	})
	if err != nil {
		return err
	}
	if removed < pruneBatch { // else there is more: go on at the next look
		c.pruned = now
	}
	if removed > 0 {
		c.o.Log.DebugContext(ctx, "old operations and kept requests removed", "how_many", removed)
	}
	return nil
}
