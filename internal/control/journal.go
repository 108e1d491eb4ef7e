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

// current reads, inside a transaction, an operation that is still in the state
// and with the owner that it was last seen with, and the others that are not final;
// errSettled when it is not.
func current(ctx context.Context, tx Tx, op cinder.Operation) (cinder.Operation, []cinder.Operation, error) {
	open, err := tx.OpenOperations(ctx)
	if err != nil {
		return op, nil, err
	}
	i := slices.IndexFunc(open, func(o cinder.Operation) bool {
		return o.ID == op.ID && o.Owner == op.Owner && o.State == op.State
	})
	if i < 0 {
		return op, nil, errSettled
	}
	return open[i], slices.Delete(slices.Clone(open), i, i+1), nil
}

// rowsOf reads the rows that an operation touches.
func rowsOf(ctx context.Context, tx Tx, op cinder.Operation, same sameRow) (target, error) {
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
