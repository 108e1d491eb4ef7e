package control

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"stoker/internal/cinder"
)

// errSettled says that somebody else ended the operation first.
var errSettled = errors.New("the operation is not open any more, or another process has it")

// reopen reads, inside a transaction, an open operation that is ours and the
// rows it touches as they are now. Rows that were removed meanwhile are left out.
func (c *Control) reopen(ctx context.Context, tx Tx, op cinder.Operation) (cinder.Operation, target, error) {
	open, err := tx.OpenOperations(ctx)
	if err != nil {
		return op, target{}, err
	}
	i := slices.IndexFunc(open, func(o cinder.Operation) bool { return o.ID == op.ID && o.Owner == op.Owner })
	if i < 0 {
		return op, target{}, errSettled
	}
	op = open[i]
	var t target
	for _, st := range op.Before.Services {
		rows, err := tx.Services(ctx, cinder.ServiceQuery{Binary: &st.Binary, Host: &st.Host})
		if err != nil {
			return op, target{}, err
		}
		if j := slices.IndexFunc(rows, func(s cinder.Service) bool { return s.ID == st.ID }); j >= 0 {
			t.members = append(t.members, rows[j])
		}
	}
	for _, st := range op.Before.Clusters {
		cl, err := tx.Cluster(ctx, st.Name, st.Binary)
		if cinder.KindOf(err) == cinder.KindNotFound {
			continue
		}
		if err != nil {
			return op, target{}, err
		}
		t.cluster = &cl
	}
	return op, t, nil
}

// The pace at which Run looks at open operations: at once after a failover was
// sent, then slower and slower.
const (
	paceFirst = 20 * time.Millisecond
	paceIdle  = 2 * time.Second
)

// Run settles operations whose outcome shows in the rows (failovers), takes over
// those whose owner stopped renewing its lease, and gives an administrator's
// disable back that somebody else's thaw has ended. It returns when ctx ends.
func (c *Control) Run(ctx context.Context) {
	pace := paceFirst
	timer := time.NewTimer(0)
	defer timer.Stop()
	blind := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
			pace = paceFirst
		case <-timer.C:
		}
		err := c.recover(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !blind:
			c.o.Log.WarnContext(ctx, "open operations cannot be looked at: trying again until they can", "error", err)
		case err == nil && blind:
			c.o.Log.InfoContext(ctx, "open operations can be looked at again")
		}
		blind = err != nil
		timer.Reset(pace)
		pace = min(2*pace, paceIdle)
	}
}

// recover looks once at every open operation.
func (c *Control) recover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	var open []cinder.Operation
	var covered map[cinder.ServiceName]bool
	var now time.Time
	err := c.o.Store.Update(ctx, func(tx Tx) (err error) {
		now = tx.Now()
		if open, err = tx.OpenOperations(ctx); err != nil {
			return err
		}
		covered, err = tx.DisabledByAdmin(ctx)
		return err
	})
	if err != nil {
		return err
	}
	errs := []error{c.giveBack(ctx, covered)}
	for _, op := range open {
		if op.Owner != c.o.Owner || op.LeaseUntil.Before(now.Add(c.o.Lease/2)) {
			mine, err := c.take(ctx, op)
			if errors.Is(err, errSettled) {
				continue
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			op = mine
		}
		if err := c.lookAt(ctx, op, now); err != nil && !errors.Is(err, errSettled) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// take makes an operation ours whose lease has run out, or renews our own.
func (c *Control) take(ctx context.Context, op cinder.Operation) (cinder.Operation, error) {
	mine := op
	err := c.o.Store.Update(ctx, func(tx Tx) error {
		// Read anew: what was acknowledged meanwhile may have changed what it shows.
		open, err := tx.OpenOperations(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(open, func(o cinder.Operation) bool { return o.ID == op.ID && o.Owner == op.Owner })
		if i < 0 || op.Owner != c.o.Owner && !open[i].LeaseUntil.Before(tx.Now()) {
			return errSettled
		}
		mine = open[i]
		mine.Owner, mine.LeaseUntil = c.o.Owner, tx.Now().Add(c.o.Lease)
		return tx.SaveOperation(ctx, mine, op.Owner)
	})
	if cinder.KindOf(err) == cinder.KindConflict {
		return op, errSettled
	}
	if err == nil && op.Owner != c.o.Owner {
		c.o.Log.WarnContext(ctx, "operation taken over from a process that stopped renewing it", "operation", op.ID, "kind", op.Kind, "from", op.Owner)
	}
	return mine, err
}

// lookAt settles an operation of ours when its outcome is known. A freeze or thaw
// whose request is gone may still be carried out until its deadline.
func (c *Control) lookAt(ctx context.Context, op cinder.Operation, now time.Time) error {
	switch op.Kind {
	case cinder.OpFailover:
		return c.settleFailover(ctx, op)
	case cinder.OpFreeze, cinder.OpThaw:
		if c.waiting.has(op.ID) || now.Before(op.Deadline) {
			return nil
		}
		_, _, err := c.settleFrozen(ctx, op, cinder.Errorf(cinder.KindTimeout, "no answer is known"))
		return err
	default:
		return nil
	}
}

// ids is a set of operations that requests of this process wait for.
type ids struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (s *ids) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	s.ids[id] = true
}

func (s *ids) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, id)
}

func (s *ids) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[id]
}
