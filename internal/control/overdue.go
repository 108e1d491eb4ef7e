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
	"stoker/internal/control/lifecycle"
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
	err := c.o.Store.Read(ctx, func(tx Tx) (err error) {
		now, hostNow = tx.Now(), tx.HostNow()
		rows, err = rowsOf(ctx, tx, op, byHost)
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
	s, _, err := c.settle(ctx, op, byHost, func(s *settlement) lifecycle.Facts {
		s.failed = cinder.Errorf(cinder.KindUnavailable, "%s", why)
		return lifecycle.NobodyLeft
	})
	if err != nil {
		return op, err
	}
	failpoint.PutBack.Here()
	c.notify(ctx, s.op, noticeEnd)
	c.o.Log.WarnContext(ctx, "failover put back", "operation", op.ID, "outcome", why)
	return s.op, nil
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
	case op.State == cinder.OpMonitoring:
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
func (c *Control) endWatch(ctx context.Context, op cinder.Operation, why string) (cinder.Operation, error) {
	s, _, err := c.settle(ctx, op, byHost, func(s *settlement) lifecycle.Facts {
		s.failed = cinder.Errorf(cinder.KindUnavailable, "%s", why)
		return lifecycle.Aborted
	})
	if err != nil {
		return op, err
	}
	return s.op, nil
}

// lookAfterFailover looks at a failover that was put back. One that was carried
// out all the same is shown, and never undone: the data are where they are.
func (c *Control) lookAfterFailover(ctx context.Context, op cinder.Operation) error {
	s, t, err := c.settle(ctx, op, byHost, func(s *settlement) lifecycle.Facts {
		moved := slices.ContainsFunc(s.rows.members, func(m cinder.Service) bool { return evidence.CarriedOutAfterRollback(&s.was, &m) })
		return s.ending().With(lifecycle.Moved, moved).
			With(lifecycle.Busy, s.busy(cinder.OpFreeze, cinder.OpThaw, cinder.OpFailover)).
			With(lifecycle.MonitoringOver, !s.tx.Now().Before(s.was.Progress.WatchUntil))
	})
	if err == nil && t.When.Has(lifecycle.Moved) {
		c.o.Log.WarnContext(ctx, "a failover that was put back has been carried out late: it stays", "operation", op.ID, "outcome", s.op.Outcome)
	}
	return err
}
