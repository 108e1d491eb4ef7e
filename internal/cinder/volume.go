package cinder

import "strings"

// StatusError is the status of a volume, snapshot or group in error.
const StatusError = "error"

// Owner owns volumes and groups, in any of its pools: a cluster or, without a name of
// one, a host.
type Owner struct {
	Host    string
	Cluster string
}

// Owner is the owner of the volumes that the service manages.
func (s *Service) Owner() Owner { return Owner{Host: s.Host, Cluster: s.Cluster} }

// Volume is the part of a volume's row that a failover changes. A nil pointer is NULL.
type Volume struct {
	ID                string
	Name              string // its name on the backend
	Group             string // group_id
	Status            string
	PreviousStatus    *string
	ReplicationStatus ReplicationStatus
	DriverData        *string // replication_driver_data

	// Before is the state before a failover of ours; nil when none has changed the
	// volume, or once it is restored.
	Before *BeforeFailover
}

// Group is the part of a group's row that a failover changes.
type Group struct {
	ID                string
	Status            string
	ReplicationStatus ReplicationStatus
	Before            *BeforeFailover
}

// BeforeFailover is the state of a volume, snapshot or group before a failover.
type BeforeFailover struct {
	Status            string
	PreviousStatus    *string // of a volume only
	ReplicationStatus ReplicationStatus
}

// VolumeChange is a change of a volume, from what was read to what is written.
type VolumeChange struct{ Was, Now Volume }

// GroupChange is a change of a group.
type GroupChange struct{ Was, Now Group }

// Replicated reports whether a row with that status is replicated, by Cinder's
// definition: unless the status says that it is not.
func (s ReplicationStatus) Replicated() bool {
	return s != ReplicationDisabled && s != ReplicationNotCapable
}

// Failed reports whether a status is an error, such as error_deleting.
func Failed(status string) bool { return strings.HasPrefix(status, StatusError) }

// Lasting reports whether a volume, snapshot or group can remain in the status. Others
// belong to running work, which a failover ends for good.
func Lasting(status string) bool {
	switch status {
	case "available", "in-use", "reserved", "maintenance", "awaiting-transfer":
		return true
	default:
		return false
	}
}

// Worker is a row of the workers table: running work on a volume or snapshot, recorded
// so that it can be cleaned up if it is interrupted.
type Worker struct {
	ID            int64
	ResourceType  string
	ResourceID    string
	Status        string // of the resource during the work
	ServiceID     int64  // row of the service that does the work
	RacePreventer int64  // changes when another service takes over
}
