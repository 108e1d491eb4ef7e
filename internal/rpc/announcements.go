package rpc

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// announcements are the failover targets that volume services announce in their
// capabilities.
type announcements struct {
	mu     sync.Mutex                         // guards latest
	latest map[string]map[string]announcement // by host or cluster, then by announcing host
}

// announcement is the latest announcement of one host.
type announcement struct {
	targets cinder.FailoverTargets
	at      time.Time
}

// Follow starts collecting the capabilities that volume services send to schedulers,
// and asks the services to publish them. It listens to the schedulers' fanout and takes
// no work from them. KindUnavailable when the bus is away. A failed request to publish
// is only logged: the services publish periodically.
func (c *Client) Follow(ctx context.Context, t oslo.Transport) (*oslo.Server, error) {
	s, err := oslo.Serve(ctx, oslo.ServerOptions{
		Transport: t, Log: c.o.Log, Targets: []oslo.Target{{Topic: topicScheduler}},
		Endpoint: oslo.Endpoint{Version: cinder.SchedulerRPCVersion, Methods: map[string]oslo.Handler{
			methodUpdate: oslo.Method(func(_ context.Context, args updateArgs) (any, error) {
				c.known.add(args.capabilities())
				return nil, nil
			}),
		}},
	})
	if err != nil {
		return nil, err
	}
	if err := c.PublishServiceCapabilities(ctx); err != nil {
		c.o.Log.WarnContext(ctx, "request to publish capabilities failed", "error", err)
	}
	return s, nil
}

// Targets returns the failover targets that the service announced; the zero value when
// there are none, or Follow was not called. For a cluster it merges the targets of all
// members, and they are complete when each member says so, since any member may get the
// command.
func (c *Client) Targets(s cinder.Service) cinder.FailoverTargets {
	c.known.mu.Lock()
	defer c.known.mu.Unlock()
	members := c.known.latest[s.QueueHost()]
	t := cinder.FailoverTargets{Complete: len(members) > 0}
	for _, host := range slices.Sorted(maps.Keys(members)) {
		m := members[host].targets
		t.Complete = t.Complete && m.Complete
		for _, name := range m.Names {
			if !slices.Contains(t.Names, name) {
				t.Names = append(t.Names, name)
			}
		}
	}
	return t
}

// announcedFor is how long a member's last announcement counts while other members keep
// announcing: each does so once a minute.
const announcedFor = 10 * time.Minute

// clockSlack bounds the expected difference between hosts' clocks.
const clockSlack = time.Minute

// add stores capabilities, unless newer ones are known. Stored ones from the future by
// our clock do not count as newer: a clock was set back since.
func (a *announcements) add(c cinder.Capabilities) {
	if c.Service != "volume" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	members := a.latest[c.QueueHost()]
	if known, ok := members[c.Host]; ok && c.Time.Before(known.at) && known.at.Before(time.Now().Add(clockSlack)) {
		return
	}
	if members == nil {
		members = map[string]announcement{}
		a.latest[c.QueueHost()] = members
	}
	maps.DeleteFunc(members, func(_ string, m announcement) bool { return c.Time.Sub(m.at).Abs() > announcedFor })
	members[c.Host] = announcement{targets: targets(c.Values), at: c.Time}
}

// targets reads replication_targets: names, or objects with a backend_id.
func targets(capabilities map[string]any) cinder.FailoverTargets {
	list, _ := capabilities["replication_targets"].([]any)
	complete, _ := capabilities[cinder.CapabilityTargetsComplete].(bool)
	var names []string
	for _, item := range list {
		if object, ok := item.(map[string]any); ok {
			item = object["backend_id"]
		}
		if name, ok := item.(string); ok && name != "" {
			names = append(names, name)
		}
	}
	return cinder.FailoverTargets{Names: names, Complete: complete}
}
