package cinder

import "time"

// Capabilities are what a service publishes to the schedulers: for a volume service its
// backend's statistics, with replication_targets and pools.
type Capabilities struct {
	Service string // "volume" or "backup"
	Host    string
	Cluster string // "" when not clustered
	Values  map[string]any
	Time    time.Time // when they were collected, UTC; schedulers ignore older ones
}

// QueueHost is the cluster's name or, without a cluster, the host's. A scheduler stores
// the capabilities under it.
func (c *Capabilities) QueueHost() string {
	if c.Cluster != "" {
		return c.Cluster
	}
	return c.Host
}

// CapabilityTargetsComplete is a boolean capability of ours, which no Cinder sends:
// replication_targets has every target that the service can be failed over to.
const CapabilityTargetsComplete = "stoker:replication_targets_complete"

// FailoverTargets are the sites that a volume service announces for failovers.
type FailoverTargets struct {
	Names []string // in the order of the announcement
	// Complete means that the service accepts no other name. A driver may announce
	// other names than it accepts: for instance the serial numbers of arrays where it
	// accepts backend_ids.
	Complete bool
}

// FailoverOutcome is sent by a member of a cluster to the others when it has failed the
// backend over (failover_completed). Nil fields do not change.
type FailoverOutcome struct {
	ReplicationStatus ReplicationStatus
	ActiveBackendID   *string
	Disabled          *bool
	DisabledReason    *string
}
