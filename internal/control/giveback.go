package control

import (
	"context"
	"fmt"
	"slices"

	"stoker/internal/cinder"
)

// giveBack looks at the services that are on record as disabled for what others
// have made of their rows meanwhile, and brings rows and record together (G4). A
// service that somebody else has frozen and thawed over the administrator's
// disable, or that was removed and has registered again, is disabled again, on
// record.
func (c *Control) giveBack(ctx context.Context, services []cinder.Service, causes map[cinder.ServiceName][]cinder.Cause) error {
	for i := range services {
		// Only rows that contradict the record are worth a transaction.
		row := &services[i]
		s := service{row: *row, causes: causes[cinder.ServiceName{Binary: row.Binary, Host: row.Host}]}
		if s.contradicted() {
			if err := c.reconcile(ctx, *row); err != nil {
				return fmt.Errorf("reconcile %s on %s: %w", row.Binary, row.Host, err)
			}
		}
	}
	return nil
}

// contradicted reports whether row and record disagree in a way that cannot wait for the next change of the
// service, and that reconcile ends. What only looks like it is left alone, or recovery would never come to rest.
func (s *service) contradicted() bool {
	admin, frozen := s.has(cinder.CauseAdmin), s.has(cinder.CauseFrozen)
	looks := s.renewed() || s.unrecorded() || s.startedLate() || s.enabledFrozen() || admin && (!s.row.Disabled || s.row.Frozen != frozen)
	if !looks {
		return false
	}
	after := &service{was: s.was, row: s.row, causes: slices.Clone(s.causes)}
	after.reconcile()
	was, now := &s.row, &after.row
	return was.Disabled != now.Disabled || !equal(was.DisabledReason, now.DisabledReason) || was.Frozen != now.Frozen ||
		was.ReplicationStatus != now.ReplicationStatus || !sameCauses(s.causes, after.causes)
}

// sameCauses reports whether two records name the same causes with the same reasons.
func sameCauses(a, b []cinder.Cause) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x cinder.Cause) bool {
		return !slices.ContainsFunc(b, func(y cinder.Cause) bool { return x.Kind == y.Kind && equal(x.Reason, y.Reason) })
	})
}

// unrecorded says whether an administrator has disabled a service elsewhere, or has
// given another reason, which the record does not know yet. It has to before
// somebody else ends a freeze or a failover that covers it. A failover that has
// failed, or is under way, leaves words behind that are older.
func (s *service) unrecorded() bool {
	r, admin, failed := &s.row, s.cause(cinder.CauseAdmin), s.cause(cinder.CauseFailedOver)
	over := r.ReplicationStatus == cinder.ReplicationFailedOver && (failed == nil || serviceWords(failed.Reason))
	switch {
	case !r.Disabled, isOver(r.ReplicationStatus) && !over:
		return false
	case admin != nil:
		return s.given() && !equal(admin.Reason, r.DisabledReason)
	default:
		return s.given() || len(s.causes) == 0 && !serviceWords(r.DisabledReason)
	}
}

// reconcile makes the record of a service agree with its row, and gives back
// what is to be given back.
func (c *Control) reconcile(ctx context.Context, seen cinder.Service) error {
	return c.o.Store.Update(ctx, func(tx Tx) error {
		rows, err := tx.Services(ctx, cinder.ServiceQuery{Host: &seen.Host, Binary: &seen.Binary})
		if err != nil {
			return err
		}
		open, err := tx.OpenOperations(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.ID != seen.ID || touches(open, row.Binary, row.Host, cinder.OpFreeze, cinder.OpThaw, cinder.OpFailover) != nil {
				continue
			}
			if lateOn(open, row) { // the watch has its own way with it
				continue
			}
			s, err := c.load(ctx, tx, row, open)
			if err != nil {
				return err
			}
			switch {
			case s.row.Disabled != row.Disabled:
				return c.restoreDisable(ctx, tx, s)
			case s.row.ReplicationStatus != row.ReplicationStatus:
				return c.restoreFailedOver(ctx, tx, s)
			default:
				return s.record(ctx, tx)
			}
		}
		return nil
	})
}

func (c *Control) restoreDisable(ctx context.Context, tx Tx, s *service) error {
	c.pools.forget()
	s.row.ModifiedAt = tx.Now()
	if err := s.save(ctx, tx); err != nil {
		return err
	}
	outcome := "thawed from elsewhere: the administrator's disable is in force again"
	switch {
	case s.was.ModifiedAt.IsZero():
		outcome = "removed, and registered anew: disabled again as it was"
	case s.was.Frozen && equal(s.row.DisabledReason, new(cinder.ReasonFrozen)):
		outcome = "came back late from a failover, which has enabled it: it is frozen, and disabled again"
	case s.was.Frozen:
		outcome = "thawed very late: what else disables it is in force again"
	}
	c.o.Log.WarnContext(ctx, "a disable that others have ended is given back", "binary", s.row.Binary, "host", s.row.Host, "outcome", outcome)
	return c.onRecord(ctx, tx, cinder.OpGiveBack, s.was, s.row, outcome)
}

func (c *Control) restoreFailedOver(ctx context.Context, tx Tx, s *service) error {
	if err := s.save(ctx, tx); err != nil {
		return err
	}
	c.o.Log.WarnContext(ctx, "a service that has started wrote that it is not failed over: it is as before",
		"binary", s.row.Binary, "host", s.row.Host, "active_backend_id", at(s.row.ActiveBackendID))
	return c.onRecord(ctx, tx, cinder.OpReconcile, s.was, s.row, "started while a failover was undone: failed over as before")
}
