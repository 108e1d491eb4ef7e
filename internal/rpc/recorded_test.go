package rpc_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// recorded is a message of a real deployment (testdata of package oslo).
type recorded struct {
	Exchange   string
	RoutingKey string `json:"routing_key"`
	Expiration *string
	Body       string
}

func recording(t *testing.T, name string) recorded {
	t.Helper()
	raw, err := os.ReadFile("../oslo/testdata/wire/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// destination is where the message was sent.
func (r recorded) destination() oslo.Destination {
	if topic, ok := strings.CutSuffix(r.Exchange, "_fanout"); ok {
		return oslo.ToAll(topic)
	}
	return oslo.ToAny(r.RoutingKey)
}

// TestMessagesAreCinders checks that our messages equal Cinder's and go to the same
// destinations.
func TestMessagesAreCinders(t *testing.T) {
	clustered := member("nodea@alpha")
	level := cinder.LogDebug
	volume := cinder.Capabilities{
		Service: "volume", Host: "host1@alpha", Time: time.Date(2026, 11, 23, 8, 52, 15, 359484000, time.UTC),
		Values: map[string]any{
			"volume_backend_name": "alpha", "vendor_name": "test", "driver_version": "1.0", "storage_protocol": "file",
			"backend_state": "up", "replication_enabled": true, "replication_targets": []string{"site-b", "site-c"},
			"pools": []any{map[string]any{
				"pool_name": "alpha", "total_capacity_gb": 100, "free_capacity_gb": 50, "reserved_percentage": 0,
				"QoS_support": false, "replication_enabled": true, "allocated_capacity_gb": 0,
			}},
			"filter_function": nil, "goodness_function": nil,
		},
	}
	at := func(c cinder.Capabilities, host, cluster string, micros int) cinder.Capabilities {
		c.Host, c.Cluster = host, cluster
		c.Time = time.Date(2026, 11, 23, 8, 52, 15, micros*1000, time.UTC)
		return c
	}
	node := volume
	node.Host, node.Cluster = "nodea@alpha", "mycl@alpha"
	node.Time = time.Date(2026, 11, 23, 8, 58, 2, 181531000, time.UTC)
	nodeLater := node
	nodeLater.Time = time.Date(2026, 11, 23, 8, 58, 2, 402320000, time.UTC)
	backup := cinder.Capabilities{Service: "backup", Values: map[string]any{
		"backend_state": true, "driver_name": "cinder.backup.drivers.swift.SwiftBackupDriver", "availability_zone": "nova",
	}}
	outcome := cinder.FailoverOutcome{
		ReplicationStatus: cinder.ReplicationFailedOver, ActiveBackendID: new("site-c"),
		Disabled: new(true), DisabledReason: new("failed-over"),
	}
	get := func(s cinder.Service) func(context.Context, bus) error {
		return func(ctx context.Context, b bus) error { _, err := b.LogLevels(ctx, s, ""); return err }
	}
	set := func(s cinder.Service) func(context.Context, bus) error {
		return func(ctx context.Context, b bus) error { return b.SetLogLevel(ctx, s, "sqlalchemy.orm", level) }
	}
	update := func(c cinder.Capabilities) func(context.Context, bus) error {
		return func(ctx context.Context, b bus) error { return b.UpdateServiceCapabilities(ctx, c) }
	}
	notify := func(c cinder.Capabilities) func(context.Context, bus) error {
		return func(ctx context.Context, b bus) error { return b.NotifyServiceCapabilities(ctx, c) }
	}
	publish := func(ctx context.Context, b bus) error { return b.PublishServiceCapabilities(ctx) }
	old := alpha()
	old.RPCVersion = "3.0"
	for name, do := range map[string]func(context.Context, bus) error{
		"freeze_host-volume-call":         func(ctx context.Context, b bus) error { return b.Freeze(ctx, alpha()) },
		"freeze_host-volume-cluster-call": func(ctx context.Context, b bus) error { return b.Freeze(ctx, clustered) },
		"thaw_host-volume-call":           func(ctx context.Context, b bus) error { return b.Thaw(ctx, alpha()) },
		"thaw_host-volume-cluster-call":   func(ctx context.Context, b bus) error { return b.Thaw(ctx, clustered) },
		"failover-volume-cast":            func(ctx context.Context, b bus) error { return b.Failover(ctx, alpha(), nil) },
		"failover-volume-cluster-cast":    func(ctx context.Context, b bus) error { return b.Failover(ctx, clustered, new("site-c")) },
		"failover_host-volume-cast":       func(ctx context.Context, b bus) error { return b.Failover(ctx, old, nil) },
		"failover_completed-volume-cluster-fanout": func(ctx context.Context, b bus) error {
			return b.FailoverCompleted(ctx, "mycl@alpha", outcome)
		},
		"get_log_levels-volume-call":    get(alpha()),
		"get_log_levels-scheduler-call": get(of(cinder.BinaryScheduler)),
		"get_log_levels-backup-call":    get(of(cinder.BinaryBackup)),
		"set_log_levels-volume-cast":    set(alpha()),
		"set_log_levels-scheduler-cast": set(of(cinder.BinaryScheduler)),
		"set_log_levels-backup-cast":    set(of(cinder.BinaryBackup)),
		"get_pools-scheduler-call":      func(ctx context.Context, b bus) error { _, err := b.Pools(ctx); return err },

		"publish_service_capabilities-volume-fanout":                    publish,
		"publish_service_capabilities-backup-fanout":                    publish,
		"update_service_capabilities-volume-scheduler-fanout":           update(volume),
		"update_service_capabilities-volume-clustered-scheduler-fanout": update(node),
		"update_service_capabilities-backup-scheduler-fanout":           update(at(backup, "host1", "", 49515)),
		"notify_service_capabilities-volume-scheduler-cast":             notify(at(volume, "host1@alpha", "", 360851)),
		"notify_service_capabilities-volume-clustered-scheduler-cast":   notify(nodeLater),
		"notify_service_capabilities-backup-scheduler-cast":             notify(at(backup, "host1", "", 50950)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				want := recording(t, name)
				got := make(chan oslo.Message, 1)
				_, err := b.Listen(t.Context(), []oslo.Destination{want.destination()}, func(_ context.Context, m oslo.Message) { got <- m })
				if err != nil {
					t.Fatal(err)
				}
				err = do(t.Context(), b)
				if call := strings.HasSuffix(name, "-call"); call != (cinder.KindOf(err) == cinder.KindTimeout) || !call && err != nil {
					t.Fatalf("got error %v", err)
				}
				m := <-got
				if diff := cmp.Diff(essence(t, []byte(want.Body)), essence(t, m.Body)); diff != "" {
					t.Errorf("the message (-Cinder's +ours):\n%s", diff)
				}
				if want.Expiration != nil && m.Expiry != 5*time.Second {
					t.Errorf("the message expires after %s, Cinder's after %s ms", m.Expiry, *want.Expiration)
				}
			})
		})
	}
}

