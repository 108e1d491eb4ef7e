package control

import (
	"context"
	"slices"

	"stoker/internal/cinder"
)

// What tells that a freeze or thaw was carried out that had been given up.

// late says whether a row shows that a hung process has carried out a freeze or
// thaw that was given up: what disables the service contradicts frozen, in words
// that nobody but a service writes. shown is how the row should be. An enable by
// another API leaves the reason as it is (BEHAVIOUR.md, "Freeze, thaw, failover").
//
// A thaw that is to undo a freeze, and that nobody has answered, may come late as
// well. It contradicts no column, but enables what something else disables.
func late(op *cinder.Operation, row *cinder.Service, shown cinder.ServiceState) bool {
	if row.DisabledReason == nil || row.Disabled == shown.Disabled && equal(row.DisabledReason, shown.DisabledReason) {
		return false
	}
	thawed := !row.Disabled && *row.DisabledReason == ""
	if row.Frozen {
		return thawed
	}
	return row.Disabled && *row.DisabledReason == cinder.ReasonFrozen || thawed && shown.Disabled && op.Progress.Attempts > 0
}

// watches returns what a watched freeze or thaw shows of the service, if it is one
// and has the service among its rows.
func watches(op *cinder.Operation, row *cinder.Service) (cinder.ServiceState, bool) {
	if op.State == cinder.OpWatched && (op.Kind == cinder.OpFreeze || op.Kind == cinder.OpThaw) {
		for _, st := range op.Shown.Services {
			if st.Binary == row.Binary && st.Host == row.Host {
				return st, true
			}
		}
	}
	return cinder.ServiceState{}, false
}

// lateOn says whether a watched operation waits to put the row right.
func lateOn(open []cinder.Operation, row cinder.Service) bool {
	return slices.ContainsFunc(open, func(op cinder.Operation) bool {
		st, ok := watches(&op, &row)
		return ok && late(&op, &row, st)
	})
}

// noteLate takes back, in a row that is about to be changed, what a hung process
// has written late, and notes in the watched operation that there is something to
// undo: after the change the row does not show it any more.
func (c *Control) noteLate(ctx context.Context, tx Tx, row *cinder.Service, open []cinder.Operation) (bool, error) {
	for i := range open {
		st, ok := watches(&open[i], row)
		if !ok || !late(&open[i], row, st) {
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
func suspect(ctx context.Context, tx Tx, rows target, open []cinder.Operation) error {
	if err := suspectOf(ctx, tx, cinder.OpFreeze, rows, open); err != nil {
		return err
	}
	return suspectOf(ctx, tx, cinder.OpThaw, rows, open)
}

// suspectOf does so with what is of one kind.
func suspectOf(ctx context.Context, tx Tx, kind cinder.OperationKind, rows target, open []cinder.Operation) error {
	for i := range open {
		was := open[i]
		if was.State != cinder.OpWatched || was.Kind != kind {
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

// While the opposite of a freeze or thaw is watched, that one may come late in the
// midst of it, and write what is there already: a row frozen before its thaw, and
// frozen anew in it, looks the same, and is enabled when the thaw is done, its
// backend being frozen. So the reason, which a service writes as well, is marked.

// mark is the reason that says that no service has written the row since.
func mark(kind cinder.OperationKind, disabled bool, reason *string) *string {
	switch {
	case kind == cinder.OpThaw && disabled && equal(reason, new(cinder.ReasonFrozen)):
		return new("")
	case kind == cinder.OpFreeze && !disabled && equal(reason, new("")):
		return nil
	default:
		return reason
	}
}

// unmark takes the mark of an open operation out of a row that is to be changed.
func unmark(op *cinder.Operation, row *cinder.Service) {
	for _, st := range op.Shown.Services {
		if st.ID == row.ID && st.Disabled == row.Disabled && equal(row.DisabledReason, mark(op.Kind, st.Disabled, st.DisabledReason)) {
			row.DisabledReason = st.DisabledReason
		}
	}
}

// opposite is what undoes it.
func opposite(kind cinder.OperationKind) cinder.OperationKind {
	if kind == cinder.OpFreeze {
		return cinder.OpThaw
	}
	return cinder.OpFreeze
}

// isWatched says whether an operation of that kind is watched on a service.
func isWatched(kind cinder.OperationKind, row *cinder.Service, open []cinder.Operation) bool {
	return slices.ContainsFunc(open, func(op cinder.Operation) bool {
		_, ok := watches(&op, row)
		return ok && op.Kind == kind
	})
}

// marred are the members whose rows have no mark any more, and say the opposite of
// what was done.
func marred(done cinder.OperationKind, rows target) target {
	frozen, words := done == cinder.OpThaw, ""
	if frozen {
		words = cinder.ReasonFrozen
	}
	return target{members: slices.DeleteFunc(slices.Clone(rows.members), func(row cinder.Service) bool {
		return row.Disabled != frozen || !equal(row.DisabledReason, &words)
	})}
}

// suspects are the hosts of the operation that are among the rows, and those that
// it has noted already.
func suspects(op cinder.Operation, rows target) []string {
	hosts := slices.Clone(op.Progress.Late)
	for _, s := range rows.members {
		if op.Touches(s.Binary, s.Host) && !slices.Contains(hosts, s.Host) {
			hosts = append(hosts, s.Host)
		}
	}
	return hosts
}

// hidden are the members that a failover has moved since the operation began.
func hidden(op cinder.Operation, rows target) target {
	var t target
	for _, s := range rows.members {
		if movedSince(&op, &s) && s.ReplicationStatus != cinder.ReplicationFailingOver {
			t.members = append(t.members, s)
		}
	}
	return t
}

// cameBack says whether a way back has written a row since the operation began: it
// writes what a freeze writes of one that is frozen, and else what a thaw does. One of
// a service that was never failed over still makes the site empty, which was NULL.
func cameBack(op *cinder.Operation, row *cinder.Service) bool {
	return movedSince(op, row) && row.ReplicationStatus == cinder.ReplicationEnabled && at(row.ActiveBackendID) == cinder.FailbackTarget
}

// movedSince says whether a failover has written a row since the operation began.
func movedSince(op *cinder.Operation, row *cinder.Service) bool {
	return slices.ContainsFunc(op.Before.Services, func(st cinder.ServiceState) bool {
		return st.ID == row.ID && (st.ReplicationStatus != row.ReplicationStatus || !equal(st.ActiveBackendID, row.ActiveBackendID))
	})
}

// arrived says whether a failback has moved a row.
func arrived(failback *cinder.Operation, row *cinder.Service) bool {
	return row.ReplicationStatus != cinder.ReplicationFailingOver && slices.ContainsFunc(failback.Before.Services, func(st cinder.ServiceState) bool {
		return st.ID == row.ID && !equal(st.ActiveBackendID, row.ActiveBackendID)
	})
}
