package cinder

import "time"

// Cluster is a row of the clusters table, with fields computed from its members.
type Cluster struct {
	ID     int64
	Name   string // cluster@backend
	Binary string

	Disabled          bool
	DisabledReason    *string
	Frozen            bool
	ReplicationStatus ReplicationStatus
	ActiveBackendID   *string

	CreatedAt time.Time
	UpdatedAt time.Time

	// Hosts, DownHosts and LastHeartbeat are computed from the members.
	Hosts         int
	DownHosts     int
	LastHeartbeat time.Time // zero when no member has sent one
}

// Up reports whether at least one member is up.
func (c *Cluster) Up() bool { return c.Hosts > c.DownHosts }

// ClusterQuery selects clusters. Nil fields do not restrict.
type ClusterQuery struct {
	Name              *string // a cluster or, without a backend, the clusters of all its backends
	Binary            *string
	Up                *bool
	Disabled          *bool
	Hosts             *int
	DownHosts         *int
	ReplicationStatus *string
	Frozen            *bool
	ActiveBackendID   *string
}

// Matches reports whether the query selects the cluster, including by computed fields.
func (q ClusterQuery) Matches(c *Cluster) bool {
	return (q.Name == nil || HostMatches(c.Name, *q.Name)) && is(q.Binary, c.Binary) && is(q.Up, c.Up()) &&
		is(q.Disabled, c.Disabled) && is(q.Hosts, c.Hosts) && is(q.DownHosts, c.DownHosts) &&
		is(q.ReplicationStatus, string(c.ReplicationStatus)) && is(q.Frozen, c.Frozen) &&
		(q.ActiveBackendID == nil || c.ActiveBackendID != nil && *c.ActiveBackendID == *q.ActiveBackendID)
}

// ClusterNamed returns the cluster with exactly that name, or else the first. There
// must be at least one.
func ClusterNamed(clusters []Cluster, name string) Cluster {
	for _, c := range clusters {
		if c.Name == name {
			return c
		}
	}
	return clusters[0]
}

func is[T comparable](want *T, got T) bool { return want == nil || *want == got }

// Pool is what the scheduler knows about a pool of a backend.
type Pool struct {
	Name         string // host@backend#pool; the cluster's name in place of the host's when clustered
	BackendState string // "up" or "down"; "" when unknown
}
