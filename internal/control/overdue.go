package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
	"stoker/internal/failpoint"
)

// proofEvery is how often recovery looks for the process that has a failover in hand.
const proofEvery = 15 * time.Second

// lookAtFailover settles a failover that has ended, and puts the rows back when
// it can be shown that nobody is left who could carry it out.
func (c *Control) lookAtFailover(ctx context.Context, calls *errgroup.Group, op cinder.Operation, now time.Time) error {
	waits, err := c.settleFailover(ctx, op)
	if err != nil || !waits {
		delete(c.proofs, op.ID)
		return err
	}
	if now.Sub(op.StartedAt) <= c.o.FailoverExpiry || now.Sub(c.proofs[op.ID]).Abs() < proofEvery {
		return nil
	}
	c.proofs[op.ID] = now
	ctx = context.WithoutCancel(ctx)
	calls.TryGo(func() error {
		ctx, cancel := context.WithTimeout(ctx, settleTimeout)
		defer cancel()
		if why := c.mayStillRun(ctx, op); why != nil {
			return nil // that it may still run is for Abort to say
		}
		if _, err := c.putBack(ctx, op, "the service that had it in hand is gone: put back"); err != nil {
			c.o.Log.WarnContext(ctx, "failover could not be put back", "operation", op.ID, "error", err)
		}
		return nil
	})
	return nil
}

// mayStillRun says why a failover may still be carried out: nil when its message
// has expired and every process that may have taken it is gone, that is, sends no
// heartbeats and consumes no queue. Otherwise KindConflict, with the reason.
func (c *Control) mayStillRun(ctx context.Context, op cinder.Operation) error {
	var rows target
	var now, hostNow time.Time
	err := c.o.Store.Update(ctx, func(tx Tx) (err error) {
		now, hostNow = tx.Now(), tx.HostNow()
		rows, err = rowsOf(ctx, tx, op, func(st cinder.ServiceState, s cinder.Service) bool { return st.Host == s.Host })
		return err
	})
	if err != nil {
		return err
	}
	if left := min(op.StartedAt.Sub(now), 0) + c.o.FailoverExpiry; left >= 0 { // no more than that, whatever the clock
		return cinder.Errorf(cinder.KindConflict, "The command may wait in a queue for another %s.", left+time.Second)
	}
	for i := range rows.members {
		if s := &rows.members[i]; s.Up(hostNow, c.o.DownTime) {
			wayOut := "Restart it: a service that starts ends what it was at."
			if len(rows.members) > 1 { // one that starts leaves it to the others
				wayOut = "Stop all members of cluster " + s.Cluster + "; once they are down it is put back."
			}
			return cinder.Errorf(cinder.KindConflict, "Service %s on host %s is up and may still carry it out. %s", s.Binary, s.Host, wayOut)
		}
	}
	for _, s := range rows.members {
		queues := []cinder.Service{s}
		if s.Cluster != "" {
			own := s
			own.Cluster = ""
			queues = append(queues, own)
		}
		for _, q := range queues {
			listening, err := c.o.Fleet.Listening(ctx, q)
			if err != nil {
				return err
			}
			if listening {
				return cinder.Errorf(cinder.KindConflict,
					"Service %s on host %s sends no heartbeats, but listens to its queue: it may still carry the command out. Stop it, or restart it.", s.Binary, s.Host)
			}
		}
	}
	return nil
}

// putBack restores the replication status of a failover that cannot run any more.
// It stays watched: should it have run all the same, that is shown.
func (c *Control) putBack(ctx context.Context, op cinder.Operation, why string) (cinder.Operation, error) {
	failpoint.PuttingBack.Here()
	mine := op
	err := c.update(ctx, func(tx Tx) error {
		was, rows, _, err := c.resume(ctx, tx, op)
		if err != nil {
			return err
		}
		mine = was
		if mine.Owner != c.o.Owner { // an abort need not come to the process that has it
			mine.Owner = c.o.Owner
		}
		if err := restoreStatus(ctx, tx, mine, &rows); err != nil {
			return err
		}
		mine.After = rows.before()
		mine.Progress = cinder.Progress{WatchUntil: tx.Now().Add(c.o.Watch)}
		finish(&mine, tx, cinder.OpWatched, why)
		return tx.SaveOperation(ctx, was, mine)
	})
	if err != nil {
		return op, err
	}
	failpoint.PutBack.Here()
	c.notify(ctx, mine, noticeEnd)
	c.o.Log.WarnContext(ctx, "failover put back", "operation", op.ID, "outcome", why)
	return mine, nil
}

