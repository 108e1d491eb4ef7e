package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"stoker/internal/cinder"
)

// service is a row inside a transaction, with why it is disabled.
type service struct {
	was    cinder.Service
	row    cinder.Service
	causes []cinder.Cause
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
	causes, err := tx.Causes(ctx, row.Binary, row.Host)
	if err != nil {
		return nil, err
	}
	s := &service{was: row, row: row, causes: causes}
	if op := touches(open, row.Binary, row.Host, cinder.OpFreeze, cinder.OpThaw); op != nil {
		unmark(op, &s.row)
		return s, noteCarriedOut(ctx, tx, op, row)
	}
	watched, err := c.noteLate(ctx, tx, &s.row, open)
	if watched || err != nil {
		return s, err
	}
	failover := touches(open, row.Binary, row.Host, cinder.OpFailover)
	if failover != nil && s.hasEnded(failover) {
		restore(&s.row, failover.Shown.Services)
		s.row.ModifiedAt = tx.Now()
		return s, nil
	}
	s.reconcile()
	dropped := without(causes, s.causes)
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
	finish(&op, tx, cinder.OpDone, outcome)
	return tx.AddOperation(ctx, op)
}

// save writes row and causes.
func (s *service) save(ctx context.Context, tx Tx) error {
	if err := tx.SaveService(ctx, s.was, s.row); err != nil {
		return err
	}
	return s.record(ctx, tx)
}

// record writes the causes; those that are new hold from now on.
func (s *service) record(ctx context.Context, tx Tx) error {
	for i := range s.causes {
		if s.causes[i].Since.IsZero() {
			s.causes[i].Since = tx.Now()
		}
	}
	return tx.SaveCauses(ctx, s.row.Binary, s.row.Host, s.causes)
}

func (s *service) cause(kind cinder.CauseKind) *cinder.Cause {
	if i := slices.IndexFunc(s.causes, func(c cinder.Cause) bool { return c.Kind == kind }); i >= 0 {
		return &s.causes[i]
	}
	return nil
}

func (s *service) has(kind cinder.CauseKind) bool { return s.cause(kind) != nil }

// add records a cause, or renews its reason.
func (s *service) add(c cinder.Cause) {
	if have := s.cause(c.Kind); have != nil {
		have.Reason = c.Reason
		return
	}
	s.causes = append(slices.Clip(s.causes), c)
}

func (s *service) drop(kind cinder.CauseKind) {
	s.causes = slices.DeleteFunc(slices.Clone(s.causes), func(c cinder.Cause) bool { return c.Kind == kind })
}

// ownReason is the row's reason, unless a freeze or failover wrote it.
func (s *service) ownReason() *string {
	r := s.row.DisabledReason
	if r != nil && (s.has(cinder.CauseFrozen) && *r == cinder.ReasonFrozen || s.has(cinder.CauseFailedOver) && *r == cinder.ReasonFailedOver) {
		return nil
	}
	return r
}

// wiped says whether a service has wiped out the administrator's reason: an
// enable by another API leaves it, a thaw and a failback empty it (BEHAVIOUR.md,
// "Freeze, thaw, failover"). So it tells even of a freeze that nobody has seen,
// being thawed at once.
func wiped(admin *cinder.Cause, row *cinder.Service) bool {
	return admin.Reason != nil && *admin.Reason != "" && !serviceWords(admin.Reason) && row.DisabledReason != nil && *row.DisabledReason == ""
}

// wipedFrozen says whether a service has come back from a failover so late, which
// enables it, that it has been frozen since. An enable by another API would have left
// the reason, and a thaw, however late, the site.
func (s *service) wipedFrozen() bool {
	back := s.has(cinder.CauseFailedOver) && !s.away()
	return back && s.enabledFrozen()
}

// wipedByThaw says whether a thaw that was carried out later than it was watched has
// enabled a service that something else disables as well.
func (s *service) wipedByThaw() bool {
	other := s.has(cinder.CauseAdmin) || s.has(cinder.CauseFailedOver) && s.away()
	return other && s.enabledFrozen() && !s.wipedFrozen()
}

// enabledFrozen says whether a service that is on record as frozen has enabled
// itself, and is said to be frozen still.
func (s *service) enabledFrozen() bool {
	r := &s.row
	return !r.Disabled && r.Frozen && s.has(cinder.CauseFrozen) && r.DisabledReason != nil && *r.DisabledReason == ""
}

// given says whether the row has a reason in somebody's words, not a service's.
func (s *service) given() bool {
	r := s.row.DisabledReason
	return r != nil && *r != "" && !serviceWords(r)
}

// serviceWords says whether a reason is one that services write.
func serviceWords(reason *string) bool {
	return reason != nil && (*reason == cinder.ReasonFrozen || *reason == cinder.ReasonFailedOver)
}

