package control

import (
	"context"
	"errors"
	"slices"
	"sync"

	"stoker/internal/cinder"
)

// errSettled says that somebody else ended the operation first.
var errSettled = errors.New("the operation is not open any more, or another process has it")

// errNotYet says that it is too early to say how an operation ends.
var errNotYet = errors.New("the outcome is not known yet")

// current reads, inside a transaction, an operation that is still in the state
// and with the owner that it was last seen with; errSettled when it is not.
func current(ctx context.Context, tx Tx, op cinder.Operation) (cinder.Operation, error) {
	open, err := tx.OpenOperations(ctx)
	if err != nil {
		return op, err
	}
	i := slices.IndexFunc(open, func(o cinder.Operation) bool {
		return o.ID == op.ID && o.Owner == op.Owner && o.State == op.State
	})
	if i < 0 {
		return op, errSettled
	}
	return open[i], nil
}

// reopen reads, inside a transaction, an open operation that is ours and the
// rows it touches as they are now. Rows that were removed meanwhile are left out.
func (c *Control) reopen(ctx context.Context, tx Tx, op cinder.Operation) (cinder.Operation, target, error) {
	op, err := current(ctx, tx, op)
	if err != nil {
		return op, target{}, err
	}
	t, err := rowsOf(ctx, tx, op, func(st cinder.ServiceState, s cinder.Service) bool { return st.ID == s.ID })
	return op, t, err
}

// resume is reopen for what outlives rows: those that were made anew stand for
// the ones before them. It returns all that is open and watched, too.
func (c *Control) resume(ctx context.Context, tx Tx, op cinder.Operation) (cinder.Operation, target, []cinder.Operation, error) {
	op, err := current(ctx, tx, op)
	if err != nil {
		return op, target{}, nil, err
	}
	t, err := rowsOf(ctx, tx, op, func(st cinder.ServiceState, s cinder.Service) bool { return st.Host == s.Host })
	if err != nil {
		return op, t, nil, err
	}
	open, err := tx.OpenOperations(ctx)
	return op, t, open, err
}

// rowsOf reads the rows that an operation touches.
func rowsOf(ctx context.Context, tx Tx, op cinder.Operation, same func(cinder.ServiceState, cinder.Service) bool) (target, error) {
	var t target
	for _, st := range op.Before.Services {
		rows, err := tx.Services(ctx, cinder.ServiceQuery{Binary: &st.Binary, Host: &st.Host})
		if err != nil {
			return target{}, err
		}
		if j := slices.IndexFunc(rows, func(s cinder.Service) bool { return same(st, s) }); j >= 0 {
			t.members = append(t.members, rows[j])
		}
	}
	for _, st := range op.Before.Clusters {
		cl, err := tx.Cluster(ctx, st.Name, st.Binary)
		if cinder.KindOf(err) == cinder.KindNotFound {
			continue
		}
		if err != nil {
			return target{}, err
		}
		t.cluster = &cl
	}
	return t, nil
}

// words is an error as the journal tells it: what may be told to everybody. The
// whole of it is in the log.
func words(err error) string {
	if said := cinder.Message(err); said != "" {
		return said
	}
	return cinder.KindOf(err).String() + " error"
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
