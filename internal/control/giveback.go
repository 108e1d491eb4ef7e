package control

import (
	"context"
	"fmt"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
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
		r := evidence.Record{Row: *row, Causes: causes[cinder.ServiceName{Binary: row.Binary, Host: row.Host}]}
		if r.Contradicted() {
			if err := c.reconcile(ctx, *row); err != nil {
				return fmt.Errorf("reconcile %s on %s: %w", row.Binary, row.Host, err)
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
			if row.ID != seen.ID || touches(open, row.Binary, row.Host, cinder.OpFreeze, cinder.OpThaw, cinder.OpFailover) != nil {
				continue
			}
			if evidence.SomethingLate(open, &row) { // the watch has its own way with it
				continue
			}
			s, err := c.load(ctx, tx, row, open)
			if err != nil {
				return err
			}
			switch {
			case s.DisabledAgain(&row):
				return c.restoreDisable(ctx, tx, s)
			case s.FailedOverAgain(&row):
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
	s.Row.ModifiedAt = tx.Now()
	if err := s.save(ctx, tx); err != nil {
		return err
	}
	outcome := s.Restored(&s.was)
	c.o.Log.WarnContext(ctx, "a disable that others have ended is given back", "binary", s.Row.Binary, "host", s.Row.Host, "outcome", outcome)
	return c.onRecord(ctx, tx, cinder.OpRestoreDisable, s.was, s.Row, outcome)
}

func (c *Control) restoreFailedOver(ctx context.Context, tx Tx, s *service) error {
	if err := s.save(ctx, tx); err != nil {
		return err
	}
	c.o.Log.WarnContext(ctx, "a service that has started wrote that it is not failed over: it is as before",
		"binary", s.Row.Binary, "host", s.Row.Host, "active_backend_id", evidence.Site(s.Row.ActiveBackendID))
	return c.onRecord(ctx, tx, cinder.OpReconcile, s.was, s.Row, "started while a failover was undone: failed over as before")
}
