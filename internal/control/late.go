package control

import (
	"context"
	"slices"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
)

// What tells that a freeze or thaw was carried out that had been given up.

// noteLate takes back, in a row that is about to be changed, what a hung process
// has written late, and notes in the watched operation that there is something to
// undo: after the change the row does not show it any more.
func (c *Control) noteLate(ctx context.Context, tx Tx, row *cinder.Service, open []cinder.Operation) (bool, error) {
	for i := range open {
		st, ok := evidence.Monitors(&open[i], row)
		if !ok || !evidence.CarriedOutLate(&open[i], row, st) {
			continue
		}
		was := open[i]
		if !slices.Contains(was.Progress.Late, row.Host) {
			open[i].Progress.Late = append(slices.Clip(was.Progress.Late), row.Host)
		}
		row.Disabled, row.DisabledReason = st.Disabled, st.DisabledReason
		return true, tx.SaveOperation(ctx, was, open[i])
	}
	return false, nil
}

// suspect makes recovery undo what it watches on services that a failover has
// moved: the service writes the same columns then, and what they said of a freeze
// or thaw carried out before is lost. To undo what was never done does no harm.
func suspect(ctx context.Context, tx Tx, rows []cinder.Service, open []cinder.Operation) error {
	if err := suspectOf(ctx, tx, cinder.OpFreeze, rows, open); err != nil {
		return err
	}
	return suspectOf(ctx, tx, cinder.OpThaw, rows, open)
}

// suspectOf does so with what is of one kind.
func suspectOf(ctx context.Context, tx Tx, kind cinder.OperationKind, rows []cinder.Service, open []cinder.Operation) error {
	for i := range open {
		was := open[i]
		if was.State != cinder.OpMonitoring || was.Kind != kind {
			continue
		}
		late := suspects(was, rows)
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

// opposite is what undoes it.
func opposite(kind cinder.OperationKind) cinder.OperationKind {
	if kind == cinder.OpFreeze {
		return cinder.OpThaw
	}
	return cinder.OpFreeze
}

// suspects are the hosts of the operation that are among the rows, and those that
// it has noted already.
func suspects(op cinder.Operation, rows []cinder.Service) []string {
	hosts := slices.Clone(op.Progress.Late)
	for _, s := range rows {
		if op.Touches(s.Binary, s.Host) && !slices.Contains(hosts, s.Host) {
			hosts = append(hosts, s.Host)
		}
	}
	return hosts
}
