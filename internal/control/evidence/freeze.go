package evidence

import (
	"slices"

	"stoker/internal/cinder"
)

// Monitors returns what a monitored freeze or thaw shows of a service, if the
// operation is one and has the service among its rows.
func Monitors(op *cinder.Operation, row *cinder.Service) (cinder.ServiceState, bool) {
	if op.State == cinder.OpMonitoring && (op.Kind == cinder.OpFreeze || op.Kind == cinder.OpThaw) {
		for _, st := range op.Shown.Services {
			if st.Binary == row.Binary && st.Host == row.Host {
				return st, true
			}
		}
	}
	return cinder.ServiceState{}, false
}

// MonitoredOn reports whether an operation of that kind is monitored on a service.
func MonitoredOn(kind cinder.OperationKind, row *cinder.Service, open []cinder.Operation) bool {
	return slices.ContainsFunc(open, func(op cinder.Operation) bool {
		_, ok := Monitors(&op, row)
		return ok && op.Kind == kind
	})
}

// CarriedOutLate reports whether a row shows that a hung process carried out a
// freeze or thaw that was given up: what disables the service contradicts frozen,
// with a reason that nobody but a service writes. shown is how the row should be.
// An enable by another API leaves the reason (live.json,
// healthy/enable-alpha-while-frozen).
//
// A thaw that is to undo a freeze, and that nobody answered, may come late as well.
// It contradicts no column, but enables what something else disables.
func CarriedOutLate(op *cinder.Operation, row *cinder.Service, shown cinder.ServiceState) bool {
	if row.DisabledReason == nil || row.Disabled == shown.Disabled && Equal(row.DisabledReason, shown.DisabledReason) {
		return false
	}
	thawed := !row.Disabled && *row.DisabledReason == ""
	if row.Frozen {
		return thawed
	}
	return row.Disabled && *row.DisabledReason == cinder.ReasonFrozen || thawed && shown.Disabled && op.Progress.Attempts > 0
}

// SomethingLate reports whether a monitored operation waits to put the row right.
func SomethingLate(open []cinder.Operation, row *cinder.Service) bool {
	return slices.ContainsFunc(open, func(op cinder.Operation) bool {
		st, ok := Monitors(&op, row)
		return ok && CarriedOutLate(&op, row, st)
	})
}

// CarriedOut reports whether any row shows that its service did as it was told, or
// showed it before the row was changed otherwise.
func CarriedOut(op *cinder.Operation, rows []cinder.Service) bool {
	return len(op.Progress.Late) > 0 || len(Showing(op, rows)) > 0
}

// Showing returns the rows that show it.
func Showing(op *cinder.Operation, rows []cinder.Service) []cinder.Service {
	return where(rows, func(row *cinder.Service) bool { return ShowsCarriedOut(op, row) })
}

// ShowsCarriedOut reports whether a row shows that its service did as it was told:
// it wrote what nobody else writes. A frozen one is disabled with the reason
// "frozen"; one that is thawed is enabled, where a failover leaves it disabled.
func ShowsCarriedOut(op *cinder.Operation, row *cinder.Service) bool {
	for _, st := range op.Shown.Services { // follows what was acknowledged meanwhile
		if st.ID != row.ID || st.Disabled == row.Disabled && Equal(st.DisabledReason, row.DisabledReason) || failedBackSince(op, row) {
			continue
		}
		frozen := row.Disabled && is(row.DisabledReason, cinder.ReasonFrozen)
		if op.Kind == cinder.OpFreeze && frozen || op.Kind == cinder.OpThaw && !row.Disabled {
			return true
		}
	}
	return false
}

// While the opposite of a freeze or thaw is monitored, the earlier command may
// still run and write identical values: a row that was frozen before its thaw, and
// is frozen anew in it, looks the same, and would be enabled when the thaw is done,
// its backend being frozen. So a sentinel is written to disabled_reason first,
// which any service overwrites.

// Sentinel is the reason that says that no service has written the row since.
func Sentinel(kind cinder.OperationKind, disabled bool, reason *string) *string {
	switch {
	case kind == cinder.OpThaw && disabled && is(reason, cinder.ReasonFrozen):
		return new("")
	case kind == cinder.OpFreeze && !disabled && is(reason, ""):
		return nil
	default:
		return reason
	}
}

