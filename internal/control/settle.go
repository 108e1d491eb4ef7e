package control

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
	"stoker/internal/control/lifecycle"
	"stoker/internal/failpoint"
)

// settlement is an operation inside the transaction that may bring it to another
// phase. What finds out the facts may set who, command, site and so on, which the
// transition's effects and words need.
type settlement struct {
	tx   Tx
	was  cinder.Operation   // as it was read
	op   cinder.Operation   // as it is to be saved
	rows target             // the rows it touches, as they are now
	open []cinder.Operation // the others that are not final

	failed  error                // why the command failed
	hosts   []string             // whose rows show what was carried out late
	command cinder.OperationKind // what undoes it
	status  cinder.ReplicationStatus
	site    string
	by      string // the operation that supersedes it

	shown []cinder.ServiceState   // what lists are to show while it is undone
	tell  *cinder.FailoverOutcome // what members are to be told once this is committed
}

// sameRow says which row stands for one that an operation touched.
type sameRow func(cinder.ServiceState, cinder.Service) bool

// byID leaves out rows that were removed; byHost takes those that were made anew for
// the ones before them.
func byID(st cinder.ServiceState, s cinder.Service) bool   { return st.ID == s.ID }
func byHost(st cinder.ServiceState, s cinder.Service) bool { return st.Host == s.Host }

// settle is the one way from phase to phase. In one transaction it reads the
// operation and its rows, has look find out the facts, looks up what follows from
// them, and does it. It returns what was done; the transition is empty when nothing
// was. Fails with errSettled when the operation is not as it was last seen.
func (c *Control) settle(ctx context.Context, op cinder.Operation, same sameRow, look func(*settlement) lifecycle.Facts) (*settlement, lifecycle.Transition, error) {
	var s *settlement
	var done lifecycle.Transition
	err := c.update(ctx, func(tx Tx) error {
		var err error
		done = lifecycle.Transition{}
		if s, err = begin(ctx, tx, op, same); err != nil {
			return err
		}
		done, err = c.step(ctx, s, look(s))
		return err
	})
	return s, done, err
}

func begin(ctx context.Context, tx Tx, op cinder.Operation, same sameRow) (*settlement, error) {
	was, open, err := current(ctx, tx, op)
	if err != nil {
		return nil, err
	}
	rows, err := rowsOf(ctx, tx, was, same)
	return &settlement{tx: tx, was: was, op: was, rows: rows, open: open}, err
}

// step brings the operation to the phase that follows from the facts.
func (c *Control) step(ctx context.Context, s *settlement, facts lifecycle.Facts) (lifecycle.Transition, error) {
	t, found := lifecycle.Step(s.op.Kind, lifecycle.Of(&s.op), facts)
	if !found || t.To == "" && len(t.Effects) == 0 && (t.Says == "" || t.Says == s.op.Outcome) {
		return t, nil
	}
	for _, e := range t.Effects {
		if err := c.effect(ctx, s, e); err != nil {
			return t, err
		}
	}
	s.enter(t)
	return t, s.tx.SaveOperation(ctx, s.was, s.op)
}

// enter writes the phase and the outcome.
func (s *settlement) enter(t lifecycle.Transition) {
	if more, adds := strings.CutPrefix(t.Says, ";"); adds {
		s.op.Outcome = s.was.Outcome + ";" + s.words(more)
	} else if t.Says != "" {
		s.op.Outcome = s.words(t.Says)
	}
	if t.To == "" {
		return
	}
	from := lifecycle.Of(&s.was)
	s.op.State = t.To.State()
	s.op.Progress.Undoing = t.To == lifecycle.Compensating
	if t.To.Final() || t.To == lifecycle.Monitoring && from != lifecycle.Compensating {
		s.op.SettledAt = s.tx.Now()
	}
}

