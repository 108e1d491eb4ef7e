package app

import (
	"context"

	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/store"
)

// Store makes a database the Store that control and the agents ask for. The two
// differ only in the names of their types: neither package knows the other.
func Store(db *store.DB) StorePort { return StorePort{db} }

// StorePort is a database as control.Store and agent.Store.
type StorePort struct{ *store.DB }

// View implements control.Store.
func (s StorePort) View(ctx context.Context, q cinder.ServiceQuery) (*control.View, error) {
	v, err := s.DB.View(ctx, q)
	return (*control.View)(v), err
}

// Clusters implements control.Store.
func (s StorePort) Clusters(ctx context.Context, q cinder.ClusterQuery) (*control.ClusterView, error) {
	v, err := s.DB.Clusters(ctx, q)
	return (*control.ClusterView)(v), err
}

// Update implements control.Store.
func (s StorePort) Update(ctx context.Context, fn func(control.Tx) error) error {
	return s.DB.Update(ctx, func(tx *store.Tx) error { return fn(tx) })
}