// ClearSentinel takes the sentinel of an open operation out of a row that is about
// to be changed.
func ClearSentinel(op *cinder.Operation, row *cinder.Service) {
	for _, st := range op.Shown.Services {
		if st.ID == row.ID && st.Disabled == row.Disabled && Equal(row.DisabledReason, Sentinel(op.Kind, st.Disabled, st.DisabledReason)) {
			row.DisabledReason = st.DisabledReason
		}
	}
}

// SentinelOverwritten returns the rows whose sentinel is gone and that say the
// opposite of what was done.
func SentinelOverwritten(done cinder.OperationKind, rows []cinder.Service) []cinder.Service {
	frozen, reason := done == cinder.OpThaw, ""
	if frozen {
		reason = cinder.ReasonFrozen
	}
	return where(rows, func(row *cinder.Service) bool { return row.Disabled == frozen && is(row.DisabledReason, reason) })
}

// HiddenByFailover returns the rows that a failover has written since the operation
// began, and in which the traces of a freeze or thaw are lost.
func HiddenByFailover(op *cinder.Operation, rows []cinder.Service) []cinder.Service {
	return where(rows, func(row *cinder.Service) bool {
		return failedOverSince(op, row) && row.ReplicationStatus != cinder.ReplicationFailingOver
	})
}

// FailedOverDuring reports whether a service failed over, or failed to, since a
// freeze or thaw began that is about to write its row. failingOver says that its
// failover is still open, as it waits for that to end: nobody can have enabled the
// service meanwhile.
func FailedOverDuring(op *cinder.Operation, row *cinder.Service, failingOver bool) bool {
	if !failingOver || row.ReplicationStatus != cinder.ReplicationFailedOver && row.ReplicationStatus != cinder.ReplicationFailoverError {
		return false
	}
	return replicationDiffers(op.Shown.Services, row)
}

// failedBackSince reports whether a failback has written a row since the operation
// began: it writes what a freeze writes of one that is frozen, and else what a thaw
// does. One of a service that was never failed over still makes the site empty,
// which was NULL.
func failedBackSince(op *cinder.Operation, row *cinder.Service) bool {
	return failedOverSince(op, row) && row.ReplicationStatus == cinder.ReplicationEnabled && Site(row.ActiveBackendID) == cinder.FailbackTarget
}

// failedOverSince reports whether a failover has written a row since the operation began.
func failedOverSince(op *cinder.Operation, row *cinder.Service) bool {
	return replicationDiffers(op.Before.Services, row)
}

// replicationDiffers reports whether a row says something else of replication than
// it said in those states.
func replicationDiffers(states []cinder.ServiceState, row *cinder.Service) bool {
	return slices.ContainsFunc(states, func(st cinder.ServiceState) bool {
		return st.ID == row.ID && (st.ReplicationStatus != row.ReplicationStatus || !Equal(st.ActiveBackendID, row.ActiveBackendID))
	})
}

// SameDisable reports whether two states agree in disabled and its reason.
func SameDisable(a, b *cinder.ServiceState) bool {
	return a.Disabled == b.Disabled && Equal(a.DisabledReason, b.DisabledReason)
}

// where returns the rows of which something holds.
func where(rows []cinder.Service, holds func(*cinder.Service) bool) []cinder.Service {
	var some []cinder.Service
	for i := range rows {
		if holds(&rows[i]) {
			some = append(some, rows[i])
		}
	}
	return some
}

// CanSetFrozen reports whether a freeze or thaw makes sense of what frozen says.
func CanSetFrozen(frozen bool, kind cinder.OperationKind) bool {
	return frozen != (kind == cinder.OpFreeze)
}

// Intended is the command that the row says was given last: the API that sends it
// writes frozen.
func Intended(row *cinder.Service) cinder.OperationKind {
	if row.Frozen {
		return cinder.OpFreeze
	}
	return cinder.OpThaw
}

// EnabledBy reports whether a row is enabled that an open operation shows disabled.
func EnabledBy(row *cinder.Service, shown cinder.ServiceState) bool {
	return shown.Disabled && !row.Disabled
}