// words fills in the words of a transition.
func (s *settlement) words(text string) string {
	failed := ""
	if s.failed != nil {
		failed = words(s.failed)
	}
	return strings.NewReplacer(
		"{error}", failed, "{hosts}", strings.Join(s.hosts, ", "), "{command}", string(s.command), "{attempts}", strconv.Itoa(s.op.Progress.Attempts),
		"{status}", string(s.status), "{site}", s.site, "{by}", s.by,
	).Replace(text)
}

// effect carries out one effect.
func (c *Control) effect(ctx context.Context, s *settlement, e lifecycle.Effect) (err error) {
	op, progress, now := &s.op, &s.op.Progress, s.tx.Now()
	switch e {
	case lifecycle.ApplyCommand:
		err = s.applyFrozen(ctx, true)
	case lifecycle.RestoreRows:
		err = s.applyFrozen(ctx, false)
	case lifecycle.ShowRows:
		err = s.showRows(ctx)
	case lifecycle.SuspectHidden:
		progress.Late = suspects(*op, evidence.HiddenByFailover(op, s.rows.members))
	case lifecycle.SuspectShowing:
		progress.Late = suspects(*op, evidence.Showing(op, s.rows.members))
	case lifecycle.SuspectMonitored:
		err = suspect(ctx, s.tx, s.rows.members, s.open)
	case lifecycle.Reopen:
		op.Shown.Services, progress.Late = s.shown, s.hosts
		op.Owner, op.LeaseUntil, op.Deadline = c.o.Owner, now.Add(c.o.Lease), now.Add(c.o.ResponseTimeout)
	case lifecycle.Retry:
		progress.Attempts++
		progress.LastError = words(s.failed)
		progress.NextLook = now.Add(backoff(progress.Attempts))
	case lifecycle.Monitor:
		op.Owner = c.o.Owner // an abort need not come to the process that has it
		op.Progress = cinder.Progress{Warning: progress.Warning, Late: progress.Late, WatchUntil: now.Add(c.o.Watch)}
	case lifecycle.RestoreStatus:
		err = restoreStatus(ctx, s.tx, *op, &s.rows)
		op.After = s.rows.before()
	case lifecycle.SettleStatus:
		if s.rows.cluster != nil {
			err = correct(ctx, s.tx, s.rows.cluster)
		} else {
			err = restoreStatus(ctx, s.tx, *op, &s.rows)
		}
	case lifecycle.FollowRows:
		err = c.applyFailover(ctx, s.tx, &s.rows, s.open)
		op.After = s.rows.before()
	case lifecycle.DisableMissed:
		err = disableMissed(ctx, s.tx, s.was, &s.rows)
	case lifecycle.GiveGrace:
		progress.WatchUntil = now.Add(grace)
	case lifecycle.TellMembers:
		progress.Attempts++
		progress.NextLook = now.Add(backoff(progress.Attempts))
		o := evidence.ClusterOutcome(s.rows.cluster)
		s.tell = &o
	}
	return err
}

// answer is what is known of a command by what became of sending it. Any failure but
// a timeout says that it was not carried out.
func answer(failed error) lifecycle.Facts {
	switch {
	case failed == nil:
		return lifecycle.Answered
	case cinder.KindOf(failed) == cinder.KindTimeout:
		return lifecycle.NoReply
	default:
		return lifecycle.Refused
	}
}

// ending is what rows say of a failover that is over.
func (s *settlement) ending() lifecycle.Facts {
	var o evidence.Outcome
	o, s.status, s.site = evidence.OutcomeOf(&s.was, s.rows.cluster, s.rows.members)
	switch o {
	case evidence.Arrived:
		return lifecycle.Arrived
	case evidence.Failed:
		return lifecycle.FailoverFailed
	case evidence.Stayed:
		return lifecycle.Stayed
	case evidence.Removed:
		return lifecycle.Removed
	default:
		return lifecycle.Replaced
	}
}

// ended makes an operation one that has ended as it is recorded.
func ended(op *cinder.Operation, tx Tx, as lifecycle.Phase, outcome string) {
	op.State, op.Outcome, op.SettledAt = as.State(), outcome, tx.Now()
}

