package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"stoker/internal/api"
	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// healthBound is how long a look at the database or the bus may take.
const healthBound = 2 * time.Second

// health looks at what the API needs. Whoever reaches the API may ask, so it says
// nothing that an attacker could use: the log has the rest.
func (a *App) health(ctx context.Context) []api.Part {
	ctx, cancel := context.WithTimeout(ctx, healthBound)
	defer cancel()
	parts := []api.Part{{Name: "database"}, {Name: "bus"}}
	var looks sync.WaitGroup
	looks.Go(func() {
		parts[0].OK, parts[0].Reason = verdict(a.db.Ready(ctx), "its schema is not for this version: stoker db check says more")
	})
	looks.Go(func() { parts[1].OK, parts[1].Reason = verdict(a.reachBus(ctx), "it refuses us") })
	looks.Wait()
	h := a.policy.Health()
	p := api.Part{Name: "policy", OK: h.Err == nil}
	switch {
	case h.Err != nil:
		p.Reason = "its files cannot be read: the last good rules are in force since " + h.Since.UTC().Format(time.RFC3339)
	case len(h.Broken) > 0:
		p.Reason = fmt.Sprintf("%d rules will not do what they say", len(h.Broken))
	}
	return append(parts, p)
}

// reachBus asks the bus something: nil when it answers.
func (a *App) reachBus(ctx context.Context) error {
	_, err := a.bus.Consumers(ctx, oslo.ToAny(cinder.BinaryScheduler))
	return err
}

// verdict is what is told of an error.
func verdict(err error, otherwise string) (ok bool, reason string) {
	if err == nil {
		return true, ""
	}
	if kind := cinder.KindOf(err); kind == cinder.KindUnavailable || kind == cinder.KindTimeout {
		return false, "away"
	}
	return false, otherwise
}
