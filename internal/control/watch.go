package control

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
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
func (c *Control) beginUndo(ctx context.Context, op cinder.Operation) (mine cinder.Operation, service *cinder.Service, err error) {
	err = c.o.Store.Update(ctx, func(tx Tx) error {
		service = nil
		was, rows, open, err := c.resume(ctx, tx, op)
		if err != nil {
			return err
		}
		now := tx.Now()
		if !rows.idle(open, cinder.OpFreeze, cinder.OpThaw, cinder.OpFailover) || now.Before(was.Progress.NextLook) {
			return nil
		}
		mine = was
		hosts := slices.Clone(was.Progress.Late)
		mine.Shown = cinder.Rows{Clusters: was.Shown.Clusters}
		for i := range rows.members {
			row := rows.members[i]
			if st, ok := evidence.Monitors(&was, &row); ok && evidence.CarriedOutLate(&was, &row, st) {
				row.Disabled, row.DisabledReason = st.Disabled, st.DisabledReason
				if !slices.Contains(hosts, row.Host) {
					hosts = append(hosts, row.Host)
				}
			}
			if slices.Contains(hosts, row.Host) && (service == nil || !service.Up(tx.HostNow(), c.o.DownTime)) {
				service = &rows.members[i]
			}
			mine.Shown.Services = append(mine.Shown.Services, row.State())
		}
		switch {
		case service == nil && now.Before(was.Progress.WatchUntil):
			return nil
		case service == nil:
			mine.Shown = was.Shown
			finish(&mine, tx, cinder.OpUndone, was.Outcome+"; nor was it carried out later")
		default:
			mine.State, mine.Progress.Undoing, mine.Progress.Late = cinder.OpOpen, true, hosts
			mine.Owner, mine.LeaseUntil, mine.Deadline = c.o.Owner, now.Add(c.o.Lease), now.Add(c.o.ResponseTimeout)
		}
		return tx.SaveOperation(ctx, was, mine)
	})
	if cinder.KindOf(err) == cinder.KindConflict {
		err = errSettled // another process was faster
	}
	if service != nil {
		service.Cluster = "" // the very member that was late, not any of them
	}
	return mine, service, err
}

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
	var mine cinder.Operation
	err := c.update(ctx, func(tx Tx) error {
		was, rows, open, err := c.resume(ctx, tx, op)
		if err != nil {
			return err
		}
		mine = was
		mine.Progress.Undoing = false
		who := strings.Join(was.Progress.Late, ", ")
		switch {
		case failed == nil:
			if err := putRight(ctx, tx, was, rows, open); err != nil {
				return err
			}
			mine.After = rows.before()
			finish(&mine, tx, cinder.OpUndone, fmt.Sprintf("%s; carried out late by %s, and undone by a %s", was.Outcome, who, kind))
		case was.Progress.Attempts+1 >= undoAttempts:
			mine.Progress.Attempts++
			mine.Progress.Fault = words(failed)
			finish(&mine, tx, cinder.OpFailed, fmt.Sprintf("%s; carried out late by %s; the %s that would undo it has failed %d times and is given up: %s",
				was.Outcome, who, kind, mine.Progress.Attempts, words(failed)))
		default:
			mine.State = cinder.OpWatched
			mine.Progress.Attempts++
			mine.Progress.Fault = words(failed)
			mine.Progress.NextLook = tx.Now().Add(backoff(mine.Progress.Attempts))
		}
		return tx.SaveOperation(ctx, was, mine)
	})
	if err != nil {
		return fmt.Errorf("undo of operation %s: %w", op.ID, err)
	}
	failpoint.UndoSettled.Here()
	c.o.Log.WarnContext(ctx, "a command that was carried out late", "operation", op.ID, "state", mine.State, "outcome", mine.Outcome, "fault", mine.Progress.Fault)
	return nil
}

// putRight writes into the rows what the operation shows of them.
func putRight(ctx context.Context, tx Tx, op cinder.Operation, rows target, open []cinder.Operation) error {
	for i, row := range rows.members {
		s, err := recorded(ctx, tx, row)
		if err != nil {
			return err
		}
		for _, st := range op.Shown.Services {
			if st.Binary == row.Binary && st.Host == row.Host {
				s.Row.Disabled, s.Row.DisabledReason = st.Disabled, st.DisabledReason
			}
		}
		if evidence.FailedOverDuring(&op, &s.Row, touches(open, row.Binary, row.Host, cinder.OpFailover) != nil) {
			s.DisableForFailover()
		}
		if evidence.Changed(&row, &s.Row) {
			s.Row.ModifiedAt = tx.Now()
		}
		if err := s.save(ctx, tx); err != nil {
			return err
		}
		rows.members[i] = s.Row
		failpoint.Settling.Here()
	}
	return unnoteLate(ctx, tx, rows, slices.DeleteFunc(open, func(o cinder.Operation) bool { return o.ID == op.ID }))
}

// unnoteLate forgets what watched operations had noted of services that have
// carried out a command since: that one counts.
func unnoteLate(ctx context.Context, tx Tx, rows target, open []cinder.Operation) error {
	for i := range open {
		was := open[i]
		if was.State != cinder.OpWatched || len(was.Progress.Late) == 0 {
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
