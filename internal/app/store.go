package app

import (
	"context"
	"log/slog"

	"stoker/internal/cinder"
	"stoker/internal/config"
	"stoker/internal/control"
	"stoker/internal/dsn"
	"stoker/internal/store"
)

// openStore opens the database and makes sure that it has its tables.
func (a *App) openStore(ctx context.Context) error {
	db, err := a.waitForStore(ctx)
	if err != nil {
		return err
	}
	a.db = db
	a.onStop("database", func(context.Context) error { return db.Close() })
	if a.o.Sync {
		if _, err := db.Sync(ctx); err != nil {
			return err
		}
	}
	return db.Ready(ctx)
}

// waitForStore opens the database. A server that is away is waited for, as
// [database] max_retries and retry_interval say.
func (a *App) waitForStore(ctx context.Context) (*store.DB, error) {
	c := a.o.Config
	retries := c.Pool.Retries
	if d, err := dsn.ParseDatabase(string(c.Database)); err == nil && d.Engine == dsn.SQLite {
		retries = 0 // a file does not come by itself
	}
	for tries := 0; ; tries++ {
		db, err := store.Open(ctx, StoreOptions(c, a.loggers.Logger("stoker.store")))
		if cinder.KindOf(err) != cinder.KindUnavailable || retries >= 0 && tries >= retries {
			return db, err
		}
		a.log.WarnContext(ctx, "the database is away", "error", err, "next_try_in", c.Pool.RetryInterval)
		if !pause(ctx, c.Pool.RetryInterval) {
			return nil, err
		}
	}
}

// StoreOptions are those of the database that c names.
func StoreOptions(c config.Config, log *slog.Logger) store.Options {
	p := c.Pool
	return store.Options{
		URL:  string(c.Database),
		Pool: store.Pool{Size: p.Size, Overflow: p.Overflow, Recycle: p.Recycle, Timeout: p.Timeout, WsrepSyncWait: p.WsrepSyncWait},
		Log:  log,
	}
}

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

// Read implements control.Store.
func (s StorePort) Read(ctx context.Context, fn func(control.Tx) error) error {
	return s.DB.Read(ctx, func(tx *store.Tx) error { return fn(tx) })
}

// Update implements control.Store.
func (s StorePort) Update(ctx context.Context, fn func(control.Tx) error) error {
	return s.DB.Update(ctx, func(tx *store.Tx) error { return fn(tx) })
}
