package backend

import (
	"context"

	"stoker/internal/cinder"
)

// Backend is a storage backend. An implementation is safe for concurrent use,
// though commands (Freeze, Thaw, Failover, FailoverCompleted) come one at a time.
// A command that fails leaves the backend as it was.
type Backend interface {
	// Setup makes the backend ready and what the service's row says of it true:
	// which site is active, and whether it is frozen. It may be called again
	// after it failed. A site that cannot be reached is no failure, but a backend
	// that is down (Stats), so that it can still be failed over; KindInvalid when
	// there is no such site.
	Setup(ctx context.Context, s State) error
	// Stats says what the backend is and has. It works before Setup as well.
	Stats(ctx context.Context) (Stats, error)
	// Freeze makes the backend refuse new volumes. KindConflict, with words for
	// the administrator, when it refuses to. Freezing twice is freezing once.
	Freeze(ctx context.Context) error
	// Thaw is Freeze's opposite and fails as it does.
	Thaw(ctx context.Context) error
	// Failover makes another site active and returns its name, "" for the
	// primary one. A nil target leaves the choice to the backend;
	// cinder.FailbackTarget asks for the primary site. It fails with KindInvalid
	// when there is no such target and KindConflict when the backend refuses:
	// nothing happened then. Any other failure means that it tried and failed.
	Failover(ctx context.Context, target *string) (active string, err error)
	// FailoverCompleted tells the backend that another member of its cluster
	// has made a site active ("" for the primary one). It may be told twice.
	FailoverCompleted(ctx context.Context, active string) error
	// Verdicts says what became of replicated volumes at the site that is active
	// now, by id. A volume without a verdict went there with the backend.
	Verdicts(ctx context.Context, volumes []cinder.Volume) (map[string]Verdict, error)
}

// Verdict is what became of a volume in a failover.
type Verdict struct {
	Lost       bool    // it is not at the active site
	DriverData *string // replication_driver_data from now on; nil leaves it
}

// Replicator is a backend whose service drives its replication.
type Replicator interface {
	// Replicate carries what changed at the active site to the others, once.
	Replicate(ctx context.Context) error
}

// State is what the service's row says of its backend.
type State struct {
	Active string // active_backend_id: the target in use; "" is the primary site
	Frozen bool
}

// Stats is what a backend says of itself.
type Stats struct {
	Name     string // volume_backend_name
	Vendor   string
	Version  string   // of the driver
	Protocol string   // storage_protocol
	Targets  []string // sites it can fail over to, in order of preference; none when not replicated
	Pools    []Pool
}

// Pool is one pool of a backend.
type Pool struct {
	Name     string
	TotalGB  float64
	FreeGB   float64
	UsedGB   float64 // what volumes take up: allocated_capacity_gb
	Reserved int     // percent kept back
	Up       bool    // whether it serves: backend_state
}

// Replicated says whether there is anywhere to fail over to.
func (s Stats) Replicated() bool { return len(s.Targets) > 0 }

// Capabilities are the stats as schedulers read them (doc/cinder/wire.md#capabilities).
// backend_state is written into each pool, as it is read from nowhere else.
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
		// There are no others: a failover elsewhere can be refused before it is sent.
		cinder.CapabilityTargetsComplete: true,
		"filter_function":                nil,
		"goodness_function":              nil,
		"pools":                          pools,
	}
}

// Properties are what a volume's type may ask of the backend, as get_capabilities
// describes them: by extra spec.
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
