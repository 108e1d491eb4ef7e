package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/backend"
	"stoker/internal/cinder"
	"stoker/internal/telemetry"
)

func options(r *rows, b *bus, host string) Options {
	return Options{
		Host: host, Zone: "nova", Store: r, Bus: b,
		Loggers:        telemetry.NewLoggers(telemetry.NewHandler(&buffer{}, telemetry.Text), cinder.LogInfo),
		ReportInterval: 10 * time.Second, DownTime: time.Minute,
	}
}

func newScheduler(r *rows, b *bus) *Scheduler {
	return NewScheduler(SchedulerOptions{Options: options(r, b, "host1"), View: r})
}

func TestSchedulerAsksAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, b := newRows(), &bus{}
		s := newScheduler(r, b)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(30 * time.Second)
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"publish"}, b.take()); diff != "" {
			t.Errorf("said (-want +got):\n%s", diff)
		}
		row := r.row(t, "host1")
		if row.Binary != "cinder-scheduler" || row.Topic != "cinder-scheduler" || row.RPCVersion != "3.12" ||
			row.ObjectVersion != "1.39" || row.ReplicationStatus != "not-capable" || row.ReportCount < 3 {
			t.Errorf("row %+v", row)
		}
	})
}

// capabilities are those of a volume service, as received from the bus.
func capabilities(host, cluster string, at time.Time, pools ...string) cinder.Capabilities {
	s := backend.Stats{Name: "alpha", Vendor: "test", Version: "1.0", Protocol: "file"}
	for _, name := range pools {
		s.Pools = append(s.Pools, backend.Pool{Name: name, TotalGB: 100, FreeGB: 50, Up: true})
	}
	return cinder.Capabilities{Service: "volume", Host: host, Cluster: cluster, Values: s.Capabilities(), Time: at}
}

