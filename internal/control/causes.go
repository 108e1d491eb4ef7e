package control

import (
	"context"
	"slices"
	"strings"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
	"stoker/internal/control/lifecycle"
)

// service is a row inside a transaction, with why it is disabled.
type service struct {
	was cinder.Service // as it was read
	evidence.Record
}

// recorded reads what is on record for a row.
func recorded(ctx context.Context, tx Tx, row cinder.Service) (*service, error) {
	causes, err := tx.Causes(ctx, row.Binary, row.Host)
	return &service{was: row, Record: evidence.Record{Row: row, Causes: causes}}, err
}

// load takes a row into a change: its recorded causes, made to agree with what
// the row says (G4). While one of our own freezes or thaws is open the row is
// half-way: then the record is taken as it is, and whether the row shows that the
// command was carried out is noted, as the change may wipe that out. What a hung
// process has carried out late is no change from elsewhere: the row is taken as it
// was, and the watched operation knows that there is something to undo. On its way
// back a service ends more causes than its own: until that is settled, the row is
// as lists show it.
func (c *Control) load(ctx context.Context, tx Tx, row cinder.Service, open []cinder.Operation) (*service, error) {
	s, err := recorded(ctx, tx, row)
	if err != nil {
		return nil, err
	}
	if op := touches(open, row.Binary, row.Host, cinder.OpFreeze, cinder.OpThaw); op != nil {
		evidence.ClearSentinel(op, &s.Row)
		return s, noteCarriedOut(ctx, tx, op, row)
	}
	watched, err := c.noteLate(ctx, tx, &s.Row, open)
	if watched || err != nil {
		return s, err
	}
	failover := touches(open, row.Binary, row.Host, cinder.OpFailover)
	if failover != nil && evidence.FailbackEnabled(failover, &s.Row) {
		restore(&s.Row, failover.Shown.Services)
		s.Row.ModifiedAt = tx.Now()
		return s, nil
	}
	before := s.Causes
	s.Reconcile()
	dropped := without(before, s.Causes)
	if failover != nil { // of ours, and a way back ends that cause
		dropped = slices.DeleteFunc(dropped, func(kind string) bool { return kind == string(cinder.CauseFailedOver) })
	}
	if len(dropped) > 0 {
		return s, c.recordDropped(ctx, tx, row, dropped)
	}
	return s, nil
}

// recordDropped puts on record that a row, which others have changed, contradicts
// causes. Nobody knows who it was: not whoever has asked for the change at hand.
func (c *Control) recordDropped(ctx context.Context, tx Tx, row cinder.Service, dropped []string) error {
	c.o.Log.InfoContext(ctx, "row was changed from elsewhere: causes that contradict it are dropped", "binary", row.Binary, "host", row.Host, "dropped", dropped)
	return c.onRecord(ctx, tx, cinder.OpReconcile, row, row, "changed from elsewhere: not disabled any more as "+strings.Join(dropped, ", "))
}

// onRecord adds an operation that nobody has asked for, and that has ended.
func (c *Control) onRecord(ctx context.Context, tx Tx, kind cinder.OperationKind, was, now cinder.Service, outcome string) error {
	op := c.operation(ctx, tx, c.newID(), kind)
	op.Caller = cinder.Caller{}
	op.Binary, op.Host = was.Binary, was.Host
	op.Before.Services, op.After.Services = []cinder.ServiceState{was.State()}, []cinder.ServiceState{now.State()}
	ended(&op, tx, lifecycle.Done, outcome)
	return tx.AddOperation(ctx, op)
}

// save writes row and causes.
func (s *service) save(ctx context.Context, tx Tx) error {
	if err := tx.SaveService(ctx, s.was, s.Row); err != nil {
		return err
	}
	return s.record(ctx, tx)
}

// record writes the causes; those that are new hold from now on.
func (s *service) record(ctx context.Context, tx Tx) error {
	for i := range s.Causes {
		if s.Causes[i].Since.IsZero() {
			s.Causes[i].Since = tx.Now()
		}
	}
	return tx.SaveCauses(ctx, s.Row.Binary, s.Row.Host, s.Causes)
}

// without lists the kinds of cause that were recorded and are no more.
func without(before, after []cinder.Cause) []string {
	var gone []string
	for _, c := range before {
		if !slices.ContainsFunc(after, func(a cinder.Cause) bool { return a.Kind == c.Kind }) {
			gone = append(gone, string(c.Kind))
		}
	}
	return gone
}

// touches finds an open operation of one of the kinds that has the service in
// hand. What is only watched has nothing in hand.
func touches(open []cinder.Operation, binary, host string, kinds ...cinder.OperationKind) *cinder.Operation {
	for i := range open {
		if open[i].State == cinder.OpOpen && slices.Contains(kinds, open[i].Kind) && open[i].Touches(binary, host) {
			return &open[i]
		}
	}
	return nil
}
