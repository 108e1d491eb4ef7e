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

// FailoverOutcome is what one member of a cluster tells the others when it has
// failed the backend over (failover_completed). Nil fields do not change.
type FailoverOutcome struct {
	ReplicationStatus ReplicationStatus
	ActiveBackendID   *string
	Disabled          *bool
	DisabledReason    *string
}
