package control_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/control"
)

// mortal is the store as a process has it that may die: after so many commits,
// or when it is killed. Then nothing of what it does has any effect.
type mortal struct {
	app.StorePort
	journaled *atomic.Int64 // counts the transactions that wrote to the journal; nil for nobody

	mu     sync.Mutex // guards what follows
	dead   bool
	budget int // commits until it dies; 0 is never
}

var errDead = errors.New("this process is dead")

func (m *mortal) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
}

func (m *mortal) dies() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

func (m *mortal) Update(ctx context.Context, fn func(control.Tx) error) error {
	if m.dies() {
		return errDead
	}
	var tx noting
	err := m.StorePort.Update(ctx, func(inside control.Tx) error {
		tx = noting{Tx: inside}
		return fn(&tx)
	})
	if tx.wrote && m.journaled != nil {
		m.journaled.Add(1)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil && m.budget > 0 {
		if m.budget--; m.budget == 0 {
			m.dead = true
		}
	}
	if m.dead {
		return errDead
	}
	return err
}

// noting is a transaction that notes whether it has written to the journal.
type noting struct {
	control.Tx
	wrote bool
}

func (n *noting) AddOperation(ctx context.Context, op cinder.Operation) error {
	n.wrote = true
	return n.Tx.AddOperation(ctx, op)
}

func (n *noting) SaveOperation(ctx context.Context, was, now cinder.Operation) error {
	n.wrote = true
	return n.Tx.SaveOperation(ctx, was, now)
}

func (n *noting) Prune(ctx context.Context, then time.Time, limit int) (int, error) {
	n.wrote = true
	return n.Tx.Prune(ctx, then, limit)
}

func (m *mortal) View(ctx context.Context, q cinder.ServiceQuery) (*control.View, error) {
	if m.dies() {
		return nil, errDead
	}
	return m.StorePort.View(ctx, q)
}

func (m *mortal) Clusters(ctx context.Context, q cinder.ClusterQuery) (*control.ClusterView, error) {
	if m.dies() {
		return nil, errDead
	}
	return m.StorePort.Clusters(ctx, q)
}

// mortalFleet sends nothing for a process that is dead.
type mortalFleet struct {
	*world
	m *mortal
}

func (f mortalFleet) Freeze(ctx context.Context, s cinder.Service) error {
	if f.m.dies() {
		return errDead
	}
	return f.world.Freeze(ctx, s)
}

func (f mortalFleet) Thaw(ctx context.Context, s cinder.Service) error {
	if f.m.dies() {
		return errDead
	}
	return f.world.Thaw(ctx, s)
}

func (f mortalFleet) Failover(ctx context.Context, s cinder.Service, target *string) error {
	if f.m.dies() {
		return errDead
	}
	return f.world.Failover(ctx, s, target)
}

func (f mortalFleet) FailoverCompleted(ctx context.Context, cluster string, o cinder.FailoverOutcome) error {
	if f.m.dies() {
		return errDead
	}
	return f.world.FailoverCompleted(ctx, cluster, o)
}
