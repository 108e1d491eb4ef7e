package control

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"stoker/internal/cinder"
)

// Leases, deadlines and watches are kept in the database, by the database's clock,
// and that clock may be set: by NTP after a start with a wrong one, by hand, when a
// virtual machine is restored, or because the next server of a cluster has another.
//
// One that was set back leaves times behind that lie further ahead than anybody
// would set them now: they are brought back to where they would be set. One that
// was set ahead makes every lease look run out, and every watch over. That can be
// told only by a process that saw the time before; it gives the others a lease's
// time to renew theirs, and begins its watches anew. Between two runs a clock that
// was set ahead cannot be told from time that has passed.

const (
	// slack is how far times may be off though nobody has set a clock: they are
	// whole seconds, and the servers of a Galera cluster differ a little.
	slack = 5 * time.Second
	// keepJournal is for how long nothing is removed from the journal after the
	// clock was set ahead: if that was a mistake, it is mended by then.
	keepJournal = time.Hour
)

// clock notices when the database's clock is set ahead while the process runs.
type clock struct {
	seen, at time.Time    // the database's clock at the last look, and our own, which nobody sets
	leapt    atomic.Int64 // when it was last set ahead, as time since began; 0 for never
	began    time.Time
}

// look takes the database's clock as it is now, and says by how much it was set
// since the last look; 0 when it was not. Run's alone.
func (k *clock) look(now time.Time) (jump time.Duration) {
	at := time.Now()
	if !k.at.IsZero() {
		jump = now.Sub(k.seen) - at.Sub(k.at)
	}
	k.seen, k.at = now, at
	if jump.Abs() <= slack {
		return 0
	}
	if jump > 0 {
		k.leapt.Store(int64(time.Since(k.began)))
	}
	return jump
}

// leaptWithin says whether it was set ahead not longer ago than that.
func (k *clock) leaptWithin(d time.Duration) bool {
	leapt := k.leapt.Load()
	return leapt != 0 && time.Since(k.began)-time.Duration(leapt) < d
}

// rewind brings back the times of an operation that lie further ahead than they
// can, and says whether there were any.
func (c *Control) rewind(op *cinder.Operation, now time.Time) bool {
	watch := c.o.Watch
	if op.State == cinder.OpOpen {
		watch = grace
	}
	changed := false
	for _, t := range []struct {
		at   *time.Time
		most time.Duration // from now
	}{
		{&op.StartedAt, 0},
		{&op.LeaseUntil, c.o.Lease},
		{&op.Deadline, c.patience(op.Kind)},
		{&op.Progress.NextLook, maxBackoff},
		{&op.Progress.WatchUntil, watch},
	} {
		if most := now.Add(t.most); t.at.After(most.Add(slack)) {
			*t.at = most
			changed = true
		}
	}
	return changed
}

// patience is how long after its begin the deadline of an operation is.
func (c *Control) patience(kind cinder.OperationKind) time.Duration {
	switch kind {
	case cinder.OpFailover:
		return c.o.FailoverDeadline
	case cinder.OpCompletion:
		return tellAttempts * maxBackoff
	default:
		return c.o.ResponseTimeout
	}
}

// fitClock gives operations that are not final times that make sense by the
// database's clock as it is now. Run's alone.
func (c *Control) fitClock(ctx context.Context, open []cinder.Operation, now time.Time) error {
	if jump := c.clock.look(now); jump != 0 {
		c.o.Log.WarnContext(ctx, "the database's clock was set", "by", jump.Round(time.Second))
	}
	for i := range open {
		fitted := open[i]
		if !c.fit(&fitted, now) {
			continue
		}
		c.o.Log.WarnContext(ctx, "the times of an operation do not fit the database's clock: they begin anew", "operation", fitted.ID, "kind", fitted.Kind)
		err := c.o.Store.Update(ctx, func(tx Tx) error {
			was, _, err := current(ctx, tx, open[i])
			if err != nil {
				return err
			}
			fitted = was
			if !c.fit(&fitted, now) {
				return nil
			}
			return tx.SaveOperation(ctx, was, fitted)
		})
		switch {
		case errors.Is(err, errSettled), cinder.KindOf(err) == cinder.KindConflict: // another process was faster
		case err != nil:
			return err
		default:
			open[i] = fitted
		}
	}
	return nil
}

// fit brings the times of an operation in line with the clock, and says whether any
// was not.
func (c *Control) fit(op *cinder.Operation, now time.Time) bool {
	changed := c.rewind(op, now)
	if op.State == cinder.OpMonitoring && c.clock.leaptWithin(c.o.Lease) && op.Progress.WatchUntil.Before(now.Add(c.o.Watch-c.o.Lease-slack)) {
		op.Progress.WatchUntil = now.Add(c.o.Watch)
		changed = true
	}
	return changed
}
