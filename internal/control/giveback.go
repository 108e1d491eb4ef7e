package control

import (
	"context"
	"fmt"

	"stoker/internal/cinder"
)

// giveBack looks at the services that an administrator has disabled through us
// for what others have made of their rows meanwhile, and brings rows and record
// together (G4). A service that somebody else has frozen and thawed over the
// administrator's disable is disabled again, on record.
//
// covered says of each such service whether it is on record as frozen too.
func (c *Control) giveBack(ctx context.Context, covered map[cinder.ServiceName]bool) error {
	if len(covered) == 0 {
		return nil
	}
	view, err := c.o.Store.View(ctx, cinder.ServiceQuery{})
	if err != nil {
		return fmt.Errorf("look at disabled services: %w", err)
	}
	for i := range view.Services {
		// Only rows that contradict the record are worth a transaction.
		s := &view.Services[i]
		if frozen, ok := covered[cinder.ServiceName{Binary: s.Binary, Host: s.Host}]; ok && (!s.Disabled || s.Frozen != frozen) {
			if err := c.reconcile(ctx, *s); err != nil {
				return fmt.Errorf("reconcile %s on %s: %w", s.Binary, s.Host, err)
			}
		}
	}
	return nil
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
			if row.ID != seen.ID || touches(open, row.ID, cinder.OpFreeze, cinder.OpThaw, cinder.OpFailover) != nil {
				continue
			}
			s, err := c.load(ctx, tx, row, open)
			if err != nil {
				return err
			}
			switch {
			case s.row.Disabled != row.Disabled:
				return c.restoreDisable(ctx, tx, s)
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
	op := c.operation(ctx, tx, c.newID(), cinder.OpGiveBack)
	op.Binary, op.Host = s.row.Binary, s.row.Host
	op.Before.Services = []cinder.ServiceState{s.was.State()}
	op.After.Services = []cinder.ServiceState{s.row.State()}
	finish(&op, tx, cinder.OpDone, "thawed from elsewhere: the administrator's disable is in force again")
	c.o.Log.WarnContext(ctx, "a thaw from elsewhere ended an administrator's disable: given back", "binary", s.row.Binary, "host", s.row.Host, "operation", op.ID)
	return tx.AddOperation(ctx, op)
}