// Abort ends an operation that does not end by itself: a failover whose service
// is gone, a freeze or thaw whose request is gone, or a watch. Rows are put back.
// KindNotFound when there is no such operation; KindConflict, saying why, when it
// has ended, ends by itself, or may still be carried out.
func (c *Control) Abort(ctx context.Context, id string) (cinder.Operation, error) {
	op, err := c.o.Store.Operation(ctx, id)
	if err != nil {
		return cinder.Operation{}, fmt.Errorf("abort: %w", err)
	}
	who := "aborted"
	if user := cinder.CallerFrom(ctx).UserID; user != "" {
		who += " by " + user
	}
	ctx, cancel := detached(ctx, settleTimeout)
	defer cancel()
	switch {
	case op.State.Final():
		err = cinder.Errorf(cinder.KindConflict, "Operation %s has ended: it is %s.", id, op.State)
	case op.State == cinder.OpWatched:
		op, err = c.endWatch(ctx, op, who)
	case (op.Kind == cinder.OpFreeze || op.Kind == cinder.OpThaw) && !op.Progress.Undoing && !c.waiting.has(id):
		op, err = c.giveUp(ctx, op, who)
	case op.Kind != cinder.OpFailover:
		err = cinder.Errorf(cinder.KindConflict, "A %s ends by itself: operation %s does by %s.", op.Kind, id, op.Deadline.Format(time.RFC3339))
	default:
		if err = c.mayStillRun(ctx, op); err == nil {
			op, err = c.putBack(ctx, op, who)
		}
	}
	if err == errSettled || cinder.KindOf(err) == cinder.KindConflict && cinder.Message(err) == "" { //nolint:errorlint // Never wrapped here.
		err = cinder.Errorf(cinder.KindConflict, "Operation %s was settled meanwhile.", id)
	}
	if err != nil {
		return op, fmt.Errorf("abort: %w", err)
	}
	return op, nil
}

// giveUp ends a freeze or thaw that nobody waits for any more, as one that was not
// answered: it is watched from then on. KindConflict while another process has it.
func (c *Control) giveUp(ctx context.Context, op cinder.Operation, why string) (cinder.Operation, error) {
	mine, err := c.take(ctx, op)
	if errors.Is(err, errSettled) {
		return op, cinder.Errorf(cinder.KindConflict, "A %s ends by itself: operation %s does by %s.", op.Kind, op.ID, op.Deadline.Format(time.RFC3339))
	}
	if err != nil {
		return op, err
	}
	mine, _, err = c.settleFrozen(ctx, mine, cinder.Errorf(cinder.KindTimeout, "%s", why), false)
	return mine, err
}

// endWatch stops watching an operation, as an administrator wants it.
func (c *Control) endWatch(ctx context.Context, op cinder.Operation, why string) (mine cinder.Operation, err error) {
	err = c.o.Store.Update(ctx, func(tx Tx) error {
		was, err := current(ctx, tx, op)
		if err != nil {
			return err
		}
		mine = was
		finish(&mine, tx, cinder.OpUndone, was.Outcome+"; no longer watched: "+why)
		return tx.SaveOperation(ctx, was, mine)
	})
	return mine, err
}

// lookAfterFailover looks at a failover that was put back. One that was carried
// out all the same is shown, and never undone: the data are where they are.
func (c *Control) lookAfterFailover(ctx context.Context, op cinder.Operation) error {
	return c.update(ctx, func(tx Tx) error {
		was, rows, open, err := c.resume(ctx, tx, op)
		if err != nil {
			return err
		}
		if !rows.idle(open, cinder.OpFreeze, cinder.OpThaw, cinder.OpFailover) {
			return nil
		}
		mine := was
		if !slices.ContainsFunc(rows.members, func(s cinder.Service) bool { return evidence.CarriedOutAfterRollback(&was, &s) }) {
			if tx.Now().Before(was.Progress.WatchUntil) {
				return nil
			}
			finish(&mine, tx, cinder.OpUndone, was.Outcome+"; nor was it carried out later")
			return tx.SaveOperation(ctx, was, mine)
		}
		state, outcome := verdict(mine, rows)
		if err := c.applyFailover(ctx, tx, &rows, open); err != nil {
			return err
		}
		if err := suspect(ctx, tx, rows.members, open); err != nil {
			return err
		}
		mine.After = rows.before()
		finish(&mine, tx, state, was.Outcome+"; yet the service has gone on: "+outcome)
		c.o.Log.WarnContext(ctx, "a failover that was put back has been carried out late: it stays", "operation", op.ID, "outcome", mine.Outcome)
		return tx.SaveOperation(ctx, was, mine)
	})
}

// endWatches ends the watch over earlier failovers of what is failed over anew:
// their effects cannot be told from its own.
func endWatches(ctx context.Context, tx Tx, t target, open []cinder.Operation, by cinder.Operation) error {
	for _, op := range open {
		if op.State != cinder.OpWatched || op.Kind != cinder.OpFailover ||
			!slices.ContainsFunc(t.members, func(s cinder.Service) bool { return op.Touches(s.Binary, s.Host) }) {
			continue
		}
		was := op
		finish(&op, tx, cinder.OpUndone, was.Outcome+"; no longer watched: operation "+by.ID+" has begun")
		if err := tx.SaveOperation(ctx, was, op); err != nil {
			return err
		}
	}
	return nil
}
