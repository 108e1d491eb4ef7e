package agent

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// Viewer reads services.
type Viewer interface {
	// View reads the services that q selects. Fails with KindUnavailable.
	View(ctx context.Context, q cinder.ServiceQuery) (*control.View, error)
}

// clockSlack is how far the clocks of hosts may differ.
const clockSlack = time.Minute

// SchedulerOptions are what a scheduler is made of.
type SchedulerOptions struct {
	Options
	View Viewer

	// Serve starts to take the service's commands. Nil means that it takes none.
	Serve func(ctx context.Context, s *Scheduler) (Server, error)
}

// Scheduler is a scheduler as far as os-services needs one: it keeps what the
// volume services say of themselves and tells the pools of those that serve.
type Scheduler struct {
	*service
	so SchedulerOptions

	mu    sync.Mutex                     // guards known
	known map[string]cinder.Capabilities // by QueueHost, of volume services
}

// PoolCapabilities are one pool as get_pools tells it.
type PoolCapabilities struct {
	Name   string // host@backend#pool; the cluster's name in place of the host's when clustered
	Values map[string]any
}

// NewScheduler makes a scheduler.
func NewScheduler(o SchedulerOptions) *Scheduler {
	s := &Scheduler{so: o, known: map[string]cinder.Capabilities{}}
	s.service = newService(o.Options, cinder.BinaryScheduler, cinder.SchedulerRPCVersion, "", s)
	return s
}

// UpdateServiceCapabilities takes in what a service says of itself, unless
// something newer is known.
func (s *Scheduler) UpdateServiceCapabilities(_ context.Context, c cinder.Capabilities) error {
	s.keep(c)
	return nil
}

// NotifyServiceCapabilities does the same.
func (s *Scheduler) NotifyServiceCapabilities(_ context.Context, c cinder.Capabilities) error {
	s.keep(c)
	return nil
}

func (s *Scheduler) keep(c cinder.Capabilities) {
	if c.Service != "volume" {
		return
	}
	name := c.QueueHost()
	s.mu.Lock()
	old, ok := s.known[name]
	// A time that is still to come keeps nothing out: a clock was set back since.
	newer := !ok || !c.Time.Before(old.Time) || old.Time.After(time.Now().Add(clockSlack))
	if newer {
		s.known[name] = c
	}
	s.mu.Unlock()
	s.log.Debug("Capabilities received.", "from", name, "newer", newer)
}

// GetPools returns the pools of the services that are enabled, not frozen and up,
// by name (doc/cinder/wire.md#pools). Fails with KindUnavailable.
func (s *Scheduler) GetPools(ctx context.Context) ([]PoolCapabilities, error) {
	view, err := s.so.View.View(ctx, cinder.ServiceQuery{})
	if err != nil {
		return nil, err
	}
	serving := map[string]bool{} // by QueueHost: whether it serves; absent when there is no row
	for i := range view.Services {
		row := &view.Services[i]
		if row.Binary != cinder.BinaryVolume {
			continue
		}
		serves := !row.Disabled && !row.Frozen && row.Up(view.Now, s.o.DownTime)
		serving[row.QueueHost()] = serving[row.QueueHost()] || serves
	}
	pools := []PoolCapabilities{}
	for _, c := range s.existing(serving) {
		if serving[c.QueueHost()] {
			pools = append(pools, poolsOf(&c)...)
		}
	}
	return pools, nil
}

// existing are the capabilities of services that have a row. Those of others are
// forgotten.
func (s *Scheduler) existing(rows map[string]bool) []cinder.Capabilities {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.known, func(name string, _ cinder.Capabilities) bool {
		_, ok := rows[name]
		return !ok
	})
	all := make([]cinder.Capabilities, 0, len(s.known))
	for _, name := range slices.Sorted(maps.Keys(s.known)) {
		all = append(all, s.known[name])
	}
	return all
}

// poolsOf are the pools in what a service says of itself. Each repeats what holds
// for the backend as a whole.
func poolsOf(c *cinder.Capabilities) []PoolCapabilities {
	listed, _ := c.Values["pools"].([]any)
	var pools []PoolCapabilities
	for _, p := range listed {
		pool, _ := p.(map[string]any)
		name, ok := pool["pool_name"].(string)
		if !ok {
			continue
		}
		values := map[string]any{"timestamp": c.Time.UTC().Format("2006-01-02T15:04:05.000000")}
		for _, key := range []string{
			"volume_backend_name", "vendor_name", "driver_version", "storage_protocol",
			"filter_function", "goodness_function",
		} {
			values[key] = c.Values[key]
		}
		maps.Copy(values, pool)
		pools = append(pools, PoolCapabilities{Name: c.QueueHost() + "#" + name, Values: values})
	}
	return pools
}

func (s *Scheduler) serve(ctx context.Context) (Server, error) {
	return serving(ctx, s.so.Serve, s)
}

// publish asks everybody to tell what they can do.
func (s *Scheduler) publish(ctx context.Context) error {
	return heard(s.o.Bus.PublishServiceCapabilities(ctx))
}
