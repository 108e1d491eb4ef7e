package control

import (
	"context"
	"time"

	"stoker/internal/cinder"
)

// Store keeps services, clusters, causes and the journal.
type Store interface {
	Reader
	Past
	// Update runs fn in one transaction: all of its writes happen or none.
	// fn may be run more than once. Fails with fn's error, or KindUnavailable.
	Update(ctx context.Context, fn func(Tx) error) error
}

// Reader reads what is, without keeping any change waiting.
type Reader interface {
	// View reads the services that q selects and the operations that are open,
	// in one snapshot that shows every change acknowledged before the call.
	// The result is shared and must not be written to. Fails with KindUnavailable.
	View(ctx context.Context, q cinder.ServiceQuery) (*View, error)
	// Clusters reads clusters that are not deleted, by name and binary only, the
	// services that belong to any cluster, and the operations that are open, in
	// one such snapshot.
	Clusters(ctx context.Context, q cinder.ClusterQuery) (*ClusterView, error)
	// Read runs fn in one transaction that keeps no change waiting and shows every
	// change acknowledged before the call; what fn writes fails. Fails with fn's
	// error, or KindUnavailable.
	Read(ctx context.Context, fn func(Tx) error) error
	// AllCauses returns why services are disabled, as we recorded it: every service,
	// and every cluster by its name, that has a cause. Fails with KindUnavailable.
	AllCauses(ctx context.Context) (map[cinder.ServiceName][]cinder.Cause, error)
}

// Past reads what was recorded, without keeping any change waiting.
type Past interface {
	// Operations reads those of the journal that q selects, the newest first.
	// KindNotFound when q's marker is no operation.
	Operations(ctx context.Context, q cinder.OperationQuery) ([]cinder.Operation, error)
	// OperationPage reads as many of them as it finds in one look.
	OperationPage(ctx context.Context, q cinder.OperationQuery) (cinder.OperationPage, error)
	// Operation reads one; KindNotFound when there is none of that id.
	Operation(ctx context.Context, id string) (cinder.Operation, error)
	// KeysFull says until when the caller can leave no more keys: as long as so many
	// kept requests are his. The zero time means that there is room.
	KeysFull(ctx context.Context, caller string, most int) (time.Time, error)
}

// View is one consistent look at the services.
type View struct {
	Services []cinder.Service   // by id
	Open     []cinder.Operation // open and watched
	Now      time.Time          // the clock that heartbeats are compared with
}

// ClusterView is one consistent look at the clusters.
type ClusterView struct {
	Clusters []cinder.Cluster // by id; what is computed from the members is zero
	Members  []cinder.Service // of any cluster, by id
	Open     []cinder.Operation
	Now      time.Time // the clock that heartbeats are compared with
}

// Tx is the inside of one transaction. What it reads stays as read until the
// transaction ends.
type Tx interface {
	Rows
	Journal
	Requests
	// Now is the time of the transaction, UTC, in whole seconds.
	Now() time.Time
	// HostNow is the clock that heartbeats are compared with, as View.Now is.
	HostNow() time.Time
}

// Rows are the services and clusters, and why services are disabled.
type Rows interface {
	// Services returns the services that q selects, by id.
	Services(ctx context.Context, q cinder.ServiceQuery) ([]cinder.Service, error)
	// Cluster returns the cluster of that name or, without one, the first of
	// those on its backends; KindNotFound when there is none.
	Cluster(ctx context.Context, name, binary string) (cinder.Cluster, error)
	// SaveService writes the columns in which now differs from was, provided the
	// row still is as was says in them; KindConflict when it is not.
	SaveService(ctx context.Context, was, now cinder.Service) error
	// SaveCluster does the same for a cluster.
	SaveCluster(ctx context.Context, was, now cinder.Cluster) error
	// Causes returns why the service is disabled, as we recorded it.
	Causes(ctx context.Context, binary, host string) ([]cinder.Cause, error)
	// SaveCauses replaces what we recorded.
	SaveCauses(ctx context.Context, binary, host string, causes []cinder.Cause) error
}

// Journal is the record of operations.
type Journal interface {
	// AddOperation records a new operation.
	AddOperation(ctx context.Context, op cinder.Operation) error
	// OpenOperations returns the operations that are open or watched.
	OpenOperations(ctx context.Context) ([]cinder.Operation, error)
	// SaveOperation writes now over the entry, provided that its state, which must
	// not be final, and its owner are still as was says; KindConflict when not so.
	SaveOperation(ctx context.Context, was, now cinder.Operation) error
	// Prune removes up to limit operations that started before then and are
	// neither open nor watched, and says how many it has removed.
	Prune(ctx context.Context, then time.Time, limit int) (int, error)
}

// Requests are those that are kept for senders who may send them again.
type Requests interface {
	// Request returns what is kept under that id; KindNotFound when nothing is.
	Request(ctx context.Context, id string) (cinder.KeptRequest, error)
	// KeepRequest writes r in place of what is kept under its id.
	KeepRequest(ctx context.Context, r cinder.KeptRequest) error
	// ForgetRequest removes it, if it is there.
	ForgetRequest(ctx context.Context, id string) error
	// PruneRequests removes up to limit of those that have expired by then, and
	// says how many it has removed.
	PruneRequests(ctx context.Context, then time.Time, limit int) (int, error)
	// OperationOf is the id of the operation that the request of that id has begun;
	// "" when it has begun none.
	OperationOf(ctx context.Context, request string) (string, error)
}

// Fleet sends commands to services over the bus. Every method takes the caller
// from ctx, and fails with KindUndeliverable when nobody consumes the service's
// queue, KindUnavailable when the bus is away, KindTimeout when no answer came,
// KindRemote with the exception's message when the service raised one, and
// KindNotSupported when the service is too old to know the command.
type Fleet interface {
	// Freeze asks the service (or any member of its cluster) to freeze its
	// backend and waits for the answer. Refused by the backend: KindConflict
	// with the backend's words.
	Freeze(ctx context.Context, s cinder.Service) error
	// Thaw is Freeze's opposite.
	Thaw(ctx context.Context, s cinder.Service) error
	// Failover sends the service to another site; nil lets it choose. It returns
	// when the command is delivered, not when it is carried out.
	Failover(ctx context.Context, s cinder.Service, target *string) error
	// FailoverCompleted tells every member of a cluster how a failover has ended.
	FailoverCompleted(ctx context.Context, cluster string, o cinder.FailoverOutcome) error
	// Listening says whether anybody consumes the queue of the service or, when it
	// is clustered, of its cluster.
	Listening(ctx context.Context, s cinder.Service) (bool, error)
	// Targets are the sites that the service announced; the zero value when it
	// announced none.
	Targets(s cinder.Service) cinder.FailoverTargets
	// Pools are what a scheduler knows of the backends.
	Pools(ctx context.Context) ([]cinder.Pool, error)
}

// Logs reads and sets the log levels of services over the bus. Its methods fail
// as those of Fleet do.
type Logs interface {
	// LogLevels returns the level of every logger whose name starts with prefix.
	LogLevels(ctx context.Context, s cinder.Service, prefix string) (map[string]cinder.LogLevel, error)
	// SetLogLevel sets the level of those loggers. It returns when the command is delivered.
	SetLogLevel(ctx context.Context, s cinder.Service, prefix string, level cinder.LogLevel) error
}

// Loggers are the loggers of this process.
type Loggers interface {
	// Levels returns the effective level of every logger whose name starts with prefix.
	Levels(prefix string) map[string]cinder.LogLevel
	// SetLevel sets the level of those loggers, of those there are now.
	SetLevel(prefix string, level cinder.LogLevel)
}
