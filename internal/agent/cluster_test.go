package agent

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/backend"
	"stoker/internal/cinder"
)

const cluster = "mycl@alpha"

// member returns another service with the same rows, bus and backend, in a cluster.
func (s *site) member(host string) *site {
	n := s.again(func(o *VolumeOptions) { o.Host, o.Cluster = host, cluster })
	n.array = &array{targets: s.array.targets, fail: map[string]error{}}
	n.vo.Backend = n.array
	return n
}

// newCluster starts two members.
func newCluster(t *testing.T) (a, b *site) {
	t.Helper()
	s := newSite(t)
	a, b = s.member("nodea@alpha").start(), s.member("nodeb@alpha").start()
	s.bus.members = []*Volume{a.Volume, b.Volume}
	return a, b
}

// mark writes what control writes before it sends a command to a cluster.
func (s *site) mark(frozen bool, status cinder.ReplicationStatus) {
	s.t.Helper()
	for _, host := range []string{"nodea@alpha", "nodeb@alpha"} {
		s.rows.edit(s.t, host, func(r *cinder.Service) { r.Frozen, r.ReplicationStatus = frozen, status })
	}
	s.rows.editCluster(func(c *cinder.Cluster) { c.Frozen, c.ReplicationStatus = frozen, status })
}

// wantAll checks the rows of the cluster and its members.
func wantAll(t *testing.T, a, b *site, clusterRow, members string) {
	t.Helper()
	synctest.Wait()
	if got := a.cluster(); got != clusterRow {
		t.Errorf("cluster: %s, want %s", got, clusterRow)
	}
	a.want(members)
	b.want(members)
}

func TestClusterFailover(t *testing.T) {
	tests := []struct {
		name    string
		targets []string // in order
		fail    error    // of the last one
		frozen  bool
		cluster string
		members string
		told    cinder.FailoverOutcome // the last one
	}{
		{
			name: "to a site", targets: []string{"site-c"},
			cluster: "disabled 'failed-over' failed-over on site-c", members: "disabled 'failed-over' failed-over on site-c",
			told: cinder.FailoverOutcome{
				ReplicationStatus: "failed-over", ActiveBackendID: new("site-c"), Disabled: new(true), DisabledReason: new("failed-over"),
			},
		},
		{
			name: "and back", targets: []string{"site-c", "default"},
			cluster: "enabled enabled", members: "enabled enabled",
			told: cinder.FailoverOutcome{
				ReplicationStatus: "enabled", ActiveBackendID: new(""), Disabled: new(false), DisabledReason: new(""),
			},
		},
		{
			name: "and back while frozen", targets: []string{"site-c", "default"}, frozen: true,
			cluster: "enabled frozen enabled", members: "disabled 'frozen' frozen enabled",
			told: cinder.FailoverOutcome{
				ReplicationStatus: "enabled", ActiveBackendID: new(""), Disabled: new(false), DisabledReason: new(""),
			},
		},
		{
			name: "to nowhere", targets: []string{"nowhere"},
			cluster: "enabled enabled", members: "enabled enabled",
			told: cinder.FailoverOutcome{ReplicationStatus: "enabled"},
		},
		{
			name: "to nowhere while failed over", targets: []string{"site-b", "nowhere"},
			cluster: "disabled 'failed-over' failed-over on site-b", members: "disabled 'failed-over' failed-over on site-b",
			told: cinder.FailoverOutcome{ReplicationStatus: "failed-over"},
		},
		{
			name: "and failing", targets: []string{"site-b"}, fail: cinder.Errorf(cinder.KindInternal, "the array is on fire"),
			cluster: "disabled failover-error", members: "disabled failover-error",
			told: cinder.FailoverOutcome{ReplicationStatus: "failover-error", Disabled: new(true)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newCluster(t)
				active := ""
				for i, target := range tt.targets {
					taker := []*site{a, b}[i%2] // Any member may get the command.
					if i == len(tt.targets)-1 {
						taker.array.set("failover", tt.fail)
					}
					a.mark(tt.frozen, cinder.ReplicationFailingOver)
					err := taker.Failover(t.Context(), &target)
					if failed := tt.fail != nil || target == "nowhere"; (err != nil) != failed {
						t.Errorf("failover to %s: %v", target, err)
					}
					synctest.Wait()
					if err == nil {
						active = strings.TrimPrefix(target, "default")
					}
				}
				wantAll(t, a, b, tt.cluster, tt.members)
				if diff := cmp.Diff(tt.told, a.bus.heard()[len(tt.targets)-1]); diff != "" {
					t.Errorf("members were told (-want +got):\n%s", diff)
				}
				for _, member := range []*site{a, b} {
					if got := member.array.is().Active; got != active {
						t.Errorf("the backend of %s is on %q, want %q", member.row.Host, got, active)
					}
				}
			})
		})
	}
}

