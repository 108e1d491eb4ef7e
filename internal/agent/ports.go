package agent

import (
	"context"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// Store keeps the rows of services. Every method fails with KindUnavailable when
// the database is away.
type Store interface {
	// Register finds the row of the service's binary and host and writes into it
	// what a start changes (versions, cluster, zone), or makes a new one. It
	// returns the row.
	Register(ctx context.Context, s cinder.Service) (cinder.Service, error)
	// Beat counts a report of each row and notes the time, nothing else. It
	// returns the ids whose rows are gone.
	Beat(ctx context.Context, ids ...int64) (missing []int64, err error)
	// Update runs fn in one transaction, as control.Store does.
	Update(ctx context.Context, fn func(control.Tx) error) error
}

// Bus carries what services tell one another. Nothing waits for an answer. Every
// method fails with KindUnavailable when the bus is away, and with
// KindUndeliverable when nobody is there to hear.
type Bus interface {
	// UpdateServiceCapabilities tells every scheduler.
	UpdateServiceCapabilities(ctx context.Context, c cinder.Capabilities) error
	// NotifyServiceCapabilities tells one of them.
	NotifyServiceCapabilities(ctx context.Context, c cinder.Capabilities) error
	// PublishServiceCapabilities asks every volume and backup service to tell.
	PublishServiceCapabilities(ctx context.Context) error
	// FailoverCompleted tells every member of a cluster.
	FailoverCompleted(ctx context.Context, cluster string, o cinder.FailoverOutcome) error
	// Cleanup asks a service, or any member of its cluster, to clean up.
	// KindNotSupported when services of that binary do not.
	Cleanup(ctx context.Context, s cinder.Service, r cinder.CleanupRequest) error
}

// Server is what serves a service's commands.
type Server interface {
	// Close takes no more commands and waits for those it has, until ctx ends.
	Close(ctx context.Context) error
}