// essence is what a request asks for.
func essence(t *testing.T, body []byte) map[string]any {
	t.Helper()
	r, err := oslo.DecodeRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	var args any
	if err := json.Unmarshal(r.Args, &args); err != nil {
		t.Fatal(err)
	}
	return map[string]any{"method": r.Method, "version": r.Version, "args": args, "call": r.Call()}
}

// TestServicesUnderstandCinder sends Cinder's messages to our services.
func TestServicesUnderstandCinder(t *testing.T) {
	at := func(h, m, s, micros int) time.Time { return time.Date(2026, 11, 23, h, m, s, micros*1000, time.UTC) }
	for _, tc := range []struct {
		recording string
		want      command // without the caller
	}{
		{"freeze_host-volume-call", command{Name: "freeze"}},
		{"thaw_host-volume-cluster-call", command{Name: "thaw"}},
		{"failover-volume-cast", command{Name: "failover", Arg: (*string)(nil)}},
		{"failover-volume-cluster-cast", command{Name: "failover", Arg: new("site-c")}},
		{"failover_host-volume-cast", command{Name: "failover", Arg: (*string)(nil)}},
		{
			"failover_completed-volume-cluster-fanout",
			command{Name: "failover completed", Arg: cinder.FailoverOutcome{
				ReplicationStatus: cinder.ReplicationFailedOver, ActiveBackendID: new("site-c"),
				Disabled: new(true), DisabledReason: new("failed-over"),
			}},
		},
		{"publish_service_capabilities-volume-fanout", command{Name: "publish"}},
		{"publish_service_capabilities-backup-fanout", command{Name: "publish"}},
		{"set_log_levels-volume-cast", command{Name: "set sqlalchemy.orm", Arg: cinder.LogDebug}},
		{"set_log_levels-scheduler-cast", command{Name: "set sqlalchemy.orm", Arg: cinder.LogDebug}},
		{"set_log_levels-backup-cast", command{Name: "set sqlalchemy.orm", Arg: cinder.LogDebug}},
		{"get_pools-scheduler-call", command{Name: "pools"}},
		{
			"update_service_capabilities-volume-clustered-scheduler-fanout",
			command{Name: "update", Arg: cinder.Capabilities{
				Service: "volume", Host: "nodea@alpha", Cluster: "mycl@alpha", Time: at(8, 58, 2, 181531),
			}},
		},
		{
			"update_service_capabilities-backup-scheduler-fanout",
			command{Name: "update", Arg: cinder.Capabilities{Service: "backup", Host: "host1", Time: at(8, 52, 15, 49515)}},
		},
		{
			"notify_service_capabilities-volume-clustered-scheduler-cast",
			command{Name: "notify", Arg: cinder.Capabilities{Service: "volume", Host: "mycl@alpha", Time: at(8, 58, 2, 402320)}},
		},
	} {
		t.Run(tc.recording, func(t *testing.T) {
			b := newBus(t)
			var service *recorder
			switch m := recording(t, tc.recording); {
			case strings.Contains(tc.recording, "-scheduler-"):
				service = b.serveScheduler(t)
			case strings.Contains(tc.recording, "-backup-"):
				service = b.serveBackup(t)
			case strings.Contains(m.Exchange+m.RoutingKey, "mycl"):
				service = b.serveVolume(t, "nodea@alpha", "mycl@alpha")
			default:
				service = b.serveVolume(t, "host1@alpha", "")
			}
			m := recording(t, tc.recording)
			if err := b.Send(t.Context(), m.destination(), oslo.Message{Body: []byte(m.Body)}); err != nil {
				t.Fatal(err)
			}
			got := service.next(t)
			if !strings.HasPrefix(got.Name, "set ") && !strings.HasPrefix(got.Caller.RequestID, "req-") {
				t.Errorf("the caller's request has the id %q", got.Caller.RequestID)
			}
			got.Caller = cinder.Caller{}
			if c, ok := got.Arg.(cinder.Capabilities); ok {
				if len(c.Values) == 0 {
					t.Error("there are no capabilities")
				}
				c.Values = nil
				got.Arg = c
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("what reached the service (-want +got):\n%s", diff)
			}
		})
	}
}