// TestFailoverCompletedAgain repeats, delays and drops the message.
func TestFailoverCompletedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newCluster(t)
		a.mark(false, cinder.ReplicationFailingOver)
		if err := a.Failover(t.Context(), new("site-b")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		outcome, before := a.bus.heard()[0], b.rows.row(t, "nodeb@alpha")
		pass(2 * time.Second)
		if err := b.FailoverCompleted(t.Context(), outcome); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, b.rows.row(t, "nodeb@alpha")); diff != "" {
			t.Errorf("hearing it twice changed the row (-before +after):\n%s", diff)
		}

		a.mark(false, cinder.ReplicationFailingOver)
		if err := a.Failover(t.Context(), new("default")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := b.FailoverCompleted(t.Context(), outcome); err != nil { // The old one, very late.
			t.Fatal(err)
		}
		wantAll(t, a, b, "enabled enabled", "enabled enabled")
		if got := b.array.is().Active; got != "" {
			t.Errorf("a late word sent the backend to %q", got)
		}
	})
}

// TestBackendThatDoesNotFollow checks that the member of such a backend shows the
// error.
func TestBackendThatDoesNotFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newCluster(t)
		b.array.set("completed", cinder.Errorf(cinder.KindInternal, "the path is down"))
		a.mark(false, cinder.ReplicationFailingOver)
		if err := a.Failover(t.Context(), new("site-b")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a.want("disabled 'failed-over' failed-over on site-b")
		b.want("disabled error")
	})
}

// TestFailoverWithoutABus checks that the member that failed over agrees with its
// cluster although the others do not know yet; they are told once the bus is back.
func TestFailoverWithoutABus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newCluster(t)
		a.bus.setErr(cinder.Errorf(cinder.KindUnavailable, "no bus"))
		a.mark(false, cinder.ReplicationFailingOver)
		wantKind(t, a.Failover(t.Context(), new("site-b")), cinder.KindUnavailable)
		a.want("disabled 'failed-over' failed-over on site-b")
		b.want("enabled failing-over")
		a.bus.setErr(nil)
		pass(10 * time.Second)
		wantAll(t, a, b, "disabled 'failed-over' failed-over on site-b", "disabled 'failed-over' failed-over on site-b")
		pass(time.Minute)
		if got := len(a.bus.heard()); got != 2 {
			t.Errorf("members were told %d times, want one that failed and one that did not", got)
		}
	})
}

// TestOwedOutcomeGivesWay checks that a pending outcome is dropped when somebody else
// has settled the cluster meanwhile.
func TestOwedOutcomeGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newCluster(t)
		a.mark(false, cinder.ReplicationFailingOver)
		a.rows.setAway(errAway)
		wantKind(t, a.Failover(t.Context(), new("site-b")), cinder.KindUnavailable)
		a.rows.setAway(nil)
		a.mark(false, cinder.ReplicationEnabled) // An administrator gave it up.
		pass(time.Minute)
		wantAll(t, a, b, "enabled enabled", "enabled enabled")
		if got := a.array.is().Active; got != "" {
			t.Errorf("the backend stays on %q", got)
		}
	})
}

