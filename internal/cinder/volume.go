package cinder

import "strings"

// StatusError is the status of a volume, snapshot or group that cannot be used.
const StatusError = "error"

// Owner is whose volumes and groups are meant: those of a cluster or, when it
// names none, those of a host, in any of its pools.
type Owner struct {
	Host    string
	Cluster string
}

// Owner is whose volumes the service looks after.
func (s *Service) Owner() Owner { return Owner{Host: s.Host, Cluster: s.Cluster} }

// Volume is a row of the volumes table, as far as a failover concerns it. A nil
// pointer is NULL.
type Volume struct {
	ID                string
	Name              string // that by which backends know it
	Group             string // group_id
	Status            string
	PreviousStatus    *string
	ReplicationStatus ReplicationStatus
	DriverData        *string // replication_driver_data

	// Before is what a failover of ours found; nil when none has changed the
	// volume, or what it changed has been given back.
	Before *BeforeFailover
}

// Group is a row of the groups table, as far as a failover concerns it.
type Group struct {
	ID                string
	Status            string
	ReplicationStatus ReplicationStatus
	Before            *BeforeFailover
}

// BeforeFailover is what a failover has changed, as it was.
type BeforeFailover struct {
	Status            string
	PreviousStatus    *string // of a volume
	ReplicationStatus ReplicationStatus
}

// VolumeChange is a write of one volume: what was read, and what it is to be.
type VolumeChange struct{ Was, Now Volume }

// GroupChange is a write of one group.
type GroupChange struct{ Was, Now Group }

// Replicated says whether a row with that status is replicated, as Cinder reads
// it: whatever does not say that it is not.
func (s ReplicationStatus) Replicated() bool {
	return s != ReplicationDisabled && s != ReplicationNotCapable
}

// Failed says whether a status is one of error: error_deleting as well.
func Failed(status string) bool { return strings.HasPrefix(status, StatusError) }

// Lasting says whether a volume, snapshot or group can stay in the status: it is
// not that of work under way, which a failover ends for good.
func Lasting(status string) bool {
	switch status {
	case "available", "in-use", "reserved", "maintenance", "awaiting-transfer":
		return true
	default:
		return false
	}
}

// Worker is a row of the workers table: work under way on a volume or snapshot,
// so that what it leaves behind can be cleaned up when it is interrupted.
type Worker struct {
	ID            int64
	ResourceType  string
	ResourceID    string
	Status        string // of the resource while it is worked on
	ServiceID     int64  // of the row of whoever works on it
	RacePreventer int64  // counts changes of hands
}
