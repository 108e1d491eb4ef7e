package evidence

import (
	"slices"

	"stoker/internal/cinder"
)

// Reconcile makes the record agree with a row that others may have written: the
// row wins. Exceptions: the administrator's disable comes back when somebody else
// thawed a freeze that covered it, and with it the freeze when the row is new, the
// one before it having been removed; a failback does not end a freeze, nor a thaw
// anything else; and a service that starts does not end a failover.
//
// testdata/reconcile.txt has its verdict for every state of row and record.
// Reconciling twice changes no more than reconciling once.
func (r *Record) Reconcile() {
	if !r.Row.Disabled && !r.disableAgain() {
		r.Causes = nil
		return
	}
	r.recordFreeze()
	r.recordFailover()
	if r.startedAfterUndo() {
		r.Row.ReplicationStatus = cinder.ReplicationFailedOver
	}
	r.recordAdmin()
}

// disableAgain takes back an enable that was nobody's decision. It reports false
// when somebody enabled the service.
func (r *Record) disableAgain() bool {
	row, admin := &r.Row, r.Cause(cinder.CauseAdmin)
	switch {
	case r.recreated():
		row.Frozen = row.Frozen || r.Has(cinder.CauseFrozen)
		row.Disabled = true
		r.Project()
	case r.lateFailbackEnabledFrozen():
		r.Drop(cinder.CauseFailedOver)
		r.Project()
	case r.enabledWhileFrozen() && r.disabledOtherwise():
		r.Drop(cinder.CauseFrozen)
		r.Project() // frozen is a cause again as long as the row says so
	case r.enabledWhileFrozen() && row.Cluster != "":
		// Where fanouts are streams, a member that starts is given the last failback once
		// more, however old. A service alone was thawed after the monitoring ended: its
		// backend is as it says.
		row.Disabled, row.DisabledReason = true, new(cinder.ReasonFrozen)
	case admin == nil || !r.Has(cinder.CauseFrozen) && !reasonWiped(admin, row) || row.Frozen:
		return false
	default:
		row.Disabled, row.DisabledReason = true, admin.Reason
		r.Drop(cinder.CauseFrozen)
	}
	return true
}

func (r *Record) recordFreeze() {
	switch {
	case !r.Row.Frozen:
		r.Drop(cinder.CauseFrozen)
	case !r.Has(cinder.CauseFrozen):
		r.Add(cinder.Cause{Kind: cinder.CauseFrozen, Reason: new(cinder.ReasonFrozen)})
	}
}

func (r *Record) recordFailover() {
	switch {
	case !r.Away():
		r.Drop(cinder.CauseFailedOver)
	case !r.Has(cinder.CauseFailedOver) && is(r.Row.DisabledReason, cinder.ReasonFailedOver):
		r.Add(cinder.Cause{Kind: cinder.CauseFailedOver, Reason: new(cinder.ReasonFailedOver)})
	case len(r.Causes) == 0 && r.Row.ReplicationStatus == cinder.ReplicationFailoverError:
		// What a service does to itself when its backend fails; the reason is older.
		r.Add(cinder.Cause{Kind: cinder.CauseFailedOver, Reason: r.Row.DisabledReason})
	}
}

// recordAdmin takes what is left for the administrator's. A reason that services
// write is nobody's, even when it does not hold any more: a thaw by another API
// ends frozen first, and the service its reason later. Nor is a reason that a
// service found in its row when it failed to fail over.
func (r *Record) recordAdmin() {
	failed, admin := r.Cause(cinder.CauseFailedOver), r.Cause(cinder.CauseAdmin)
	given := r.reasonGiven() && (failed == nil || !Equal(failed.Reason, r.Row.DisabledReason))
	switch {
	case admin != nil && given:
		admin.Reason = r.Row.DisabledReason // somebody gave another reason
	case admin == nil && (given || len(r.Causes) == 0):
		r.Add(cinder.Cause{Kind: cinder.CauseAdmin, Reason: r.Row.DisabledReason})
	}
}

// Contradicted reports whether row and record disagree in a way that cannot wait
// for the next change of the service, and that Reconcile ends. What only looks
// like it is left alone, or recovery would never come to rest.
func (r *Record) Contradicted() bool {
	looks := r.recreated() || r.adminUnrecorded() || r.startedAfterUndo() || r.enabledWhileFrozen() ||
		r.Has(cinder.CauseAdmin) && (!r.Row.Disabled || r.Row.Frozen != r.Has(cinder.CauseFrozen))
	if !looks {
		return false
	}
	after := &Record{Row: r.Row, Causes: slices.Clone(r.Causes)}
	after.Reconcile()
	was, now := &r.Row, &after.Row
	return Changed(was, now) || was.Frozen != now.Frozen || was.ReplicationStatus != now.ReplicationStatus || !sameCauses(r.Causes, after.Causes)
}

