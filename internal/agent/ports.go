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
	Resources
}

// Resources keeps the rows of what services look after. What is deleted is not
// there. Every method fails with KindUnavailable when the database is away.
type Resources interface {
	// Volumes returns volumes of an owner, by id: at most limit of those after the
	// id. changed leaves out those that no failover of ours has changed.
	Volumes(ctx context.Context, owner cinder.Owner, changed bool, after string, limit int) ([]cinder.Volume, error)
	// SaveVolumes writes those volumes that still are as they were read, all of
	// them or, when it fails, none, and returns the ids of the others. The
	// snapshots of a volume go to error with it, and come back with it.
	SaveVolumes(ctx context.Context, changes []cinder.VolumeChange) (missed []string, err error)
	// Groups returns the groups of an owner, by id.
	Groups(ctx context.Context, owner cinder.Owner) ([]cinder.Group, error)
	// SaveGroups does for groups what SaveVolumes does for volumes.
	SaveGroups(ctx context.Context, changes []cinder.GroupChange) (missed []string, err error)
	// Workers returns the work that a service, by the id of its row, has under way
	// and that r selects.
	Workers(ctx context.Context, service int64, r cinder.CleanupRequest) ([]cinder.Worker, error)
	// EndWork ends work that was interrupted: the resource, where it still is in
	// the work's status, gets another one, or that which its attachments give it
	// when status is "". ok is false when somebody else has the work in hand by now.
	EndWork(ctx context.Context, w cinder.Worker, status string) (ok bool, err error)
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