// TestEnabledSinceTheFailover checks that a repeated message undoes no later change.
func TestEnabledSinceTheFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newCluster(t)
		a.mark(false, cinder.ReplicationFailingOver)
		if err := a.Failover(t.Context(), new("site-b")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.rows.edit(t, "nodeb@alpha", func(r *cinder.Service) { r.Disabled, r.DisabledReason = false, nil })
		if err := b.FailoverCompleted(t.Context(), a.bus.heard()[0]); err != nil {
			t.Fatal(err)
		}
		b.want("enabled failed-over on site-b")
	})
}

// TestClusterOutcomeIsOwed checks that cluster and members show a failover once the
// database, which was away, is back.
func TestClusterOutcomeIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newCluster(t)
		a.mark(false, cinder.ReplicationFailingOver)
		a.rows.setAway(errAway)
		wantKind(t, a.Failover(t.Context(), new("site-b")), cinder.KindUnavailable)
		a.rows.setAway(nil)
		pass(10 * time.Second)
		wantAll(t, a, b, "disabled 'failed-over' failed-over on site-b", "disabled 'failed-over' failed-over on site-b")
	})
}

// TestMemberStarts checks that a starting member agrees with its cluster (G3: it may
// have missed what happened to the others).
func TestMemberStarts(t *testing.T) {
	failedOver := cinder.Cluster{
		ReplicationStatus: "failed-over", ActiveBackendID: new("site-b"), Disabled: true, DisabledReason: new("failed-over"),
	}
	tests := []struct {
		name    string
		cluster cinder.Cluster
		row     *cinder.Service // nil: none yet
		alone   bool            // no other member is up
		want    string
		becomes string // of the cluster; "" means unchanged
	}{
		{"new", cinder.Cluster{ReplicationStatus: "enabled"}, nil, false, "enabled enabled", ""},
		{"new and the first", cinder.Cluster{ReplicationStatus: "not-capable"}, nil, true, "enabled enabled", "enabled enabled"},
		{"new to a frozen cluster", cinder.Cluster{ReplicationStatus: "enabled", Frozen: true}, nil, false, "disabled 'frozen' frozen enabled", ""},
		{"new to one failed over", failedOver, nil, false, "disabled 'failed-over' failed-over on site-b", ""},
		{
			"joins one failed over, as a service of its own before", failedOver,
			&cinder.Service{ReplicationStatus: "enabled"}, false, "disabled 'failed-over' failed-over on site-b", "",
		},
		{
			"missed a failover", failedOver,
			&cinder.Service{Cluster: cluster, ReplicationStatus: "failing-over"}, false, "disabled 'failed-over' failed-over on site-b", "",
		},
		{
			"missed another failover", failedOver,
			&cinder.Service{
				Cluster: cluster, ReplicationStatus: "failed-over", ActiveBackendID: new("site-c"),
				Disabled: true, DisabledReason: new("failed-over"),
			}, false, "disabled 'failed-over' failed-over on site-b", "",
		},
		{
			"missed the failback",
			cinder.Cluster{ReplicationStatus: "enabled", ActiveBackendID: new("")},
			&cinder.Service{
				Cluster: cluster, ReplicationStatus: "failing-over", ActiveBackendID: new("site-b"),
				Disabled: true, DisabledReason: new("failed-over"),
			}, false, "enabled enabled", "",
		},
		{
			"missed the failback, and is disabled for another reason",
			cinder.Cluster{ReplicationStatus: "enabled"},
			&cinder.Service{
				Cluster: cluster, ReplicationStatus: "failed-over", ActiveBackendID: new("site-b"),
				Disabled: true, DisabledReason: new("maint"),
			}, false, "disabled 'maint' enabled", "",
		},
		{
			"was enabled by an administrator since", failedOver,
			&cinder.Service{Cluster: cluster, ReplicationStatus: "failed-over", ActiveBackendID: new("site-b")},
			false, "enabled failed-over on site-b", "",
		},
		{
			"missed a freeze",
			cinder.Cluster{ReplicationStatus: "enabled", Frozen: true},
			&cinder.Service{Cluster: cluster, ReplicationStatus: "enabled"}, false, "disabled 'frozen' frozen enabled", "",
		},
		{
			"missed a thaw",
			cinder.Cluster{ReplicationStatus: "enabled"},
			&cinder.Service{Cluster: cluster, ReplicationStatus: "enabled", Frozen: true, Disabled: true, DisabledReason: new("frozen")},
			false, "enabled enabled", "",
		},
		{
			"while the others fail over",
			cinder.Cluster{ReplicationStatus: "failing-over"},
			&cinder.Service{Cluster: cluster, ReplicationStatus: "failing-over"}, false, "enabled failing-over", "",
		},
		{
			"alone, after it died while failing over",
			cinder.Cluster{ReplicationStatus: "failing-over"},
			&cinder.Service{Cluster: cluster, ReplicationStatus: "failing-over"}, true, "enabled enabled", "enabled enabled",
		},
		{
			"alone, after it died while failing over from one site to another",
			cinder.Cluster{ReplicationStatus: "failing-over", ActiveBackendID: new("site-b"), Disabled: true, DisabledReason: new("failed-over")},
			&cinder.Service{
				Cluster: cluster, ReplicationStatus: "failing-over", ActiveBackendID: new("site-b"),
				Disabled: true, DisabledReason: new("failed-over"),
			}, true, "disabled 'failed-over' failed-over on site-b", "disabled 'failed-over' failed-over on site-b",
		},
		{
			"after a failover that failed, which the others know of",
			cinder.Cluster{ReplicationStatus: "failover-error", Disabled: true},
			&cinder.Service{Cluster: cluster, ReplicationStatus: "failing-over"}, false, "disabled failover-error", "",
		},
		{
			"missed the way out of a failover that failed",
			cinder.Cluster{ReplicationStatus: "enabled"},
			&cinder.Service{Cluster: cluster, ReplicationStatus: "failover-error", Disabled: true}, false, "enabled enabled", "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				tt.cluster.ID, tt.cluster.Name, tt.cluster.Binary = 1, cluster, cinder.BinaryVolume
				s.rows.clusters = []cinder.Cluster{tt.cluster}
				heard := now()
				if tt.alone {
					heard = heard.Add(-time.Hour)
				}
				s.rows.services = []cinder.Service{{
					ID: 1, Host: "nodea@alpha", Binary: cinder.BinaryVolume, Cluster: cluster, UpdatedAt: heard,
				}}
				if tt.row != nil {
					tt.row.ID, tt.row.Host, tt.row.Binary = 2, "nodeb@alpha", cinder.BinaryVolume
					tt.row.UpdatedAt = now().Add(-time.Hour)
					s.rows.services = append(s.rows.services, *tt.row)
				}
				s.rows.lastID = 2
				before := s.cluster()
				b := s.member("nodeb@alpha").start()
				b.want(tt.want)
				if tt.becomes == "" {
					tt.becomes = before
				}
				if got := s.cluster(); got != tt.becomes {
					t.Errorf("cluster: %s, want %s", got, tt.becomes)
				}
				row := s.rows.row(t, "nodeb@alpha")
				told := backend.State{Active: value(row.ActiveBackendID), Frozen: row.Frozen}
				if diff := cmp.Diff(told, b.array.is()); diff != "" {
					t.Errorf("the row and the backend differ:\n%s", diff)
				}
			})
		})
	}
}

// The commands of a cluster reach one member, which writes its own row.
