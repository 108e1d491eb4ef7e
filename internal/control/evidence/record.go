package evidence

import (
	"slices"
	"time"

	"stoker/internal/cinder"
)

// Record is a service's row and why, as far as is on record, it is disabled.
// The causes are independent (G4): the row shows one reason, the record keeps all.
type Record struct {
	Row    cinder.Service
	Causes []cinder.Cause
}

// Cause returns the cause of a kind, nil when it is not on record.
func (r *Record) Cause(kind cinder.CauseKind) *cinder.Cause {
	if i := slices.IndexFunc(r.Causes, func(c cinder.Cause) bool { return c.Kind == kind }); i >= 0 {
		return &r.Causes[i]
	}
	return nil
}

// Has reports whether a cause of the kind is on record.
func (r *Record) Has(kind cinder.CauseKind) bool { return r.Cause(kind) != nil }

// Add records a cause, or gives the one on record another reason.
func (r *Record) Add(c cinder.Cause) {
	if have := r.Cause(c.Kind); have != nil {
		have.Reason = c.Reason
		return
	}
	r.Causes = append(slices.Clip(r.Causes), c)
}

// Drop removes a cause.
func (r *Record) Drop(kind cinder.CauseKind) {
	r.Causes = slices.DeleteFunc(slices.Clone(r.Causes), func(c cinder.Cause) bool { return c.Kind == kind })
}

// Project makes the row say what the causes say, after one of them has ended.
// The row keeps its reason when a cause that is left has it; else it gets that of
// the first that is left: frozen, failed-over, administrator. With none left the
// service is enabled and the reason empty, as a thawing service writes it.
func (r *Record) Project() {
	r.Row.Disabled = len(r.Causes) > 0
	if !r.Row.Disabled {
		r.Row.DisabledReason = new("")
		return
	}
	for _, c := range r.Causes {
		if Equal(c.Reason, r.Row.DisabledReason) {
			return
		}
	}
	for _, kind := range []cinder.CauseKind{cinder.CauseFrozen, cinder.CauseFailedOver, cinder.CauseAdmin} {
		if c := r.Cause(kind); c != nil {
			r.Row.DisabledReason = c.Reason
			return
		}
	}
}

// Frozen reports whether the service is frozen, by its row or on record.
func (r *Record) Frozen() bool { return r.Row.Frozen || r.Has(cinder.CauseFrozen) }

// OwnReason is the row's reason, unless a freeze or failover wrote it.
func (r *Record) OwnReason() *string {
	reason := r.Row.DisabledReason
	if r.Has(cinder.CauseFrozen) && is(reason, cinder.ReasonFrozen) || r.Has(cinder.CauseFailedOver) && is(reason, cinder.ReasonFailedOver) {
		return nil
	}
	return reason
}

// Away reports whether the service works on another site than its own, or may:
// as long as it does, a failover disables it. A member of a cluster that starts
// in the midst of a failover writes enabled, but leaves the site.
func (r *Record) Away() bool {
	return failoverStatus(r.Row.ReplicationStatus) || Site(r.Row.ActiveBackendID) != cinder.FailbackTarget
}

// BackOnPrimary reports whether a service that a failover disables works on its
// own site again. It heard of the failback late, when no operation had it in hand.
func (r *Record) BackOnPrimary() bool {
	over := r.Cause(cinder.CauseFailedOver)
	return over != nil && serviceWrote(over.Reason) && !r.Away()
}

// reasonGiven reports whether the row has a reason that somebody gave, not one
// that services write.
func (r *Record) reasonGiven() bool {
	reason := r.Row.DisabledReason
	return reason != nil && *reason != "" && !serviceWrote(reason)
}

