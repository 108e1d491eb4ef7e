package rpc_test

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/internal/rpc"
)

func TestTargets(t *testing.T) {
	first := time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC) // an hour before the bubble's start
	host := func(age time.Duration, targets any) cinder.Capabilities {
		return cinder.Capabilities{
			Service: "volume", Host: "host1@alpha", Time: first.Add(-age),
			Values: map[string]any{"replication_targets": targets},
		}
	}
	cluster := host(0, []string{"site-d"})
	cluster.Host, cluster.Cluster = "nodea@alpha", "mycl@alpha"
	other := host(0, []string{"site-d", "site-b"})
	other.Host, other.Cluster = "nodeb@alpha", cluster.Cluster
	old := host(time.Hour, []string{"site-f"})
	old.Host, old.Cluster = "nodec@alpha", cluster.Cluster
	whole := func(c cinder.Capabilities) cinder.Capabilities {
		c.Values = maps.Clone(c.Values)
		c.Values[cinder.CapabilityTargetsComplete] = true
		return c
	}
	backup := host(0, []string{"site-e"})
	backup.Service = "backup"
	complete := host(0, []string{"site-b"})
	complete.Values[cinder.CapabilityTargetsComplete] = true
	named := func(sites ...string) cinder.FailoverTargets { return cinder.FailoverTargets{Names: sites} }
	for _, tc := range []struct {
		name string
		told []cinder.Capabilities
		of   cinder.Service
		want cinder.FailoverTargets
	}{
		{"nobody told anything", nil, alpha(), cinder.FailoverTargets{}},
		{"names", []cinder.Capabilities{host(0, []string{"site-b", "site-c"})}, alpha(), named("site-b", "site-c")},
		{
			"objects",
			[]cinder.Capabilities{host(0, []any{map[string]any{"backend_id": "site-b", "san_ip": "x"}, map[string]any{}, 7})},
			alpha(),
			named("site-b"),
		},
		{"none", []cinder.Capabilities{host(0, []string{})}, alpha(), cinder.FailoverTargets{}},
		{"no word of targets", []cinder.Capabilities{{Service: "volume", Host: "host1@alpha", Values: map[string]any{}}}, alpha(), cinder.FailoverTargets{}},
		{"all there are", []cinder.Capabilities{complete}, alpha(), cinder.FailoverTargets{Names: []string{"site-b"}, Complete: true}},
		{"no list", []cinder.Capabilities{host(0, "site-b")}, alpha(), cinder.FailoverTargets{}},
		{"the newest counts", []cinder.Capabilities{host(time.Minute, []string{"site-b"}), host(0, []string{"site-c"})}, alpha(), named("site-c")},
		{"an older one does not", []cinder.Capabilities{host(0, []string{"site-c"}), host(time.Minute, []string{"site-b"})}, alpha(), named("site-c")},
		{
			"one of the time before the clock was set back does not",
			[]cinder.Capabilities{host(-3*time.Hour, []string{"site-b"}), host(-time.Hour, []string{"site-c"})},
			alpha(),
			named("site-c"),
		},
		{"there are no more", []cinder.Capabilities{host(time.Minute, []string{"site-b"}), host(0, nil)}, alpha(), cinder.FailoverTargets{}},
		{"another service", []cinder.Capabilities{host(0, []string{"site-b"})}, member("host1@alpha"), cinder.FailoverTargets{}},
		{"a cluster's", []cinder.Capabilities{cluster}, member("nodeb@alpha"), named("site-d")},
		{"members of a cluster", []cinder.Capabilities{cluster, other}, member("nodeb@alpha"), named("site-d", "site-b")},
		{"members that all say that there are no more", []cinder.Capabilities{whole(cluster), whole(other)}, member("nodeb@alpha"), cinder.FailoverTargets{Names: []string{"site-d", "site-b"}, Complete: true}},
		{"all but the last", []cinder.Capabilities{whole(cluster), other}, member("nodeb@alpha"), named("site-d", "site-b")},
		{"all but the first", []cinder.Capabilities{cluster, whole(other)}, member("nodeb@alpha"), named("site-d", "site-b")},
		{"one that has long been silent", []cinder.Capabilities{old, cluster}, member("nodeb@alpha"), named("site-d")},
		{"a backup service of the same name", []cinder.Capabilities{backup}, alpha(), cinder.FailoverTargets{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				s, err := b.Follow(t.Context(), b.Transport)
				closed(t, s, err)
				for _, c := range tc.told {
					if err := b.UpdateServiceCapabilities(t.Context(), c); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				if diff := cmp.Diff(tc.want, b.Targets(tc.of)); diff != "" {
					t.Errorf("targets (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestFollowIsNoScheduler checks that Follow asks the services to publish, gets the
// schedulers' fanouts, and takes no work from them.
func TestFollowIsNoScheduler(t *testing.T) {
	b := newBus(t)
	volume, backup, scheduler := b.serveVolume(t, "host1@alpha", ""), b.serveBackup(t), b.serveScheduler(t)
	s, err := b.Follow(t.Context(), b.Transport)
	closed(t, s, err)
	for name, r := range map[string]*recorder{"volume": volume, "backup": backup} {
		if got := r.next(t).Name; got != "publish" {
			t.Errorf("the %s service was told to %s, want publish", name, got)
		}
	}
	if n, err := b.Consumers(t.Context(), oslo.ToAny("cinder-scheduler")); n != 1 || err != nil {
		t.Errorf("%d consumers take work of schedulers (%v), want the scheduler alone", n, err)
	}
	if err := b.UpdateServiceCapabilities(t.Context(), cinder.Capabilities{Service: "volume", Host: "host1@alpha"}); err != nil {
		t.Fatal(err)
	}
	if got := scheduler.next(t).Name; got != "update" {
		t.Errorf("the scheduler was told %s, want update", got)
	}
}

// TestFollowWithoutAsking checks that Follow succeeds when the services could not be
// asked: they publish periodically.
func TestFollowWithoutAsking(t *testing.T) {
	b := newBus(t)
	client := oslo.NewClient(oslo.ClientOptions{Transport: deaf{b.Transport}, ResponseTimeout: time.Second, Log: b.log})
	s, err := rpc.New(client, rpc.Options{Log: b.log}).Follow(t.Context(), b.Transport)
	closed(t, s, err)
}
