package agent

import (
	"context"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// Store holds the rows of services. Every method fails with KindUnavailable when the
// database is away.
type Store interface {
	// Register finds the row for the service's binary and host and updates what a start
	// changes (versions, cluster, zone), or creates it. It returns the row.
	Register(ctx context.Context, s cinder.Service) (cinder.Service, error)
	// Beat writes a heartbeat to each row, nothing else. It returns the ids whose rows
	// are gone.
	Beat(ctx context.Context, ids ...int64) (missing []int64, err error)
	// Update runs fn in one transaction, like control.Store.
	Update(ctx context.Context, fn func(control.Tx) error) error
	Resources
}

// Resources holds the rows of what services manage. Deleted rows do not exist for it.
// Every method fails with KindUnavailable when the database is away.
type Resources interface {
	// Volumes returns a page of an owner's volumes, by id: at most limit of those with
	// ids after after. changed selects only volumes that a failover has changed.
	Volumes(ctx context.Context, owner cinder.Owner, changed bool, after string, limit int) ([]cinder.Volume, error)
	// SaveVolumes writes the volumes whose rows still match Was: all of them or, on
	// error, none. It returns the ids that it skipped. The snapshots of a volume go to
	// error with it, and come back with it.
	SaveVolumes(ctx context.Context, changes []cinder.VolumeChange) (missed []string, err error)
	// Groups returns the groups of an owner, by id.
	Groups(ctx context.Context, owner cinder.Owner) ([]cinder.Group, error)
	// SaveGroups is SaveVolumes for groups.
	SaveGroups(ctx context.Context, changes []cinder.GroupChange) (missed []string, err error)
	// Workers returns the unfinished work that r selects, of the service whose row has
	// this id.
	Workers(ctx context.Context, service int64, r cinder.CleanupRequest) ([]cinder.Worker, error)
	// EndWork removes the entry of interrupted work. If the resource still has the
	// status of that work, it gets status or, when that is "", the status that its
	// attachments imply. ok is false when somebody else has taken over the work.
	EndWork(ctx context.Context, w cinder.Worker, status string) (ok bool, err error)
}

// Bus carries messages between services. No method waits for an answer. Every method
// fails with KindUnavailable when the bus is away, and with KindUndeliverable when
// nobody listens.
type Bus interface {
	// UpdateServiceCapabilities sends capabilities to every scheduler.
	UpdateServiceCapabilities(ctx context.Context, c cinder.Capabilities) error
	// NotifyServiceCapabilities sends capabilities to one scheduler.
	NotifyServiceCapabilities(ctx context.Context, c cinder.Capabilities) error
	// PublishServiceCapabilities asks every volume and backup service to publish its
	// capabilities.
	PublishServiceCapabilities(ctx context.Context) error
	// FailoverCompleted sends the outcome to every member of a cluster.
	FailoverCompleted(ctx context.Context, cluster string, o cinder.FailoverOutcome) error
	// Cleanup asks a service, or any member of its cluster, to clean up.
	// KindNotSupported when services of that binary cannot.
	Cleanup(ctx context.Context, s cinder.Service, r cinder.CleanupRequest) error
}

// Server serves a service's commands.
type Server interface {
	// Close accepts no more commands and waits for running ones until ctx ends.
	Close(ctx context.Context) error
}