// reasonUnderFreeze is the reason that the row would have if the service were not
// frozen: the freeze wrote over it, and its reason must not outlive it.
func (r *Record) reasonUnderFreeze() *string {
	admin := r.Cause(cinder.CauseAdmin)
	switch {
	case !r.Has(cinder.CauseFrozen) || !is(r.Row.DisabledReason, cinder.ReasonFrozen):
		return r.Row.DisabledReason
	case admin != nil:
		return admin.Reason
	default:
		return new("")
	}
}

// enabledWhileFrozen reports whether a service that is on record as frozen has
// enabled itself while its row says that it is frozen still.
func (r *Record) enabledWhileFrozen() bool {
	return !r.Row.Disabled && r.Row.Frozen && r.Has(cinder.CauseFrozen) && is(r.Row.DisabledReason, "")
}

// lateFailbackEnabledFrozen reports whether a late failback enabled a service that
// had been frozen in the meantime. An enable by another API would have left the
// reason, and a thaw, however late, the site.
func (r *Record) lateFailbackEnabledFrozen() bool {
	return r.Has(cinder.CauseFailedOver) && !r.Away() && r.enabledWhileFrozen()
}

// disabledOtherwise reports whether something beside a freeze disables the service.
func (r *Record) disabledOtherwise() bool {
	return r.Has(cinder.CauseAdmin) || r.Has(cinder.CauseFailedOver) && r.Away()
}

// recreated reports whether the row was made anew since its service was disabled:
// it is younger than the causes, and nobody has written disabled in it, which sets
// modified_at.
func (r *Record) recreated() bool {
	return r.Row.ModifiedAt.IsZero() && !r.Row.Disabled && slices.ContainsFunc(r.Causes, func(c cinder.Cause) bool {
		return c.Kind != cinder.CauseFailedOver && !r.Row.CreatedAt.Before(c.Since.Truncate(time.Second))
	})
}

// startedAfterUndo reports whether the service read failing-over when it started,
// and wrote enabled after that failover was rolled back: it is on record as failed
// over, and where it was. A cluster tells its members.
func (r *Record) startedAfterUndo() bool {
	row := &r.Row
	return row.Disabled && row.Cluster == "" && r.Has(cinder.CauseFailedOver) &&
		restartedDuringFailover(row.ReplicationStatus, cinder.ReplicationFailedOver, row.ActiveBackendID, row.ActiveBackendID)
}

// reasonWiped reports whether a service emptied the administrator's reason. An
// enable by another API leaves it, a thaw and a failback empty it (live.json,
// healthy/enable-alpha-while-frozen, healthy/thaw-alpha): it shows even a freeze
// that was thawed at once.
func reasonWiped(admin *cinder.Cause, row *cinder.Service) bool {
	return admin.Reason != nil && *admin.Reason != "" && !serviceWrote(admin.Reason) && is(row.DisabledReason, "")
}

// serviceWrote reports whether a reason is one that services write.
func serviceWrote(reason *string) bool {
	return is(reason, cinder.ReasonFrozen) || is(reason, cinder.ReasonFailedOver)
}

// Changed reports whether disabled or its reason differ, which sets modified_at.
func Changed(was, now *cinder.Service) bool {
	return was.Disabled != now.Disabled || !Equal(was.DisabledReason, now.DisabledReason)
}

// Equal compares two columns that may be NULL.
func Equal(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

// is reports whether a column that may be NULL holds the text.
func is(column *string, text string) bool { return column != nil && *column == text }

// Differences are the names of what a row says otherwise than before, as events
// have them: status is disabled.
func Differences(was, now *cinder.Service) []string {
	var names []string
	for _, c := range []struct {
		name string
		same bool
	}{
		{"status", was.Disabled == now.Disabled},
		{"disabled_reason", Equal(was.DisabledReason, now.DisabledReason)},
		{"frozen", was.Frozen == now.Frozen},
		{"replication_status", was.ReplicationStatus == now.ReplicationStatus},
		{"active_backend_id", Equal(was.ActiveBackendID, now.ActiveBackendID)},
	} {
		if !c.same {
			names = append(names, c.name)
		}
	}
	return names
}