// reconcile makes the record agree with a row that others may have written: the
// row wins. Exceptions: a disable by the administrator is given back when a
// freeze that had covered it was thawed by somebody else, and with it the freeze
// when the row is new, the one before it having been removed; a way back does not
// end a freeze, nor a thaw anything else; and a service that starts does not end a
// failover.
func (s *service) reconcile() {
	r := &s.row
	if !r.Disabled {
		admin := s.cause(cinder.CauseAdmin)
		switch {
		case s.renewed():
			r.Frozen = r.Frozen || s.has(cinder.CauseFrozen)
			r.Disabled = true
			s.project()
		case s.wipedFrozen():
			s.drop(cinder.CauseFailedOver)
			s.project()
		case s.wipedByThaw():
			s.drop(cinder.CauseFrozen)
			s.project() // frozen is a cause again as long as the row says so
		case admin == nil || !s.has(cinder.CauseFrozen) && !wiped(admin, r) || r.Frozen:
			s.causes = nil
			return
		default:
			r.Disabled, r.DisabledReason = true, admin.Reason
			s.drop(cinder.CauseFrozen)
		}
	}
	over := s.away()
	reasonIs := func(words string) bool { return r.DisabledReason != nil && *r.DisabledReason == words }
	switch {
	case !r.Frozen:
		s.drop(cinder.CauseFrozen)
	case !s.has(cinder.CauseFrozen):
		s.add(cinder.Cause{Kind: cinder.CauseFrozen, Reason: new(cinder.ReasonFrozen)})
	}
	switch {
	case !over:
		s.drop(cinder.CauseFailedOver)
	case !s.has(cinder.CauseFailedOver) && reasonIs(cinder.ReasonFailedOver):
		s.add(cinder.Cause{Kind: cinder.CauseFailedOver, Reason: new(cinder.ReasonFailedOver)})
	case len(s.causes) == 0 && r.ReplicationStatus == cinder.ReplicationFailoverError:
		// What a service does to itself when its backend fails; the reason is older.
		s.add(cinder.Cause{Kind: cinder.CauseFailedOver, Reason: r.DisabledReason})
	}
	if s.startedLate() {
		r.ReplicationStatus = cinder.ReplicationFailedOver
	}
	// A service's words are nobody's reason, even when they are not true any more: a
	// thaw by another API first ends frozen, and the service its words later.
	// Nor is what a service that failed to fail over has found in its row.
	failed := s.cause(cinder.CauseFailedOver)
	given := s.given() && (failed == nil || !equal(failed.Reason, r.DisabledReason))
	admin := s.cause(cinder.CauseAdmin)
	switch {
	case admin != nil && given:
		admin.Reason = r.DisabledReason // somebody gave another reason
	case admin == nil && (given || len(s.causes) == 0):
		s.add(cinder.Cause{Kind: cinder.CauseAdmin, Reason: r.DisabledReason})
	}
}

// hasEnded says whether a service has written that it is back and enabled, which
// the failover that sent it there does not say of it yet.
func (s *service) hasEnded(failover *cinder.Operation) bool {
	r := &s.row
	return !r.Disabled && r.DisabledReason != nil && *r.DisabledReason == "" && r.ReplicationStatus == cinder.ReplicationEnabled &&
		slices.ContainsFunc(failover.Shown.Services, func(st cinder.ServiceState) bool { return st.ID == r.ID && st.Disabled })
}

// isBack says whether a service that a failover disables is on its primary site
// again, of which it has heard late: nobody has it in hand who would say so.
func (s *service) isBack() bool {
	over := s.cause(cinder.CauseFailedOver)
	return over != nil && serviceWords(over.Reason) && !s.away()
}

// away says whether a failover still disables a service, if it ever did. A member of
// a cluster that starts in the midst of one writes enabled, but leaves the site.
func (s *service) away() bool {
	return isOver(s.row.ReplicationStatus) || at(s.row.ActiveBackendID) != cinder.FailbackTarget
}

// renewed says whether the row was made anew since its service was disabled: it
// is younger than the causes, and nobody has written disabled in it, which sets
// modified_at.
func (s *service) renewed() bool {
	return s.row.ModifiedAt.IsZero() && !s.row.Disabled && slices.ContainsFunc(s.causes, func(c cinder.Cause) bool {
		return c.Kind != cinder.CauseFailedOver && !s.row.CreatedAt.Before(c.Since.Truncate(time.Second))
	})
}

// startedLate says whether the service read failing-over when it started, and has
// written enabled after that failover was undone: it is on record as failed over,
// and where it was. A cluster tells its members.
func (s *service) startedLate() bool {
	r := &s.row
	return r.Disabled && r.Cluster == "" && s.has(cinder.CauseFailedOver) &&
		forgotten(r.ReplicationStatus, cinder.ReplicationFailedOver, r.ActiveBackendID, r.ActiveBackendID)
}

// isOver says whether a service in that state is away, or may be.
func isOver(st cinder.ReplicationStatus) bool {
	return st == cinder.ReplicationFailedOver || st == cinder.ReplicationFailingOver || st == cinder.ReplicationFailoverError
}

// project makes the row say what the causes say, after one of them has ended:
// the reason stays when it belongs to a cause that is left, else it is that of
// the first that is left: frozen, failed-over, administrator (G4). With none
// left the service is enabled and the reason empty, as a thawing service writes it.
func (s *service) project() {
	s.row.Disabled = len(s.causes) > 0
	if !s.row.Disabled {
		s.row.DisabledReason = new("")
		return
	}
	for _, c := range s.causes {
		if equal(c.Reason, s.row.DisabledReason) {
			return
		}
	}
	for _, kind := range []cinder.CauseKind{cinder.CauseFrozen, cinder.CauseFailedOver, cinder.CauseAdmin} {
		if c := s.cause(kind); c != nil {
			s.row.DisabledReason = c.Reason
			return
		}
	}
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

func equal(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }
