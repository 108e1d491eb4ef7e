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

// clockSlack bounds the expected difference between hosts' clocks.
const clockSlack = time.Minute

// SchedulerOptions configure a scheduler.
type SchedulerOptions struct {
	Options
	View Viewer

	// Serve starts serving the service's commands. With nil it serves none.
	Serve func(ctx context.Context, s *Scheduler) (Server, error)
}

// Scheduler is a scheduler as far as os-services needs one: it keeps the capabilities
// of volume services and returns the pools of those that are usable.
type Scheduler struct {
	*service
	so SchedulerOptions

	mu    sync.Mutex                     // guards the field below
	known map[string]cinder.Capabilities // of volume services, by QueueHost
}

// PoolCapabilities is one pool in the reply of get_pools.
type PoolCapabilities struct {
	Name   string // host@backend#pool; the cluster's name in place of the host's when clustered
	Values map[string]any
}

// NewScheduler returns a scheduler.
func NewScheduler(o SchedulerOptions) *Scheduler {
	s := &Scheduler{so: o, known: map[string]cinder.Capabilities{}}
	s.service = newService(o.Options, cinder.BinaryScheduler, cinder.SchedulerRPCVersion, "", s)
	return s
}

// UpdateServiceCapabilities stores a service's capabilities, unless newer ones are
// known.
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
	// Stored capabilities from the future keep nothing out: a clock was set back since.
	newer := !ok || !c.Time.Before(old.Time) || old.Time.After(time.Now().Add(clockSlack))
	if newer {
		s.known[name] = c
	}
	s.mu.Unlock()
	s.log.Debug("capabilities received", "from", name, "newer", newer)
}

// GetPools returns, by name, the pools of the services that are enabled, not frozen and
// up (doc/cinder/wire.md#pools). Fails with KindUnavailable.
func (s *Scheduler) GetPools(ctx context.Context) ([]PoolCapabilities, error) {
	view, err := s.so.View.View(ctx, cinder.ServiceQuery{})
	if err != nil {
		return nil, err
	}
	serving := map[string]bool{} // by QueueHost: usable or not; absent without a row
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

// existing returns the capabilities of services that have a row, and forgets the
// others.
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

// poolsOf returns the pools in a service's capabilities. Each repeats the values of the
// whole backend.
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
	return serveWith(ctx, s.so.Serve, s)
}

// publish asks all services to publish their capabilities.
func (s *Scheduler) publish(ctx context.Context) error {
	return ignoreUndeliverable(s.o.Bus.PublishServiceCapabilities(ctx))
}
