package app

import (
	"context"
	"math/rand/v2"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/config"
	"stoker/internal/oslo"
	"stoker/internal/oslo/memory"
)

// Waits for a bus that is away.
const (
	busAttempt  = 5 * time.Second // for one try to listen
	busFirst    = time.Second     // before the next try; doubled each time
	busLongest  = 30 * time.Second
	busPatience = 2 * time.Minute // of a service that starts: without its commands it is none
)

// newBus makes the transport that c names.
func newBus(c config.Config) (oslo.Transport, error) {
	if c.TransportURL.Scheme() != "memory" {
		return nil, cinder.Errorf(cinder.KindNotSupported, "transport_url %s: this build has no bus but memory://", c.TransportURL)
	}
	return memory.New(), nil
}

// follow learns what the services can do. Without a bus the API serves all that
// needs none, and so goes on trying behind its back.
func (a *App) follow(ctx context.Context) error {
	try := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, busAttempt)
		defer cancel()
		server, err := a.rpc.Follow(ctx, a.bus)
		if err == nil {
			a.onStop("capabilities", server.Close)
		}
		return err
	}
	err := try(ctx)
	if kind := cinder.KindOf(err); kind != cinder.KindUnavailable && kind != cinder.KindTimeout {
		return err
	}
	a.log.WarnContext(ctx, "the bus is away: freeze, thaw and failover fail until it is back", "error", err)
	a.run("wait for the bus", func(ctx context.Context) {
		for wait := busFirst; pause(ctx, wait); wait = min(2*wait, busLongest) {
			if try(ctx) == nil {
				a.log.InfoContext(ctx, "the bus is there")
				return
			}
		}
	})
	return nil
}

// patiently starts a service, for which a bus that is away is a reason to wait
// for a while.
func (a *App) patiently(ctx context.Context, start func(context.Context) error) error {
	limit := time.Now().Add(busPatience)
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
