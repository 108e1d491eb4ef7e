package agent

import (
	"time"

	"stoker/internal/cinder"
)

// Changes that commands and starts make to a row. Whoever sends a freeze or thaw writes
// `frozen` before; `disabled` and its reason are the service's to write
// (doc/cinder/behaviour.md#who-writes-what).

// disable disables the service for a reason of its own.
func disable(s *cinder.Service, reason string, at time.Time) {
	s.Disabled, s.DisabledReason, s.ModifiedAt = true, &reason, at
}

// unfreeze ends the freeze. A failover, before or after the freeze, keeps the service
// disabled.
func unfreeze(s *cinder.Service, at time.Time) {
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

// failedOver reports whether a secondary site is active.
func failedOver(status cinder.ReplicationStatus, active *string) bool {
	return status == cinder.ReplicationFailedOver || value(active) != ""
}

// failoverOutcome returns what a failover with this result does to the rows. A failover
// that never began, because its target is unknown or the backend refused, has no
// status: the rows get their previous one back.
func failoverOutcome(active string, err error) cinder.FailoverOutcome {
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

// completeOutcome fills in a missing status with the one that the row had before the
// failover.
func completeOutcome(o cinder.FailoverOutcome, status cinder.ReplicationStatus, active *string) cinder.FailoverOutcome {
	if o.ReplicationStatus != "" {
		return o
	}
	o.ReplicationStatus = status
	if status == cinder.ReplicationFailingOver {
		o.ReplicationStatus = settledStatus(status, active, true)
	}
	return o
}

// applyOutcome writes an outcome to a service's row. A failback leaves a frozen service
// disabled, because it is frozen (live.json, healthy/failback-while-frozen).
func applyOutcome(s *cinder.Service, o cinder.FailoverOutcome, at time.Time) {
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

// applyToCluster writes an outcome to a cluster's row, which a freeze never disables.
func applyToCluster(c *cinder.Cluster, o cinder.FailoverOutcome, at time.Time) {
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

// settledStatus is the status of a row without a running failover: what a start makes
// of the status that it finds.
func settledStatus(status cinder.ReplicationStatus, active *string, replicated bool) cinder.ReplicationStatus {
	switch {
	case failedOver(status, active):
		return cinder.ReplicationFailedOver
	case replicated:
		return cinder.ReplicationEnabled
	default:
		return cinder.ReplicationDisabled
	}
}

// unsettled reports whether the status is that of a failover that is running or has
// failed.
func unsettled(status cinder.ReplicationStatus) bool {
	switch status {
	case cinder.ReplicationFailingOver, cinder.ReplicationFailoverError, cinder.ReplicationError:
		return true
	default:
		return false
	}
}

// joinCluster makes a member agree with its cluster, whose row is authoritative: a
// member that was down missed what happened to the others, and a new one takes part in
// it. Changes that an administrator made to a member that already agreed are kept.
func joinCluster(s *cinder.Service, c *cinder.Cluster, isNew bool, at time.Time) {
	was, reason, frozen := s.ReplicationStatus, value(s.DisabledReason), s.Frozen
	s.Frozen = c.Frozen
	if isNew || was != c.ReplicationStatus || value(s.ActiveBackendID) != value(c.ActiveBackendID) {
		applyOutcome(s, clusterOutcome(c), at)
		missedFailback := c.ReplicationStatus == cinder.ReplicationEnabled && (reason == cinder.ReasonFailedOver ||
			reason == "" && was != cinder.ReplicationFailingOver && unsettled(was))
		if s.Disabled && missedFailback {
			applyOutcome(s, failoverOutcome("", nil), at)
		}
	}
	switch {
	case c.Frozen && (isNew || !frozen):
		disable(s, cinder.ReasonFrozen, at)
	case !c.Frozen && frozen && s.Disabled && reason == cinder.ReasonFrozen:
		unfreeze(s, at)
	}
}

// clusterOutcome is the outcome that led to the cluster's row.
func clusterOutcome(c *cinder.Cluster) cinder.FailoverOutcome {
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

// restoreRow restores to a new row the state of the row before it, as far as the
// service remembers it, and the recorded causes for disabling it. Of several reasons
// the row shows the freeze, else the failover.
func restoreRow(s *cinder.Service, active string, frozen bool, causes []cinder.Cause, at time.Time) {
	for _, c := range causes {
		switch c.Kind {
		case cinder.CauseAdmin:
			s.Disabled, s.DisabledReason, s.ModifiedAt = true, c.Reason, at
		case cinder.CauseFrozen:
			frozen = true
		case cinder.CauseFailedOver: // Only the service knows the active backend.
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
