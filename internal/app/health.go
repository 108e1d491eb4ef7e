package app

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"stoker/internal/api"
	"stoker/internal/cinder"
	"stoker/internal/oslo/amqp"
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
		err := a.db.Ready(ctx)
		if err == nil {
			err = a.db.TakesWrites(ctx)
		}
		if err != nil {
			parts[0].Reason = a.db.Trouble(err)
		}
	})
	looks.Go(func() { parts[1].Reason = busTrouble(a.client.Ready(ctx)) })
	looks.Wait()
	for i := range parts {
		parts[i].OK = parts[i].Reason == ""
	}
	if parts[1].OK && a.o.Config.MemoryBus() && !a.o.Alone {
		parts[1].Reason = "inside this process: no command gets to a service of another"
	}
	h := a.policy.Health()
	p := api.Part{Name: "policy", OK: h.Err == nil}
	switch {
	case h.Err != nil:
		p.Reason = "its files cannot be read: the last good rules are in force since " + h.Since.UTC().Format(time.RFC3339)
	case len(h.Broken) > 0:
		p.Reason = fmt.Sprintf("%d rules will not do what they say", len(h.Broken))
	}
	parts = append(parts, p)
	if a.passed != nil {
		// What is served here is served without it: the process is as well as it was.
		parts = append(parts, api.Part{Name: "upstream", OK: true, Reason: a.passed.Trouble()})
	}
	return parts
}

// busTrouble is what is told of an error of the bus; "" of none.
func busTrouble(err error) string {
	if err == nil {
		return ""
	}
	if refusals := amqp.Refusals(err); len(refusals) > 0 {
		return strings.Join(refusals, " ") + " stoker bus check says more."
	}
	if kind := cinder.KindOf(err); kind == cinder.KindUnavailable || kind == cinder.KindTimeout {
		return "away"
	}
	return "it refuses us: stoker bus check says more"
}
