package interop

import (
	"testing"

	"stoker/test/cloud"
	"stoker/test/peers"
)

// cluster is two members of mycl@alpha and both APIs.
type cluster struct {
	*cloud.Cloud

	ours, cinder cloud.API
	members      map[string]*peers.Cinder // by host
	python       bool                     // one of them is Cinder's
}

// A cluster of two unchanged cinder-volume.
func TestPythonCluster(t *testing.T) {
	t.Parallel()
	engines.Each(t, func(t *testing.T, engines *peers.Shared) {
		t.Helper()
		c := newCluster(t, engines, map[string]bool{"nodea": true, "nodeb": true})
		c.walks(t, c.ours, exploding("explode", nil, nil))
		c.both(t)
	})
}

// A cluster of two of Stoker's volume services.
func TestStokerCluster(t *testing.T) {
	t.Parallel()
	engines.Each(t, func(t *testing.T, engines *peers.Shared) {
		t.Helper()
		c := newCluster(t, engines, map[string]bool{"nodea": false, "nodeb": false})
		c.walks(t, c.cinder, nil)
		c.walks(t, c.ours, nil)
		c.both(t)
		c.missing(t, "nodeb")
	})
}

// One cluster with a Python and a Go member, and either API.
func TestMixedCluster(t *testing.T) {
	t.Parallel()
	engines.Each(t, func(t *testing.T, engines *peers.Shared) {
		t.Helper()
		c := newCluster(t, engines, map[string]bool{"nodea": true, "nodeb": false})
		c.walks(t, c.ours, nil)
		c.both(t)
		c.missing(t, "nodea")
		c.missing(t, "nodeb")
	})
}

// newCluster starts members by host, Python ones or Stoker's.
func newCluster(t *testing.T, engines *peers.Shared, python map[string]bool) *cluster {
	t.Helper()
	c := &cluster{Cloud: cloud.New(t, engines), members: map[string]*peers.Cinder{}}
	theirs := c.Python(t, "host1", "scheduler", "api")
	c.Sync(t)
	for host, is := range python {
		c.python = c.python || is
		c.members[host] = c.Member(t, host, is)
	}
	own := c.Stoker(t, "host1", "api")
	c.ours, c.cinder = cloud.API{Name: "stoker", URL: own.URL}, cloud.API{Name: "cinder-api", URL: theirs.URL}
	return c
}

// walk is one by that API and target.
func (c *cluster) walk(a cloud.API, target map[string]any) walk {
	return walk{
		d: c.Cloud, api: a, ours: a == c.ours, python: c.python, target: target,
		hosts: []string{"nodea@alpha", "nodeb@alpha"}, cluster: "mycl@alpha", start: healthy,
	}
}

// walks freezes and fails over by cluster and by each member.
func (c *cluster) walks(t *testing.T, a cloud.API, explode []step) {
	t.Helper()
	for name, target := range map[string]map[string]any{
		"by cluster":         {"cluster": "mycl@alpha"},
		"by the one member":  {"host": "nodea@alpha"},
		"by the other one":   {"host": "nodeb@alpha"},
		"by a member's name": {"host": "nodea"},
	} {
		passed(t, t.Run(a.Name+" "+name, func(t *testing.T) {
			w := c.walk(a, target)
			w.run(t, clusterFreezing())
			w.run(t, clusterFailingOvers())
			w.run(t, explode)
		}))
	}
}

// both compares what the two APIs list, has Cinder's fail over what Stoker's
// lists, and the one go on where the other has gone.
func (c *cluster) both(t *testing.T) {
	t.Helper()
	passed(t, t.Run("lists", func(t *testing.T) { alike(t, c.ours, c.cinder, backendStateOfClusters) }))
	passed(t, t.Run("failover by both", func(t *testing.T) {
		w := c.walk(c.ours, map[string]any{"cluster": "mycl@alpha"})
		for _, s := range []struct {
			api          cloud.API
			target, line string
		}{{c.cinder, "site-b", onSiteB}, {c.cinder, "default", healthy}, {c.cinder, "site-c", onSiteC}, {c.ours, "default", healthy}, {c.ours, "site-b", onSiteB}, {c.cinder, "default", healthy}} {
			s.api.Must(t, "os-services/"+failover(c.Options.Release, s.api == c.ours), map[string]any{"cluster": "mycl@alpha", "backend_id": s.target})
			w.settled(t, s.line, "after a failover to "+s.target+" by "+s.api.Name)
		}
	}))
}

// missing has a member die before a failover.
func (c *cluster) missing(t *testing.T, host string) {
	t.Helper()
	passed(t, t.Run(host+" is dead and misses a failover", func(t *testing.T) {
		missed(t, c.walk(c.ours, map[string]any{"cluster": "mycl@alpha"}), c.members[host].Service(t, "volume"))
	}))
}

// clusterFreezing are the steps that leave all members alike.
func clusterFreezing() []step {
	return []step{
		{name: "freeze", action: "freeze", want: want{ok, "", frozen}},
		{name: "freeze again", action: "freeze", want: want{bad, "frozen in", frozen}},
		{name: "thaw", action: "thaw", want: want{ok, "", healthy}},
		{name: "thaw again", action: "thaw", want: want{bad, "frozen in", healthy}},
	}
}

// clusterFailingOvers are the steps there and back.
func clusterFailingOvers() []step {
	to := func(target string) map[string]any { return map[string]any{"backend_id": target} }
	return []step{
		{name: "failover to none in particular", action: "failover", want: want{accepted, "", onSiteB}},
		{name: "on to another target", action: "failover", body: to("site-c"), want: want{accepted, "", onSiteC}},
		{name: "failback", action: "failover", body: to("default"), want: want{accepted, "", healthy}},
		{
			name: "to an unknown target", action: "failover", body: to("nowhere"),
			want: want{bad, "nowhere is no replication target", healthy}, python: &want{accepted, "", healthy}, cinder: &want{accepted, "", healthy},
			announced: true,
		},
		{name: "failover and", action: "failover", body: to("site-b"), want: want{accepted, "", onSiteB}},
		{name: "failback once more", action: "failover", body: to("default"), want: want{accepted, "", healthy}},
	}
}

// missed kills a member, has the other freeze and thaw for both, fails the cluster
// over, and starts the member again: it is told what it has missed. The same on
// the way back.
func missed(t *testing.T, w walk, member *peers.Engine) {
	t.Helper()
	for _, s := range []struct{ target, line string }{{"site-c", onSiteC}, {"default", healthy}} {
		member.Kill(t)
		if s.target != "default" {
			w.run(t, clusterFreezing())
		}
		if got := w.api.Put(t, "os-services/failover", cloud.Newest, map[string]any{"cluster": "mycl@alpha", "backend_id": s.target}); got.Status != accepted {
			t.Fatalf("failover with a member dead: %d %s", got.Status, got.Body)
		}
		member.Start(t)
		w.settled(t, s.line, "after the member's return")
	}
}
