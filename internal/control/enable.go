package control

import (
	"context"
	"fmt"
	"slices"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
	"stoker/internal/control/lifecycle"
)

// Enable ends the administrator's and the failover's cause, and clears the
// reason. A frozen service is refused with KindInvalid: the freeze has to be
// thawed (G4). KindNotFound when there is no such service.
func (c *Control) Enable(ctx context.Context, host, binary string) (cinder.Operation, error) {
	return c.change(ctx, cinder.OpEnable, host, binary, func(s *service) error {
		if s.Frozen() {
			return cinder.Errorf(cinder.KindInvalid,
				"Invalid input received: Service %s on host %s is frozen: thaw it to enable it.", binary, s.Row.Host)
		}
		s.Causes = nil
		s.Row.Disabled, s.Row.DisabledReason = false, nil
		return nil
	}, "")
}

// Disable disables a service on the administrator's behalf and keeps the reason
// that the row has, as Cinder does (services.json, disable/frozen-one).
// KindNotFound when there is no such service.
func (c *Control) Disable(ctx context.Context, host, binary string) (cinder.Operation, error) {
	return c.change(ctx, cinder.OpDisable, host, binary, func(s *service) error {
		if !s.Has(cinder.CauseAdmin) {
			s.Add(cinder.Cause{Kind: cinder.CauseAdmin, Reason: s.OwnReason()})
		}
		s.Row.Disabled = true
		return nil
	}, "")
}

// DisableWithReason disables a service and writes the reason, nil included
// (services.json, disable-log-reason/both2). KindNotFound when there is no such service.
func (c *Control) DisableWithReason(ctx context.Context, host, binary string, reason *string) (cinder.Operation, error) {
	detail := ""
	if reason != nil {
		detail = *reason
	}
	return c.change(ctx, cinder.OpDisable, host, binary, func(s *service) error {
		s.Add(cinder.Cause{Kind: cinder.CauseAdmin, Reason: reason})
		s.Row.Disabled, s.Row.DisabledReason = true, reason
		return nil
	}, detail)
}

// change is the one transaction of an enable or disable: causes, row and journal.
func (c *Control) change(ctx context.Context, kind cinder.OperationKind, host, binary string, apply func(*service) error, detail string) (cinder.Operation, error) {
	var op cinder.Operation
	err := c.update(ctx, func(tx Tx) error {
		rows, err := named(ctx, tx, host, binary)
		if err != nil {
			return err
		}
		open, err := tx.OpenOperations(ctx)
		if err != nil {
			return err
		}
		if kind == cinder.OpEnable { // is it frozen, or not? That is just being decided.
			if err := (target{members: rows}).busy(open, cinder.OpFreeze, cinder.OpThaw); err != nil {
				return err
			}
		}
		op = c.operation(ctx, tx, c.newID(), kind)
		op.Binary, op.Host, op.Detail = binary, rows[0].Host, detail
		for _, row := range rows {
			s, err := c.load(ctx, tx, row, open)
			if err != nil {
				return err
			}
			if err := apply(s); err != nil {
				return err
			}
			s.Row.ModifiedAt = tx.Now()
			if err := s.save(ctx, tx); err != nil {
				return err
			}
			op.Before.Services = append(op.Before.Services, row.State())
			op.After.Services = append(op.After.Services, s.Row.State())
			if err := tell(ctx, tx, open, s.Row.State()); err != nil {
				return err
			}
		}
		ended(&op, tx, lifecycle.Done, "")
		return tx.AddOperation(ctx, op)
	})
	if err != nil {
		return cinder.Operation{}, fmt.Errorf("%s %s on %s: %w", kind, binary, host, err)
	}
	c.notify(ctx, op, "")
	return op, nil
}

// tell makes the open and watched operations of a service show what has just
// been acknowledged: lists believe them while they are open (G1), and what they
// put back is what they show.
func tell(ctx context.Context, tx Tx, open []cinder.Operation, st cinder.ServiceState) error {
	for i := range open {
		op := &open[i]
		for j := range op.Shown.Services {
			sh := &op.Shown.Services[j]
			if sh.Binary != st.Binary || sh.Host != st.Host {
				continue
			}
			if evidence.SameDisable(sh, &st) {
				continue
			}
			was := *op
			op.Shown.Services = slices.Clone(op.Shown.Services)
			sh = &op.Shown.Services[j]
			sh.Disabled, sh.DisabledReason = st.Disabled, st.DisabledReason
			if err := tx.SaveOperation(ctx, was, *op); err != nil {
				return err
			}
		}
	}
	return nil
}
