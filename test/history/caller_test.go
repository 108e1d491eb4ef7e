package history

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"stoker/test/load"
)

// callers is the number of concurrent callers.
const callers = 7

// caller sends random requests.
type caller struct {
	*history
	number int
	random *rand.Rand
	mine   []*sent // its last changes with a key
}

// remembered is how many of its changes a caller may repeat.
const remembered = 30

// work sends requests until the context ends.
func (c *caller) work(ctx context.Context) {
	for ctx.Err() == nil {
		switch n := c.random.IntN(100); {
		case n < 35:
			c.list(ctx)
		case n < 45 && len(c.mine) > 0:
			c.repeat(ctx, c.mine[c.random.IntN(len(c.mine))])
		default:
			c.change(ctx)
		}
		c.pause(ctx, 300*time.Millisecond)
	}
}

func (c *caller) pause(ctx context.Context, most time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(c.random.Int64N(int64(most)))):
	}
}

func (c *caller) list(ctx context.Context) {
	p := c.places[c.random.IntN(len(c.places))]
	r := []load.Request{{}, {Path: "?binary=" + volume}, {Path: "?host=" + p.hosts[0]}, {Path: "/detail", Clusters: true}}[c.random.IntN(4)]
	c.send(ctx, c.from(&sent{what: "list", Request: r}))
}

// from makes a request one of this caller's, to a random API process.
func (c *caller) from(s *sent) *sent {
	s.caller, s.api, s.limit = c.number, c.random.IntN(len(c.apis)), load.Deadline
	return s
}

// change requests a change: without a key; with one; with one and twice at the same
// time; or with one and a short timeout, and then again.
func (c *caller) change(ctx context.Context) {
	s := c.from(c.draw())
	how := c.random.IntN(10)
	if how < 4 {
		c.send(ctx, s)
		return
	}
	s.Key = uuid.NewString()
	switch {
	case how < 7:
		c.send(ctx, s)
	case how < 8:
		other := s.copy(1 - s.api)
		var both errgroup.Group
		both.Go(func() error { c.send(ctx, s); return nil })
		both.Go(func() error { c.send(ctx, other); return nil })
		_ = both.Wait()
	default:
		s.limit = time.Duration(1+c.random.IntN(100)) * time.Millisecond
		c.send(ctx, s)
		c.pause(ctx, time.Second)
		c.repeat(ctx, s)
	}
	if c.mine = append(c.mine, s); len(c.mine) > remembered {
		c.mine = c.mine[1:]
	}
}

// repeat sends a change again.
func (c *caller) repeat(ctx context.Context, s *sent) *sent {
	return c.send(ctx, c.from(s.copy(0)))
}

// copy is the same request to an API process.
func (s *sent) copy(api int) *sent {
	return &sent{
		Request: s.Request, what: s.what, place: s.place, member: s.member, detail: s.detail,
		caller: s.caller, api: api, limit: load.Deadline,
	}
}

// draw chooses a random change.
func (c *caller) draw() *sent {
	p := c.places[c.random.IntN(len(c.places))]
	what := []string{"freeze", "freeze", "thaw", "thaw", "disable", "disable", "enable", "enable", "failover", "failover", "set-log", "cluster"}[c.random.IntN(12)]
	switch {
	case what == "set-log":
		return c.levels(p)
	case what == "cluster" && p.cluster:
		return c.cluster(p)
	case what == "cluster":
		what = "disable"
	case what == "failover" && p.sites == nil:
		what = "freeze"
	}
	return c.ask(p, what, c.random.IntN(len(p.hosts)), "")
}

// ask is a change of a place, or of one of its members. A failover without a site gets
// a random one.
func (c *caller) ask(p *place, what string, member int, site string) *sent {
	s := &sent{what: what, place: p, member: member, Request: load.Request{Path: "/" + what, Body: map[string]any{"host": p.hosts[member]}}}
	switch what {
	case "disable":
		s.detail = "because " + uuid.NewString()[:8]
		s.Path = "/disable-log-reason"
		maps.Copy(s.Body, map[string]any{"binary": volume, "disabled_reason": s.detail})
	case "enable":
		s.Body["binary"] = volume
	default:
		if p.cluster && c.random.IntN(2) == 0 {
			s.Body = map[string]any{"cluster": p.name}
		}
	}
	if what == "failover" {
		if s.detail = site; site == "" {
			s.detail = p.sites[c.random.IntN(len(p.sites))]
		}
		s.Body["backend_id"] = s.detail
		if s.Body["host"] != nil && c.random.IntN(2) == 0 {
			s.Path = "/failover_host"
		}
	}
	return s
}

// levels sets the log level of a backup service.
func (c *caller) levels(p *place) *sent {
	level := []string{"INFO", "DEBUG"}[c.random.IntN(2)]
	body := map[string]any{"binary": "cinder-backup", "server": p.fleet.Host, "prefix": "history", "level": level}
	return &sent{what: "set-log", detail: "history=" + level, Request: load.Request{Path: "/set-log", Body: body}}
}

// cluster enables or disables a cluster.
func (c *caller) cluster(p *place) *sent {
	body := map[string]any{"name": p.name, "binary": volume}
	if c.random.IntN(2) == 0 {
		return &sent{what: "enable-cluster", Request: load.Request{Path: "/enable", Clusters: true, Body: body}}
	}
	body["disabled_reason"] = fmt.Sprintf("because %d", c.random.IntN(1e6))
	return &sent{what: "disable-cluster", Request: load.Request{Path: "/disable", Clusters: true, Body: body}}
}
