package control

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"stoker/internal/cinder"
)

// poolsFresh is how long what the scheduler said is taken for what it would say:
// backends report to it once a minute, so a second more is nothing, and lists that
// are asked for all the time need not ask it each time.
const poolsFresh = time.Second

// pools is what the scheduler said last, or that it said nothing.
type pools struct {
	asking chan struct{} // holds a token while somebody asks

	mu     sync.Mutex // guards what follows
	known  map[string]string
	until  time.Time // when it has to be asked again
	change int       // counts our own changes, each of which makes it ask again
}

func newPools() *pools { return &pools{asking: make(chan struct{}, 1)} }

// fresh is what is known, when that is new enough.
func (p *pools) fresh() (states map[string]string, change int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known, p.change, time.Now().Before(p.until)
}

// keep notes an answer to a question that was asked when change was the last.
func (p *pools) keep(states map[string]string, change int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.change == change {
		p.known, p.until = states, time.Now().Add(poolsFresh)
	}
}

// forget makes the next list ask: a change of ours may have changed the answer.
func (p *pools) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change++
	p.until = time.Time{}
}

// BackendStates says for every backend that the scheduler knows whether it is
// up or down, by the name that Service.QueueHost gives. A backend is down when
// any of its pools is. What is known for less than a second is not asked for
// again, unless this process has changed something since. It waits at most
// PoolsTimeout; nil when nobody answered, which is no error: a list is wanted most
// when the scheduler is away (G5). The result is shared and must not be written to.
func (c *Control) BackendStates(ctx context.Context) map[string]string {
	if states, _, ok := c.pools.fresh(); ok {
		return states
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.PoolsTimeout)
	defer cancel()
	select {
	case c.pools.asking <- struct{}{}:
		defer func() { <-c.pools.asking }()
	case <-ctx.Done():
		return nil
	}
	states, change, ok := c.pools.fresh() // somebody may have asked while we waited
	if ok {
		return states
	}
	found, err := c.o.Fleet.Pools(ctx)
	if err != nil {
		c.o.Log.DebugContext(ctx, "no pools from the scheduler: backend states are not shown", "error", err)
		if !errors.Is(ctx.Err(), context.Canceled) { // else it was we who gave up
			c.pools.keep(nil, change)
		}
		return nil
	}
	states = statesOf(found)
	c.pools.keep(states, change)
	return states
}

func statesOf(found []cinder.Pool) map[string]string {
	states := make(map[string]string, len(found))
	for _, p := range found {
		backend, _, _ := strings.Cut(p.Name, "#")
		switch {
		case p.BackendState == "down":
			states[backend] = "down"
		case states[backend] == "":
			states[backend] = "up"
		}
	}
	return states
}
