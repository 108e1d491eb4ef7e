package cinder

import (
	"strings"
	"time"
)

// The binaries that appear in the services table and in requests.
const (
	BinaryAPI       = "cinder-api"
	BinaryVolume    = "cinder-volume"
	BinaryScheduler = "cinder-scheduler"
	BinaryBackup    = "cinder-backup"
)

// The values of disabled_reason that services write themselves.
const (
	ReasonFrozen     = "frozen"
	ReasonFailedOver = "failed-over"
)

// ReplicationStatus is where a service or cluster stands in a failover.
type ReplicationStatus string

// The values of the replication_status column.
const (
	ReplicationError         ReplicationStatus = "error"
	ReplicationEnabled       ReplicationStatus = "enabled"
	ReplicationDisabled      ReplicationStatus = "disabled"
	ReplicationNotCapable    ReplicationStatus = "not-capable"
	ReplicationFailingOver   ReplicationStatus = "failing-over"
	ReplicationFailoverError ReplicationStatus = "failover-error"
	ReplicationFailedOver    ReplicationStatus = "failed-over"
)

// FailbackTarget is the backend_id that means "back to the primary site".
const FailbackTarget = "default"

// Service is one row of the services table: a process (or one backend of a
// process) that beats. A zero time is NULL, as is a nil pointer.
type Service struct {
	ID    int64
	UUID  string
	Host  string // host, or host@backend for a volume service
	Zone  string
	Topic string

	Binary  string
	Cluster string // cluster_name; "" is NULL: not clustered

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
	ModifiedAt time.Time // the last write of disabled
}

// Heartbeat is the time of the last sign of life: the last report or, before
// the first one, the creation of the row.
func (s *Service) Heartbeat() time.Time {
	if s.UpdatedAt.IsZero() {
		return s.CreatedAt
	}
	return s.UpdatedAt
}

// Up says whether the last heartbeat is at most downTime away from now, in
// either direction: a clock that is ahead does not make a service alive for ever
// (doc/cinder/behaviour.md#lists).
func (s *Service) Up(now time.Time, downTime time.Duration) bool {
	return now.Sub(s.Heartbeat()).Abs() <= downTime
}

// QueueHost is the name whose queues take the service's commands: that of its
// cluster when it has one, else its own host (doc/cinder/wire.md#routing).
func (s *Service) QueueHost() string {
	if s.Cluster != "" {
		return s.Cluster
	}
	return s.Host
}

// HostMatches says whether host is name itself or one of name's backends
// (name@backend), which is how Cinder reads a host in a filter or a request.
func HostMatches(host, name string) bool {
	rest, ok := strings.CutPrefix(host, name)
	return ok && (rest == "" || rest[0] == '@')
}

// ServiceQuery selects services. The zero value selects all that are not deleted.
type ServiceQuery struct {
	Host    *string // the host itself or any of its backends
	Binary  *string
	Cluster *string // the cluster itself or, when it names no backend, those of all its backends
}

// Matches says whether the query selects the service. Names compare exactly.
func (q ServiceQuery) Matches(s *Service) bool {
	return (q.Host == nil || HostMatches(s.Host, *q.Host)) &&
		(q.Binary == nil || s.Binary == *q.Binary) &&
		(q.Cluster == nil || HostMatches(s.Cluster, *q.Cluster))
}
