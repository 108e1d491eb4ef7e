package cinder

import "time"

// Capabilities is what a service says of itself to the schedulers: of a volume
// service, its backend's statistics, with replication_targets and pools.
type Capabilities struct {
	Service string // "volume" or "backup"
	Host    string
	Cluster string // "" when not clustered
	Values  map[string]any
	Time    time.Time // when they were gathered, UTC; older ones than those known are ignored
}

// QueueHost is the cluster's name or, without one, the host's: the name under
// which a scheduler keeps the capabilities.
func (c *Capabilities) QueueHost() string {
	if c.Cluster != "" {
		return c.Cluster
	}
	return c.Host
}

// CapabilityTargetsComplete is the capability, true or false, by which a volume service says that
// its replication_targets are all that it can be failed over to. It is ours: no Cinder sends it.
const CapabilityTargetsComplete = "stoker:replication_targets_complete"

// FailoverTargets are the sites that a volume service says it can fail over to.
type FailoverTargets struct {
	Names []string // in the order in which it announced them
	// Complete says that it takes no other name. A driver may announce other names
	// than it accepts: the serial numbers of arrays, say, where it takes backend_ids.
	Complete bool
}

// FailoverOutcome is what one member of a cluster tells the others when it has
// failed the backend over (failover_completed). Nil fields do not change.
type FailoverOutcome struct {
	ReplicationStatus ReplicationStatus
	ActiveBackendID   *string
	Disabled          *bool
	DisabledReason    *string
}
