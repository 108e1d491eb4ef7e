package app

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/config"
	"stoker/internal/dsn"
	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
	"stoker/internal/oslo/memory"
)

// Waits for a bus that is away.
const (
	busAtStart  = 2 * time.Second // for the API's first try to listen, before it serves
	busAttempt  = 5 * time.Second // for each later one
	busFirst    = time.Second     // before the next try; doubled each time
	busLongest  = 30 * time.Second
	rowPatience = 2 * time.Minute // of a service that starts: without a row it is none
)

// newBus makes the transport that the configuration names. A broker that is away
// keeps nothing from starting: an API answers what needs none, a service beats.
func (a *App) newBus(ctx context.Context) (oslo.Transport, error) {
	c := a.o.Config
	o, err := BusOptions(c, a.loggers.Logger("stoker.oslo.amqp"))
	if err != nil {
		return nil, err
	}
	if o.URL.Scheme == dsn.SchemeMemory {
		return memory.New(), nil
	}
	o.Name, o.NoWait = "stoker "+a.o.binary()+" "+c.Host, true
	return amqp.New(ctx, o)
}

// BusOptions are those of the bus that c names, for amqp when it is a broker.
func BusOptions(c config.Config, log *slog.Logger) (amqp.Options, error) {
	u, err := dsn.ParseTransport(string(c.TransportURL))
	if err != nil {
		return amqp.Options{}, cinder.Wrap(cinder.KindInvalid, err, "transport_url: %v", err)
	}
	return amqp.Options{URL: u, Exchange: c.Rabbit.Exchange, Rabbit: rabbit(c.Rabbit), Log: log}, nil
}

// rabbit is [oslo_messaging_rabbit] as the transport takes it.
func rabbit(r config.Rabbit) amqp.Rabbit {
	return amqp.Rabbit{
		SSL: r.SSL, SSLVersion: r.SSLVersion, SSLCAFile: r.CAFile, SSLCertFile: r.CertFile, SSLKeyFile: r.KeyFile, SSLVerifyHostname: r.VerifyHost,
		DurableQueues: r.DurableQueues, AutoDelete: r.AutoDelete, QuorumQueue: r.QuorumQueues, TransientQuorumQueue: r.TransientQuorum,
		QuorumDeliveryLimit: r.QuorumDeliveryLimit, QuorumMaxMemoryLength: r.QuorumMaxLength, QuorumMaxMemoryBytes: r.QuorumMaxBytes,
		HAQueues: r.HAQueues, TransientQueuesTTL: r.TransientTTL, StreamFanout: r.StreamFanout, Prefetch: r.Prefetch,
		CancelOnFailover: r.CancelOnFailover, Heartbeat: r.Heartbeat, LoginMethod: r.LoginMethod, RetryInterval: r.RetryInterval,
		RetryBackoff: r.RetryBackoff, IntervalMax: r.RetryMax, ReconnectDelay: r.ReconnectDelay, Shuffle: r.FailoverStrategy == "shuffle",
		Compression: r.Compression,
	}
}

// follow learns what the services can do, and tries what commands need. Without a bus the API serves all that
// needs none, and so goes on trying behind its back.
func (a *App) follow(ctx context.Context) error {
	try := func(ctx context.Context, bound time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		server, err := a.rpc.Follow(ctx, a.bus)
		if err == nil {
			a.onStop("capabilities", server.Close)
			_ = a.client.Ready(ctx) // what the broker refuses is logged, before somebody needs it
		}
		return err
	}
	err := try(ctx, busAtStart)
	if kind := cinder.KindOf(err); kind != cinder.KindUnavailable && kind != cinder.KindTimeout {
		return err
	}
	if len(amqp.Refusals(err)) > 0 {
		a.log.WarnContext(ctx, "the bus refuses what the API needs: freeze, thaw and failover fail until that is mended", "error", err)
	} else {
		a.log.WarnContext(ctx, "the bus is away: freeze, thaw and failover fail until it is back", "error", err)
	}
	a.run("wait for the bus", func(ctx context.Context) {
		for wait := busFirst; pause(ctx, wait); wait = min(2*wait, busLongest) {
			if try(ctx, busAttempt) == nil {
				a.log.InfoContext(ctx, "the bus is there")
				return
			}
		}
	})
	return nil
}

// patiently starts a service, for which a database that is away is a reason to
// wait for a while.
func (a *App) patiently(ctx context.Context, start func(context.Context) error) error {
	limit := time.Now().Add(rowPatience)
	for wait := busFirst; ; wait = min(2*wait, busLongest) {
		err := start(ctx)
		if kind := cinder.KindOf(err); kind != cinder.KindUnavailable && kind != cinder.KindTimeout || time.Now().After(limit) {
			return err
		}
		a.log.WarnContext(ctx, "a service cannot start yet", "error", err)
		if !pause(ctx, wait) {
			return err
		}
	}
}

// pause waits for d, or a little less so that not all wake at once. It is false
// when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d - time.Duration(rand.Int64N(int64(d)/4+1)))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
