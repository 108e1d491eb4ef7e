package rpc

import (
	"context"
	"errors"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// UpdateServiceCapabilities sends a service's capabilities to every scheduler. It
// succeeds when no scheduler runs, like the methods below.
func (c *Client) UpdateServiceCapabilities(ctx context.Context, caps cinder.Capabilities) error {
	at := timestamp(caps.Time)
	args := updateArgs{Service: caps.Service, Host: caps.Host, Capabilities: caps.Values, Timestamp: &at}
	if caps.Cluster != "" {
		args.Cluster = &caps.Cluster
	}
	return c.bus.Fanout(ctx, topicScheduler, methodUpdate, "3.3", args)
}

// NotifyServiceCapabilities sends them to one scheduler.
func (c *Client) NotifyServiceCapabilities(ctx context.Context, caps cinder.Capabilities) error {
	at := timestamp(caps.Time)
	args := notifyArgs{Service: caps.Service, Backend: caps.QueueHost(), Capabilities: caps.Values, Timestamp: &at}
	err := c.bus.Cast(ctx, oslo.ToAny(topicScheduler), methodNotify, "3.5", args, 0)
	if cinder.KindOf(err) == cinder.KindUndeliverable {
		return nil
	}
	return err
}

// PublishServiceCapabilities asks every volume and backup service to publish its
// capabilities.
func (c *Client) PublishServiceCapabilities(ctx context.Context) error {
	return errors.Join(
		c.bus.Fanout(ctx, topicVolume, methodPublish, "3.0", noArgs{}),
		c.bus.Fanout(ctx, topicBackup, methodPublish, "2.2", noArgs{}),
	)
}

// FailoverCompleted sends the outcome of a failover to every member of a cluster.
func (c *Client) FailoverCompleted(ctx context.Context, cluster string, o cinder.FailoverOutcome) error {
	return c.bus.Fanout(ctx, topicVolume+"."+cluster, methodFailoverCompleted, "3.8", completedArgs{updates(o)})
}

// Cleanup asks a service, or any member of its cluster, to clean up. It returns when
// the request is delivered. KindNotSupported when services of that binary cannot clean
// up.
func (c *Client) Cleanup(ctx context.Context, s cinder.Service, r cinder.CleanupRequest) error {
	request := oslo.CleanupRequest(r)
	args := cleanupArgs{&request}
	switch s.Binary {
	case cinder.BinaryVolume:
		return c.bus.Cast(ctx, volume(s, s.QueueHost()), methodCleanup, "3.7", args, c.o.FailoverExpiry)
	case cinder.BinaryScheduler: // any scheduler will do
		return c.bus.Cast(ctx, oslo.ToAny(topicScheduler), methodCleanup, "3.4", args, c.o.FailoverExpiry)
	default:
		return cinder.Errorf(cinder.KindNotSupported, "Services of %s do not clean up.", s.Binary)
	}
}
