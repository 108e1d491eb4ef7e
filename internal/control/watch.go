package control

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
	"stoker/internal/control/lifecycle"
	"stoker/internal/failpoint"
)

// A freeze or thaw that nobody has answered is given up at its deadline, and the
// rows are put back. The process that has it in hand may only hang: when it goes
// on, it carries the command out, however late. So the operation stays watched for
// a while. The columns that the service writes then contradict the one that marks
// the intent, and the service is sent the opposite command. While that is under
// way the operation is open again, so that it is leased, shown and waited for as
// any other.

const (
	// undoAttempts is how often the opposite command is sent before it is given up.
	undoAttempts = 8
	firstBackoff = 2 * time.Second // after a failure; it doubles
	maxBackoff   = 2 * time.Minute
)

// backoff is the pause after so many failures in a row, up to a half of it left
// to chance: not everybody shall come back at once.
func backoff(attempts int) time.Duration {
	pause := min(firstBackoff<<min(max(attempts-1, 0), 16), maxBackoff)
	return pause/2 + rand.N(pause/2)
}

// lookWatched looks at a watched operation, and undoes what was carried out late.
func (c *Control) lookWatched(ctx context.Context, op cinder.Operation) error {
	if op.Kind == cinder.OpFailover {
		return c.lookAfterFailover(ctx, op)
	}
	mine, service, err := c.beginUndo(ctx, op)
	if err != nil || service == nil {
		return err
	}
	return c.undoLate(ctx, mine, *service)
}

// beginUndo is the transaction before the opposite command: it opens the operation
// again, as ours, and returns the service to be sent it; nil when there is nothing
// to do, or not yet.
func (c *Control) beginUndo(ctx context.Context, op cinder.Operation) (_ cinder.Operation, service *cinder.Service, err error) {
	s, t, err := c.settle(ctx, op, byHost, func(s *settlement) (facts lifecycle.Facts) {
		now := s.tx.Now()
		service = c.lateMember(s)
		return facts.With(lifecycle.Busy, s.busy(cinder.OpFreeze, cinder.OpThaw, cinder.OpFailover) || now.Before(s.was.Progress.NextLook)).
			With(lifecycle.Late, service != nil).With(lifecycle.MonitoringOver, !now.Before(s.was.Progress.WatchUntil))
	})
	if cinder.KindOf(err) == cinder.KindConflict {
		err = errSettled // another process was faster
	}
	if err != nil || t.To != lifecycle.Compensating {
		return op, nil, err
	}
	service.Cluster = "" // the very member that was late, not any of them
	return s.op, service, nil
}

// lateMember finds who carried out late what was given up, the first that is up, and
// notes what lists are to show meanwhile.
func (c *Control) lateMember(s *settlement) *cinder.Service {
	var late *cinder.Service
	s.hosts = slices.Clone(s.was.Progress.Late)
	for i := range s.rows.members {
		row := s.rows.members[i]
		if st, ok := evidence.Monitors(&s.was, &row); ok && evidence.CarriedOutLate(&s.was, &row, st) {
			row.Disabled, row.DisabledReason = st.Disabled, st.DisabledReason
			if !slices.Contains(s.hosts, row.Host) {
				s.hosts = append(s.hosts, row.Host)
			}
		}
		if slices.Contains(s.hosts, row.Host) && (late == nil || !late.Up(s.tx.HostNow(), c.o.DownTime)) {
			late = &s.rows.members[i]
		}
		s.shown = append(s.shown, row.State())
	}
	return late
}

// busy reports whether another operation of those kinds has any of the rows in hand.
func (s *settlement) busy(kinds ...cinder.OperationKind) bool { return !s.rows.idle(s.open, kinds...) }

// undoLate sends the opposite command to the service that was late, and settles.
func (c *Control) undoLate(ctx context.Context, op cinder.Operation, s cinder.Service) error {
	kind := evidence.Intended(&s)
	c.o.Log.WarnContext(ctx, "a command that was given up has been carried out late: undoing it",
		"operation", op.ID, "kind", op.Kind, "host", s.Host, "sending", kind)
	c.waiting.add(op.ID)
	defer c.waiting.remove(op.ID)
	failpoint.UndoRecorded.Here()
	failed := c.command(ctx, kind, s)
	failpoint.UndoAnswered.Here()
	if ctx.Err() != nil {
		return nil // the process ends: recovery of another one goes on
	}
	return c.settleUndo(ctx, op, kind, failed)
}

// settleUndo is the transaction after the opposite command: the rows are put right
// or, when it failed, the operation is watched on.
func (c *Control) settleUndo(ctx context.Context, op cinder.Operation, kind cinder.OperationKind, failed error) error {
	ctx, cancel := detached(ctx, settleTimeout)
	defer cancel()
	s, _, err := c.settle(ctx, op, byHost, func(s *settlement) lifecycle.Facts {
		s.failed, s.hosts, s.command = failed, s.was.Progress.Late, kind
		return answer(failed).With(lifecycle.Exhausted, s.was.Progress.Attempts+1 >= undoAttempts)
	})
	if err != nil {
		return fmt.Errorf("undo of operation %s: %w", op.ID, err)
	}
	failpoint.UndoSettled.Here()
	c.o.Log.WarnContext(ctx, "a command that was carried out late", "operation", op.ID, "state", s.op.State, "outcome", s.op.Outcome, "last_error", s.op.Progress.LastError)
	return nil
}

// unnoteLate forgets what watched operations had noted of services that have
// carried out a command since: that one counts.
func unnoteLate(ctx context.Context, tx Tx, rows target, open []cinder.Operation) error {
	for i := range open {
		was := open[i]
		if was.State != cinder.OpMonitoring || len(was.Progress.Late) == 0 {
			continue
		}
		late := slices.DeleteFunc(slices.Clone(was.Progress.Late), func(host string) bool {
			return slices.ContainsFunc(rows.members, func(s cinder.Service) bool { return s.Host == host })
		})
		if len(late) == len(was.Progress.Late) {
			continue
		}
		open[i].Progress.Late = late
		if err := tx.SaveOperation(ctx, was, open[i]); err != nil {
			return err
		}
	}
	return nil
}
