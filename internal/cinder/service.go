package cinder

import (
	"strings"
	"time"
)

// Binaries in the services table and in requests.
const (
	BinaryAPI       = "cinder-api"
	BinaryVolume    = "cinder-volume"
	BinaryScheduler = "cinder-scheduler"
	BinaryBackup    = "cinder-backup"
)

// Values of disabled_reason that services write.
const (
	ReasonFrozen     = "frozen"
	ReasonFailedOver = "failed-over"
)

// ReplicationStatus is the replication status of a service or cluster.
type ReplicationStatus string

// Values of the replication_status column.
const (
	ReplicationError         ReplicationStatus = "error"
	ReplicationEnabled       ReplicationStatus = "enabled"
	ReplicationDisabled      ReplicationStatus = "disabled"
	ReplicationNotCapable    ReplicationStatus = "not-capable"
	ReplicationFailingOver   ReplicationStatus = "failing-over"
	ReplicationFailoverError ReplicationStatus = "failover-error"
	ReplicationFailedOver    ReplicationStatus = "failed-over"
)

// FailbackTarget is the backend_id for the primary site.
const FailbackTarget = "default"

// Service is a row of the services table: a process (or a backend of a process) that
// sends heartbeats. Zero times and nil pointers are NULL.
type Service struct {
	ID    int64
	UUID  string
	Host  string // host, or host@backend for a volume service
	Zone  string
	Topic string

	Binary  string
	Cluster string // cluster_name; "" (NULL) when not clustered

	Disabled          bool
	DisabledReason    *string
	Frozen            bool
	ReplicationStatus ReplicationStatus
	ActiveBackendID   *string

	ReportCount   int64
	RPCVersion    string // rpc_current_version
	ObjectVersion string // object_current_version

	CreatedAt  time.Time
	UpdatedAt  time.Time // the last heartbeat; nothing else writes it
	ModifiedAt time.Time // the last change of disabled
}

// Heartbeat is the time of the last heartbeat or, before the first, of the row's
// creation.
func (s *Service) Heartbeat() time.Time {
	if s.UpdatedAt.IsZero() {
		return s.CreatedAt
	}
	return s.UpdatedAt
}

// Up reports whether the last heartbeat is at most downTime from now, in either
// direction: a clock that is ahead does not keep a service up for ever
// (doc/cinder/behaviour.md#lists).
func (s *Service) Up(now time.Time, downTime time.Duration) bool {
	return now.Sub(s.Heartbeat()).Abs() <= downTime
}

// QueueHost is the name in the queues for the service's commands: its cluster's or,
// without a cluster, its host's (doc/cinder/wire.md#routing).
func (s *Service) QueueHost() string {
	if s.Cluster != "" {
		return s.Cluster
	}
	return s.Host
}

// HostMatches reports whether host is name or one of its backends (name@backend), which
// is how Cinder interprets a host in a filter or request.
func HostMatches(host, name string) bool {
	rest, ok := strings.CutPrefix(host, name)
	return ok && (rest == "" || rest[0] == '@')
}

// ServiceQuery selects services that are not deleted. Nil fields do not restrict.
type ServiceQuery struct {
	Host    *string // a host and its backends, or one backend
	Binary  *string
	Cluster *string // a cluster or, without a backend, the clusters of all its backends
}

// Matches reports whether the query selects the service. Names are compared exactly.
func (q ServiceQuery) Matches(s *Service) bool {
	return (q.Host == nil || HostMatches(s.Host, *q.Host)) &&
		(q.Binary == nil || s.Binary == *q.Binary) &&
		(q.Cluster == nil || HostMatches(s.Cluster, *q.Cluster))
}
