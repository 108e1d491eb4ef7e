package control

import (
	"context"
	"log/slog"
	"time"

	"stoker/internal/cinder"
)

// Options are what a Control is made of.
type Options struct {
	Store   Store
	Fleet   Fleet
	Logs    Logs
	Loggers Loggers // of this process: what binary cinder-api means
	Log     *slog.Logger

	Host  string // the name this process goes by in get-log and as owner of operations
	Owner string // unique to this process

	DownTime         time.Duration // service_down_time
	PoolsTimeout     time.Duration // how long a list waits for the scheduler
	LogTimeout       time.Duration // how long get-log waits for a service
	Lease            time.Duration
	ResponseTimeout  time.Duration // rpc_response_timeout: the deadline of a freeze or thaw
	FailoverDeadline time.Duration
}

// Control carries out what administrators ask for. It is safe for concurrent use.
type Control struct{ o Options }

// New makes a Control.
func New(o Options) *Control { return &Control{o: o} }

// Selector names what a freeze, thaw or failover is for: a host or a cluster.
type Selector struct {
	Host    string
	Cluster string
}

// LogQuery selects services and loggers for get-log and set-log.
type LogQuery struct {
	Binary string // "" or "*": all, this process included
	Server string // a host, host@backend, cluster or cluster@backend; "": all
	Prefix string // of logger names; "": all
}

// LogAnswer is what get-log found out.
type LogAnswer struct {
	Levels []cinder.ServiceLogLevels
	Silent []SilentService // services that did not answer, and why
}

// SilentService is a service that did not answer get-log.
type SilentService struct {
	Host   string
	Binary string
	Why    string
}

// Listing is a list of services as they are to be shown: while an operation is
// open, rows say what its journal entry says. It is shared and must not be
// written to.
type Listing struct {
	Services []cinder.Service
	Now      time.Time
	DownTime time.Duration
}

var errTODO = cinder.Errorf(cinder.KindInternal, "not there yet")

// Services lists the services that q selects.
func (c *Control) Services(ctx context.Context, q cinder.ServiceQuery) (Listing, error) {
	return Listing{}, errTODO
}

// BackendStates says for every backend the scheduler knows whether it is up, by
// the name that Service.QueueHost gives. It waits at most PoolsTimeout; nil when
// nobody answered.
func (c *Control) BackendStates(ctx context.Context) map[string]string { return nil }

// Enable ends the administrator's and the failover's cause. KindInvalid when
// the service is frozen; KindNotFound.
func (c *Control) Enable(ctx context.Context, host, binary string) (cinder.Operation, error) {
	return cinder.Operation{}, errTODO
}

// Disable disables a service on the administrator's behalf and keeps the reason
// that the row has. KindNotFound.
func (c *Control) Disable(ctx context.Context, host, binary string) (cinder.Operation, error) {
	return cinder.Operation{}, errTODO
}

// DisableWithReason disables a service and writes the reason, nil included. KindNotFound.
func (c *Control) DisableWithReason(ctx context.Context, host, binary string, reason *string) (cinder.Operation, error) {
	return cinder.Operation{}, errTODO
}

// Freeze freezes the backend of a host, or of a cluster on all its members.
func (c *Control) Freeze(ctx context.Context, sel Selector) (cinder.Operation, error) {
	return cinder.Operation{}, errTODO
}

// Thaw ends a freeze.
func (c *Control) Thaw(ctx context.Context, sel Selector) (cinder.Operation, error) {
	return cinder.Operation{}, errTODO
}

// Failover sends a host, or a whole cluster, to another site; nil lets the
// backend choose, "default" goes back. It returns once the command is delivered.
func (c *Control) Failover(ctx context.Context, sel Selector, target *string) (cinder.Operation, error) {
	return cinder.Operation{}, errTODO
}

// LogLevels asks all selected services at once. Those that do not answer in
// time are named in the answer.
func (c *Control) LogLevels(ctx context.Context, q LogQuery) (LogAnswer, error) {
	return LogAnswer{}, errTODO
}

// SetLogLevels sets the level of the selected loggers of the selected services.
func (c *Control) SetLogLevels(ctx context.Context, q LogQuery, level cinder.LogLevel) (cinder.Operation, error) {
	return cinder.Operation{}, errTODO
}

// Clusters lists the clusters that q selects, by id.
func (c *Control) Clusters(ctx context.Context, q cinder.ClusterQuery) ([]cinder.Cluster, error) {
	return nil, errTODO
}

// Cluster returns one cluster. KindNotFound.
func (c *Control) Cluster(ctx context.Context, name, binary string) (cinder.Cluster, error) {
	return cinder.Cluster{}, errTODO
}

// EnableCluster enables a cluster and clears its reason. KindNotFound.
func (c *Control) EnableCluster(ctx context.Context, name, binary string) (cinder.Cluster, cinder.Operation, error) {
	return cinder.Cluster{}, cinder.Operation{}, errTODO
}

// DisableCluster disables a cluster and writes the reason, nil included. KindNotFound.
func (c *Control) DisableCluster(ctx context.Context, name, binary string, reason *string) (cinder.Cluster, cinder.Operation, error) {
	return cinder.Cluster{}, cinder.Operation{}, errTODO
}
