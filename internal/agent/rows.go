package agent

import (
	"time"

	"stoker/internal/cinder"
)

// What commands and starts make of a row. `frozen` is not written here but by
// whoever sends the command, before it does; `disabled` and its reason are the
// service's to write (doc/cinder/behaviour.md#who-writes-what).

// disable disables the service for a reason that it gives itself.
func disable(s *cinder.Service, reason string, at time.Time) {
	s.Disabled, s.DisabledReason, s.ModifiedAt = true, &reason, at
}

// release ends the freeze. A failover that came before or since goes on.
func release(s *cinder.Service, at time.Time) {
	reason := ""
	s.Disabled = false
	switch {
	case failedOver(s.ReplicationStatus, s.ActiveBackendID):
		s.Disabled, reason = true, cinder.ReasonFailedOver
	case s.ReplicationStatus == cinder.ReplicationFailoverError:
		s.Disabled = true
	}
	s.DisabledReason, s.ModifiedAt = &reason, at
}

// failedOver says whether another site than the primary one is in use.
func failedOver(status cinder.ReplicationStatus, active *string) bool {
	return status == cinder.ReplicationFailedOver || value(active) != ""
}

// outcomeOf is what a failover that ended so does to the rows. One that never
// began, for its target is unknown or the backend refused, has no status: the
// rows get back the one they had.
func outcomeOf(active string, err error) cinder.FailoverOutcome {
	yes, no, reason, none := true, false, cinder.ReasonFailedOver, ""
	switch kind := cinder.KindOf(err); {
	case err == nil && active == "":
		return cinder.FailoverOutcome{
			ReplicationStatus: cinder.ReplicationEnabled, ActiveBackendID: &none, Disabled: &no, DisabledReason: &none,
		}
	case err == nil:
		return cinder.FailoverOutcome{
			ReplicationStatus: cinder.ReplicationFailedOver, ActiveBackendID: &active, Disabled: &yes, DisabledReason: &reason,
		}
	case kind == cinder.KindInvalid || kind == cinder.KindConflict:
		return cinder.FailoverOutcome{}
	default:
		return cinder.FailoverOutcome{ReplicationStatus: cinder.ReplicationFailoverError, Disabled: &yes}
	}
}

// complete gives an outcome without a status the one that the row had before it
// was failing over.
func complete(o cinder.FailoverOutcome, status cinder.ReplicationStatus, active *string) cinder.FailoverOutcome {
	if o.ReplicationStatus != "" {
		return o
	}
	o.ReplicationStatus = status
	if status == cinder.ReplicationFailingOver {
		o.ReplicationStatus = settled(status, active, true)
	}
	return o
}

// apply writes an outcome into a service's row. A failback of a frozen service
// leaves it disabled, for being frozen (live.json, healthy/failback-while-frozen).
func apply(s *cinder.Service, o cinder.FailoverOutcome, at time.Time) {
	s.ReplicationStatus = o.ReplicationStatus
	if o.ActiveBackendID != nil && *o.ActiveBackendID != value(s.ActiveBackendID) {
		s.ActiveBackendID = o.ActiveBackendID
	}
	if o.Disabled == nil {
		return
	}
	s.ModifiedAt = at
	if !*o.Disabled && s.Frozen {
		disable(s, cinder.ReasonFrozen, at)
		return
	}
	s.Disabled = *o.Disabled
	if o.DisabledReason != nil {
		s.DisabledReason = o.DisabledReason
	}
}

// applyCluster writes an outcome into a cluster's row, which a freeze never disables.
func applyCluster(c *cinder.Cluster, o cinder.FailoverOutcome, at time.Time) {
	c.ReplicationStatus, c.UpdatedAt = o.ReplicationStatus, at
	if o.ActiveBackendID != nil {
		c.ActiveBackendID = o.ActiveBackendID
	}
	if o.Disabled != nil {
		c.Disabled = *o.Disabled
	}
	if o.DisabledReason != nil {
		c.DisabledReason = o.DisabledReason
	}
}

// settled is the status of a row that no failover is under way for: what a start
// makes of the status that it finds.
func settled(status cinder.ReplicationStatus, active *string, replicated bool) cinder.ReplicationStatus {
	switch {
	case failedOver(status, active):
		return cinder.ReplicationFailedOver
	case replicated:
		return cinder.ReplicationEnabled
	default:
		return cinder.ReplicationDisabled
	}
}

// unsettled says whether a status is that of a failover which has not ended well.
func unsettled(status cinder.ReplicationStatus) bool {
	switch status {
	case cinder.ReplicationFailingOver, cinder.ReplicationFailoverError, cinder.ReplicationError:
		return true
	default:
		return false
	}
}

// join makes a member agree with its cluster, whose row is the truth: a member
// that was away missed what became of the others, and one that is new takes part
// in it. What an administrator did to a member that agreed already stays.
func join(s *cinder.Service, c *cinder.Cluster, isNew bool, at time.Time) {
	was, reason, frozen := s.ReplicationStatus, value(s.DisabledReason), s.Frozen
	s.Frozen = c.Frozen
	if isNew || was != c.ReplicationStatus || value(s.ActiveBackendID) != value(c.ActiveBackendID) {
		apply(s, stateOf(c), at)
		missedFailback := c.ReplicationStatus == cinder.ReplicationEnabled && (reason == cinder.ReasonFailedOver ||
			reason == "" && was != cinder.ReplicationFailingOver && unsettled(was))
		if s.Disabled && missedFailback {
			apply(s, outcomeOf("", nil), at)
		}
	}
	switch {
	case c.Frozen && (isNew || !frozen):
		disable(s, cinder.ReasonFrozen, at)
	case !c.Frozen && frozen && s.Disabled && reason == cinder.ReasonFrozen:
		release(s, at)
	}
}

// stateOf is the outcome that made the cluster's row what it is.
func stateOf(c *cinder.Cluster) cinder.FailoverOutcome {
	active, yes, reason := value(c.ActiveBackendID), true, cinder.ReasonFailedOver
	o := cinder.FailoverOutcome{ReplicationStatus: c.ReplicationStatus, ActiveBackendID: &active}
	switch c.ReplicationStatus {
	case cinder.ReplicationFailedOver:
		o.Disabled, o.DisabledReason = &yes, &reason
	case cinder.ReplicationFailoverError:
		o.Disabled = &yes
	default:
	}
	return o
}

// renew gives a row that was made anew what the one before it had: what the
// service itself remembers, and why control says that it is disabled. Of several
// reasons it shows that of the freeze, else of the failover.
func renew(s *cinder.Service, active string, frozen bool, causes []cinder.Cause, at time.Time) {
	for _, c := range causes {
		switch c.Kind {
		case cinder.CauseAdmin:
			s.Disabled, s.DisabledReason, s.ModifiedAt = true, c.Reason, at
		case cinder.CauseFrozen:
			frozen = true
		case cinder.CauseFailedOver: // Only the service knows where to.
		}
	}
	if active != "" {
		s.ReplicationStatus, s.ActiveBackendID = cinder.ReplicationFailedOver, &active
		disable(s, cinder.ReasonFailedOver, at)
	}
	if frozen {
		s.Frozen = true
		disable(s, cinder.ReasonFrozen, at)
	}
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
