package backend

import (
	"context"

	"stoker/internal/cinder"
)

// Backend is a storage backend. Implementations are safe for concurrent use, but
// commands (Freeze, Thaw, Failover, FailoverCompleted) are called one at a time. A
// failed command leaves the backend as it was.
type Backend interface {
	// Setup prepares the backend and puts it into the state of the service's row: the
	// active site, and frozen or not. It may be called again after an error. An
	// unreachable site is not an error, but makes the backend down (Stats), so that it
	// can still be failed over; KindInvalid when there is no such site.
	Setup(ctx context.Context, s State) error
	// Stats describes the backend. It also works before Setup.
	Stats(ctx context.Context) (Stats, error)
	// Freeze makes the backend refuse new volumes. KindConflict, with a message for the
	// administrator, when it refuses. Freezing twice is the same as once.
	Freeze(ctx context.Context) error
	// Thaw undoes Freeze and fails like it.
	Thaw(ctx context.Context) error
	// Failover makes another site active and returns its name, "" for the primary site.
	// With a nil target the backend chooses; cinder.FailbackTarget is the primary site.
	// KindInvalid when there is no such target and KindConflict when the backend
	// refuses: then nothing happened. Any other error means that the failover was tried
	// and failed.
	Failover(ctx context.Context, target *string) (active string, err error)
	// FailoverCompleted tells the backend that another member of its cluster has made a
	// site active ("" for the primary one). It may be called twice.
	FailoverCompleted(ctx context.Context, active string) error
	// Verdicts returns, by id, what became of replicated volumes at the active site. A
	// volume without a verdict was failed over with the backend.
	Verdicts(ctx context.Context, volumes []cinder.Volume) (map[string]Verdict, error)
}

// Verdict is the result of a failover for one volume.
type Verdict struct {
	Lost       bool    // not present at the active site
	DriverData *string // the new replication_driver_data; nil means unchanged
}

// Replicator is a backend that relies on its service to trigger replication.
type Replicator interface {
	// Replicate copies the changes at the active site to the other sites, once.
	Replicate(ctx context.Context) error
}

// State is the backend's state in the service's row.
type State struct {
	Active string // active_backend_id: the active target; "" means the primary site
	Frozen bool
}

// Stats describes a backend.
type Stats struct {
	Name     string // volume_backend_name
	Vendor   string
	Version  string   // of the driver
	Protocol string   // storage_protocol
	Targets  []string // sites to fail over to, in order of preference; none when not replicated
	Pools    []Pool
}

// Pool is one pool of a backend.
type Pool struct {
	Name     string
	TotalGB  float64
	FreeGB   float64
	UsedGB   float64 // used by volumes: allocated_capacity_gb
	Reserved int     // percentage
	Up       bool    // backend_state
}

// Replicated reports whether there is a site to fail over to.
func (s Stats) Replicated() bool { return len(s.Targets) > 0 }

// Capabilities converts the stats to capabilities (doc/cinder/wire.md#capabilities).
// backend_state is in each pool, the only place where it is read.
func (s Stats) Capabilities() map[string]any {
	pools := make([]any, 0, len(s.Pools))
	for _, p := range s.Pools {
		pools = append(pools, map[string]any{
			"pool_name":             p.Name,
			"total_capacity_gb":     p.TotalGB,
			"free_capacity_gb":      p.FreeGB,
			"allocated_capacity_gb": p.UsedGB,
			"reserved_percentage":   p.Reserved,
			"QoS_support":           false,
			"replication_enabled":   s.Replicated(),
			"backend_state":         stateName(p.Up),
		})
	}
	targets := make([]any, 0, len(s.Targets))
	for _, t := range s.Targets {
		targets = append(targets, t)
	}
	return map[string]any{
		"volume_backend_name": s.Name,
		"vendor_name":         s.Vendor,
		"driver_version":      s.Version,
		"storage_protocol":    s.Protocol,
		"replication_enabled": s.Replicated(),
		"replication_targets": targets,
		// The list is complete: a failover to another name can be refused before it is
		// sent.
		cinder.CapabilityTargetsComplete: true,
		"filter_function":                nil,
		"goodness_function":              nil,
		"pools":                          pools,
	}
}

// Properties are the extra specs that a volume type may request, as get_capabilities
// describes them.
func (s Stats) Properties() map[string]any {
	properties := map[string]any{}
	if s.Replicated() {
		properties["replication_enabled"] = map[string]any{
			"title": "Replication", "description": "Whether volumes are replicated to the other sites.", "type": "boolean",
		}
	}
	return properties
}

func stateName(up bool) string {
	if up {
		return "up"
	}
	return "down"
}