// adminUnrecorded reports whether an administrator disabled the service elsewhere,
// or gave another reason, and the record does not know yet. It has to before
// somebody ends a freeze or a failover that covers it. A failover that failed, or
// is under way, leaves an older reason behind.
func (r *Record) adminUnrecorded() bool {
	row, admin, failed := &r.Row, r.Cause(cinder.CauseAdmin), r.Cause(cinder.CauseFailedOver)
	over := row.ReplicationStatus == cinder.ReplicationFailedOver && (failed == nil || serviceWrote(failed.Reason))
	switch {
	case !row.Disabled, failoverStatus(row.ReplicationStatus) && !over:
		return false
	case admin != nil:
		return r.reasonGiven() && !Equal(admin.Reason, row.DisabledReason)
	default:
		return r.reasonGiven() || len(r.Causes) == 0 && !serviceWrote(row.DisabledReason)
	}
}

// sameCauses reports whether two records name the same causes with the same reasons.
func sameCauses(a, b []cinder.Cause) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x cinder.Cause) bool {
		return !slices.ContainsFunc(b, func(y cinder.Cause) bool { return x.Kind == y.Kind && Equal(x.Reason, y.Reason) })
	})
}

// Restored says what Reconcile disabled again, in words for the journal: was is
// the row before it.
func (r *Record) Restored(was *cinder.Service) string {
	switch {
	case was.ModifiedAt.IsZero():
		return "removed, and registered anew: disabled again as it was"
	case was.Frozen && is(r.Row.DisabledReason, cinder.ReasonFrozen):
		return "enabled by a thaw or failback that came late: it is frozen, and disabled again"
	case was.Frozen:
		return "enabled by a thaw or failback that came late: what else disables it is in force again"
	default:
		return "enabled by its service, thawed from elsewhere or told once more of a failback: the administrator's disable is in force again"
	}
}

// FollowReplication makes the causes follow the replication status, and the row the
// causes: failed over disables, going back ends that cause and no other (G4).
func (r *Record) FollowReplication() {
	switch r.Row.ReplicationStatus {
	case cinder.ReplicationFailedOver:
		if r.Row.Disabled {
			r.Add(cinder.Cause{Kind: cinder.CauseFailedOver, Reason: new(cinder.ReasonFailedOver)})
			r.Project()
		}
	case cinder.ReplicationFailoverError:
		// The service disables itself and leaves the reason as it was.
		if r.Row.Disabled && !r.Has(cinder.CauseFailedOver) {
			r.Add(cinder.Cause{Kind: cinder.CauseFailedOver, Reason: r.reasonUnderFreeze()})
		}
	default:
		if r.Away() { // it started in the midst, or has yet to hear of the end
			return
		}
		if r.Has(cinder.CauseFailedOver) || len(r.Causes) > 0 && !r.Row.Disabled {
			r.Drop(cinder.CauseFailedOver)
			r.Project()
		}
	}
}

// DisableForFailover disables a service as it disabled itself when it failed over,
// or failed to, which a freeze or thaw then wrote over.
func (r *Record) DisableForFailover() {
	r.Row.Disabled = true
	if r.Row.ReplicationStatus == cinder.ReplicationFailedOver && !r.Row.Frozen {
		r.Row.DisabledReason = new(cinder.ReasonFailedOver)
	}
	r.FollowReplication()
}

// DisableMissed disables a member of a cluster that missed a failover, as it would
// have disabled itself, and records the cause of one that missed the failback. It
// reports whether the row changed.
func (r *Record) DisableMissed() bool {
	row := &r.Row
	over := row.ReplicationStatus == cinder.ReplicationFailedOver
	if over || row.Disabled && is(row.DisabledReason, cinder.ReasonFailedOver) {
		r.Add(cinder.Cause{Kind: cinder.CauseFailedOver, Reason: new(cinder.ReasonFailedOver)})
	}
	switch {
	case row.Disabled:
		return false
	case over:
		row.Disabled, row.DisabledReason = true, new(cinder.ReasonFailedOver)
	case row.ReplicationStatus == cinder.ReplicationFailoverError:
		row.Disabled = true
	default:
		return false
	}
	return true
}

// DisabledAgain reports whether Reconcile disabled a row that was enabled.
func (r *Record) DisabledAgain(was *cinder.Service) bool { return r.Row.Disabled && !was.Disabled }

// FailedOverAgain reports whether Reconcile put the replication status right.
func (r *Record) FailedOverAgain(was *cinder.Service) bool {
	return r.Row.ReplicationStatus != was.ReplicationStatus
}
