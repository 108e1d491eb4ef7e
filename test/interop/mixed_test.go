package interop

import (
	"testing"

	"stoker/test/peers"
)

// One cluster with a Python and a Go member, and either API.
func TestMixedCluster(t *testing.T) {
	d := newDeployment(t)
	host := d.python(t, "host1", "scheduler", "api")
	d.sync(t)
	o := d.options
	o.Cluster, o.Services, o.Backends = "mycl", []string{"volume"}, []string{"alpha"}
	o.Host = "nodea"
	python := peers.StartCinder(t, o)
	o.Host, o.Program = "nodeb", engines.Program(t)
	goes := peers.StartCinder(t, o)
	own := d.stoker(t, "host1", "api")
	ours, cinder := api{name: "stoker", url: own.URL}, api{name: "cinder-api", url: host.URL}

	members := []string{"nodea@alpha", "nodeb@alpha"}
	cluster := walk{d: d, api: ours, ours: true, target: map[string]any{"cluster": "mycl@alpha"}, hosts: members, cluster: "mycl@alpha", start: healthy}
	for name, target := range map[string]map[string]any{
		"by cluster":       {"cluster": "mycl@alpha"},
		"by Python member": {"host": "nodea@alpha"},
		"by Go member":     {"host": "nodeb@alpha"},
	} {
		w := cluster
		w.target = target
		passed(t, t.Run("freeze and thaw "+name, func(t *testing.T) { w.run(t, clusterFreezing()) }))
	}
	passed(t, t.Run("failover and failback", func(t *testing.T) { cluster.run(t, clusterFailingOvers()) }))
	passed(t, t.Run("failover by Cinder's API", func(t *testing.T) {
		for _, s := range []struct{ target, line string }{{"site-b", onSiteB}, {"default", healthy}} {
			if got := cinder.put(t, "os-services/failover", newest, map[string]any{"cluster": "mycl@alpha", "backend_id": s.target}); got.status != accepted {
				t.Fatalf("%d %s", got.status, got.body)
			}
			cluster.settled(t, s.line, "after a failover to "+s.target)
		}
	}))
	for name, member := range map[string]*peers.Engine{"Python": python.Service(t, "volume"), "Go": goes.Service(t, "volume")} {
		passed(t, t.Run("a dead "+name+" member misses a failover", func(t *testing.T) { missed(t, cluster, member) }))
	}
	passed(t, t.Run("lists", func(t *testing.T) {
		for _, path := range []string{"clusters", "clusters/detail"} {
			if mine, theirs := content(t, ours.get(t, path, newest)), content(t, cinder.get(t, path, newest)); text(mine) != text(theirs) {
				t.Errorf("%s: %s, want %s", path, text(mine), text(theirs))
			}
		}
	}))
}

// clusterFreezing are the steps that leave all members alike.
func clusterFreezing() []step {
	return []step{
		{name: "freeze", action: "freeze", want: want{ok, "", frozen}},
		{name: "freeze again", action: "freeze", want: want{bad, "frozen in", frozen}},
		{name: "thaw", action: "thaw", want: want{ok, "", healthy}},
	}
}

// clusterFailingOvers are the steps there and back.
func clusterFailingOvers() []step {
	to := func(target string) map[string]any { return map[string]any{"backend_id": target} }
	return []step{
		{name: "failover to none in particular", action: "failover", want: want{accepted, "", onSiteB}},
		{name: "on to another target", action: "failover", body: to("site-c"), want: want{accepted, "", onSiteC}},
		{name: "failback", action: "failover", body: to("default"), want: want{accepted, "", healthy}},
		{name: "to an unknown target", action: "failover", body: to("nowhere"), want: want{bad, "nowhere is no replication target", healthy}},
	}
}

// missed kills a member, fails the cluster over, and starts the member again: it
// is told what it has missed. The same on the way back.
func missed(t *testing.T, w walk, member *peers.Engine) {
	t.Helper()
	for _, s := range []struct{ target, line string }{{"site-c", onSiteC}, {"default", healthy}} {
		member.Kill(t)
		if got := w.api.put(t, "os-services/failover", newest, map[string]any{"cluster": "mycl@alpha", "backend_id": s.target}); got.status != accepted {
			t.Fatalf("failover with a member dead: %d %s", got.status, got.body)
		}
		member.Start(t)
		w.settled(t, s.line, "after the member's return")
	}
}