func TestGetPools(t *testing.T) {
	row := func(host, cluster string, change ...func(*cinder.Service)) cinder.Service {
		s := cinder.Service{Host: host, Binary: cinder.BinaryVolume, Cluster: cluster, UpdatedAt: now()}
		for _, fn := range change {
			fn(&s)
		}
		return s
	}
	disabled := func(s *cinder.Service) { s.Disabled = true }
	frozen := func(s *cinder.Service) { s.Frozen = true }
	down := func(s *cinder.Service) { s.UpdatedAt = now().Add(-2 * time.Minute) }
	tests := []struct {
		name string
		rows []cinder.Service
		caps []cinder.Capabilities
		want []string
	}{
		{"nobody", nil, nil, []string{}},
		{
			"one that serves",
			[]cinder.Service{row("host1@alpha", "")},
			[]cinder.Capabilities{capabilities("host1@alpha", "", now(), "p1", "p2")},
			[]string{"host1@alpha#p1", "host1@alpha#p2"},
		},
		{
			"those that do not",
			[]cinder.Service{
				row("host1@a", "", disabled), row("host1@b", "", frozen), row("host1@c", "", down), row("host1@d", ""),
			},
			[]cinder.Capabilities{
				capabilities("host1@a", "", now(), "p"), capabilities("host1@b", "", now(), "p"),
				capabilities("host1@c", "", now(), "p"), capabilities("host1@d", "", now(), "p"),
			},
			[]string{"host1@d#p"},
		},
		{
			"a cluster goes by its name",
			[]cinder.Service{row("nodea@alpha", cluster), row("nodeb@alpha", cluster, down)},
			[]cinder.Capabilities{capabilities("nodea@alpha", cluster, now(), "p"), capabilities("nodeb@alpha", cluster, now(), "p")},
			[]string{"mycl@alpha#p"},
		},
		{
			"a cluster of which no member serves",
			[]cinder.Service{row("nodea@alpha", cluster, disabled), row("nodeb@alpha", cluster, down)},
			[]cinder.Capabilities{capabilities("nodea@alpha", cluster, now(), "p")},
			[]string{},
		},
		{
			"one that was removed",
			[]cinder.Service{row("host1@alpha", "", func(s *cinder.Service) { s.Binary = cinder.BinaryBackup })},
			[]cinder.Capabilities{capabilities("host1@alpha", "", now(), "p")},
			[]string{},
		},
		{
			"the newest word counts",
			[]cinder.Service{row("host1@alpha", "")},
			[]cinder.Capabilities{
				capabilities("host1@alpha", "", now(), "p1"),
				capabilities("host1@alpha", "", now().Add(time.Second), "p2"),
				capabilities("host1@alpha", "", now().Add(-time.Second), "p3"),
			},
			[]string{"host1@alpha#p2"},
		},
		{
			"a word of the time before the clock was set back does not",
			[]cinder.Service{row("host1@alpha", "")},
			[]cinder.Capabilities{
				capabilities("host1@alpha", "", now().Add(2*time.Hour), "p1"),
				capabilities("host1@alpha", "", now(), "p2"),
			},
			[]string{"host1@alpha#p2"},
		},
		{
			"nonsense",
			[]cinder.Service{row("host1@alpha", ""), row("host1@beta", ""), row("host1@gamma", "")},
			[]cinder.Capabilities{
				{Service: "volume", Host: "host1@alpha", Values: map[string]any{"pools": "none"}},
				{Service: "volume", Host: "host1@beta", Values: map[string]any{"pools": []any{"p", map[string]any{"pool_name": 1}}}},
				{Service: "backup", Host: "host1@gamma", Values: capabilities("", "", now(), "p").Values},
			},
			[]string{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRows()
			r.services = tt.rows
			s := newScheduler(r, &bus{})
			for i, c := range tt.caps {
				take := s.UpdateServiceCapabilities
				if i%2 == 1 { // Half of them arrive in reverse, by the queue's name.
					take = s.NotifyServiceCapabilities
					c.Host, c.Cluster = c.QueueHost(), ""
				}
				if err := take(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			pools, err := s.GetPools(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			names := []string{}
			for _, p := range pools {
				names = append(names, p.Name)
			}
			if diff := cmp.Diff(tt.want, names); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPoolTellsOfItsBackend compares a pool with the recorded reply
// (doc/cinder/wire.md#pools), including backend_state.
func TestPoolTellsOfItsBackend(t *testing.T) {
	r := newRows()
	r.services = []cinder.Service{{Host: alpha, Binary: cinder.BinaryVolume, UpdatedAt: now()}}
	s := newScheduler(r, &bus{})
	at := time.Date(2026, 11, 23, 8, 51, 15, 343682000, time.UTC)
	if err := s.UpdateServiceCapabilities(t.Context(), capabilities(alpha, "", at, "alpha")); err != nil {
		t.Fatal(err)
	}
	pools, err := s.GetPools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []PoolCapabilities{{Name: "host1@alpha#alpha", Values: map[string]any{
		"pool_name": "alpha", "total_capacity_gb": 100.0, "free_capacity_gb": 50.0, "reserved_percentage": 0,
		"QoS_support": false, "replication_enabled": false, "allocated_capacity_gb": 0.0, "backend_state": "up",
		"volume_backend_name": "alpha", "storage_protocol": "file", "vendor_name": "test", "driver_version": "1.0",
		"timestamp": "2026-11-23T08:51:15.343682", "filter_function": nil, "goodness_function": nil,
	}}}
	if diff := cmp.Diff(want, pools); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
	r.setAway(errAway)
	_, err = s.GetPools(t.Context())
	wantKind(t, err, cinder.KindUnavailable)
}

func TestBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, b := newRows(), &bus{}
		r.causes["cinder-backup host1"] = []cinder.Cause{{Kind: cinder.CauseAdmin, Reason: new("tape is full")}}
		s := NewBackup(BackupOptions{Options: options(r, b, "host1"), Driver: "stoker.backup", StatsInterval: time.Minute})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if err := s.PublishCapabilities(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{"update host1", "notify host1", "update host1", "notify host1", "update host1", "notify host1"}
		if diff := cmp.Diff(want, b.take()); diff != "" {
			t.Errorf("said (-want +got):\n%s", diff)
		}
		c := b.last()
		values := map[string]any{"backend_state": true, "driver_name": "stoker.backup", "availability_zone": "nova"}
		if diff := cmp.Diff(values, c.Values); diff != "" || c.Service != "backup" {
			t.Errorf("capabilities of a %s service (-want +got):\n%s", c.Service, diff)
		}
		row := r.row(t, "host1")
		if row.RPCVersion != cinder.BackupRPCVersion || row.Topic != "cinder-backup" {
			t.Errorf("row %+v", row)
		}
		if got, want := describe(row), "disabled 'tape is full' not-capable"; got != want {
			t.Errorf("row: %s, want %s", got, want)
		}
	})
}