// supersede ends the monitoring of earlier failovers of what is failed over anew:
// their effects cannot be told from its own.
func (c *Control) supersede(ctx context.Context, tx Tx, t target, open []cinder.Operation, by cinder.Operation) error {
	for _, op := range open {
		if op.State != cinder.OpMonitoring || op.Kind != cinder.OpFailover ||
			!slices.ContainsFunc(t.members, func(s cinder.Service) bool { return op.Touches(s.Binary, s.Host) }) {
			continue
		}
		if _, err := c.step(ctx, &settlement{tx: tx, was: op, op: op, by: by.ID}, lifecycle.Superseded); err != nil {
			return err
		}
	}
	return nil
}

// applyFrozen writes how a freeze or thaw ended into rows and causes.
func (s *settlement) applyFrozen(ctx context.Context, done bool) error {
	op, frozen := &s.op, (s.op.Kind == cinder.OpFreeze) == done
	if done {
		if err := unnoteLate(ctx, s.tx, s.rows, s.open); err != nil {
			return err
		}
		if err := suspectOf(ctx, s.tx, opposite(op.Kind), evidence.SentinelOverwritten(op.Kind, s.rows.members), s.open); err != nil {
			return err
		}
	}
	for i, row := range s.rows.members {
		r, err := recorded(ctx, s.tx, row)
		if err != nil {
			return err
		}
		r.Row.Frozen = frozen
		switch {
		case !done:
			restore(&r.Row, op.Shown.Services)
		case frozen:
			r.Add(cinder.Cause{Kind: cinder.CauseFrozen, Reason: new(cinder.ReasonFrozen)})
			r.Row.Disabled, r.Row.DisabledReason = true, new(cinder.ReasonFrozen)
		default:
			r.Drop(cinder.CauseFrozen)
			r.Project()
		}
		failingOver := touches(s.open, row.Binary, row.Host, cinder.OpFailover) != nil
		if evidence.FailedOverDuring(op, &r.Row, failingOver) {
			r.DisableForFailover()
		}
		if r.BackOnPrimary() && !failingOver {
			r.Drop(cinder.CauseFailedOver)
			r.Project()
		}
		if err := s.put(ctx, i, r); err != nil {
			return err
		}
		if err := tell(ctx, s.tx, s.open, r.Row.State()); err != nil {
			return err
		}
	}
	if s.rows.cluster != nil {
		now := *s.rows.cluster
		now.Frozen = frozen
		if err := s.tx.SaveCluster(ctx, *s.rows.cluster, now); err != nil {
			return err
		}
		s.rows.cluster = &now
	}
	op.After = s.rows.before()
	return nil
}

// showRows writes into the rows what the operation has shown of them.
func (s *settlement) showRows(ctx context.Context) error {
	for i, row := range s.rows.members {
		r, err := recorded(ctx, s.tx, row)
		if err != nil {
			return err
		}
		for _, st := range s.was.Shown.Services {
			if st.Binary == row.Binary && st.Host == row.Host {
				r.Row.Disabled, r.Row.DisabledReason = st.Disabled, st.DisabledReason
			}
		}
		if evidence.FailedOverDuring(&s.was, &r.Row, touches(s.open, row.Binary, row.Host, cinder.OpFailover) != nil) {
			r.DisableForFailover()
		}
		if err := s.put(ctx, i, r); err != nil {
			return err
		}
	}
	s.op.After = s.rows.before()
	return unnoteLate(ctx, s.tx, s.rows, s.open)
}

// put saves a member's row and causes.
func (s *settlement) put(ctx context.Context, i int, r *service) error {
	if evidence.Changed(&r.was, &r.Row) {
		r.Row.ModifiedAt = s.tx.Now()
	}
	if err := r.save(ctx, s.tx); err != nil {
		return err
	}
	s.rows.members[i] = r.Row
	failpoint.Settling.Here()
	return nil
}
