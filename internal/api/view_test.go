package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestRenderServices(t *testing.T) {
	beat := noon.Add(-time.Second)
	plain := cinder.Service{Host: "h", Binary: cinder.BinaryBackup, Zone: "nova", CreatedAt: noon.Add(-time.Hour), UpdatedAt: beat}
	volume := plain
	volume.Binary, volume.ReplicationStatus = cinder.BinaryVolume, cinder.ReplicationEnabled
	with := func(s cinder.Service, change func(*cinder.Service)) cinder.Service {
		change(&s)
		return s
	}
	states := map[string]string{"h": "down", "c@b": "up"}
	tests := []struct {
		name string
		s    cinder.Service
		view view
		want string
	}{
		{
			name: "backup", s: plain,
			want: `{"binary": "cinder-backup", "host": "h", "zone": "nova", "status": "enabled", "state": "up", "updated_at": "2026-03-04T11:59:59.000000", "disabled_reason": null}`,
		},
		{
			name: "backup with a cluster's column", s: plain, view: viewBackend,
			want: `{"binary": "cinder-backup", "host": "h", "zone": "nova", "status": "enabled", "state": "up", "updated_at": "2026-03-04T11:59:59.000000", "cluster": null, "disabled_reason": null}`,
		},
		{
			name: "volume", s: volume,
			want: `{"binary": "cinder-volume", "host": "h", "zone": "nova", "status": "enabled", "state": "up", "updated_at": "2026-03-04T11:59:59.000000", "disabled_reason": null, "replication_status": "enabled", "active_backend_id": null, "frozen": false}`,
		},
		{
			name: "volume in full", view: viewBackend, s: with(volume, func(s *cinder.Service) {
				s.Disabled, s.DisabledReason, s.Frozen, s.ActiveBackendID = true, new("fro\"zen"), true, new("")
			}),
			want: `{"binary": "cinder-volume", "host": "h", "zone": "nova", "status": "disabled", "state": "up", "updated_at": "2026-03-04T11:59:59.000000", "backend_state": "down", "cluster": null, "disabled_reason": "fro\"zen", "replication_status": "enabled", "active_backend_id": "", "frozen": true}`,
		},
		{
			name: "the state of a clustered backend stands under the cluster's name", view: viewBackend, s: with(volume, func(s *cinder.Service) { s.Cluster = "c@b" }),
			want: `{"binary": "cinder-volume", "host": "h", "zone": "nova", "status": "enabled", "state": "up", "updated_at": "2026-03-04T11:59:59.000000", "backend_state": "up", "cluster": "c@b", "disabled_reason": null, "replication_status": "enabled", "active_backend_id": null, "frozen": false}`,
		},
		{
			name: "a backend that the scheduler does not know, without replication", view: viewBackend, s: with(volume, func(s *cinder.Service) { s.Host, s.ReplicationStatus = "x", "" }),
			want: `{"binary": "cinder-volume", "host": "x", "zone": "nova", "status": "enabled", "state": "up", "updated_at": "2026-03-04T11:59:59.000000", "backend_state": null, "cluster": null, "disabled_reason": null, "replication_status": null, "active_backend_id": null, "frozen": false}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := control.Listing{Services: []cinder.Service{tt.s}, Now: noon, DownTime: time.Minute}
			got := string(renderServices(l, tt.view, states))
			if diff := cmp.Diff(`{"services": [`+tt.want+`]}`, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if !json.Valid([]byte(got)) {
				t.Error("not JSON")
			}
		})
	}
}

func TestRenderNoServices(t *testing.T) {
	if got, want := string(renderServices(control.Listing{}, viewBasic, nil)), `{"services": []}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Heartbeats and changes are told by how far they are from now, ahead or behind.
func TestLastChangeAndState(t *testing.T) {
	tests := []struct {
		name                       string
		created, updated, modified time.Duration // before now; 0 is never
		state, want                string
	}{
		{name: "fresh", created: time.Hour, updated: time.Second, state: "up", want: "11:59:59"},
		{name: "as old as may be", created: time.Hour, updated: time.Minute, state: "up", want: "11:59:00"},
		{name: "stale", created: time.Hour, updated: time.Minute + time.Second, state: "down", want: "11:58:59"},
		{name: "a clock ahead by less than that", created: time.Hour, updated: -time.Minute, state: "up", want: "12:01:00"},
		{name: "a clock far ahead", created: time.Hour, updated: -2 * time.Minute, state: "down", want: "12:02:00"},
		{name: "never beat, just created", created: 10 * time.Second, state: "up", want: ""},
		{name: "never beat", created: time.Hour, state: "down", want: ""},
		{name: "changed since the last beat", created: time.Hour, updated: 10 * time.Minute, modified: time.Minute, state: "down", want: "11:59:00"},
		{name: "changed before the last beat", created: time.Hour, updated: time.Second, modified: time.Minute, state: "up", want: "11:59:59"},
		{name: "changed at the last beat", created: time.Hour, updated: time.Minute, modified: time.Minute, state: "up", want: "11:59:00"},
		{name: "never beat, but changed", created: time.Hour, modified: time.Minute, state: "down", want: "11:59:00"},
		{name: "changed before it was created", created: time.Minute, modified: time.Hour, state: "up", want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := func(ago time.Duration) time.Time {
				if ago == 0 {
					return time.Time{}
				}
				return noon.Add(-ago)
			}
			s := cinder.Service{CreatedAt: at(tt.created), UpdatedAt: at(tt.updated), ModifiedAt: at(tt.modified)}
			got := ""
			if last := lastChange(&s, noon); !last.IsZero() {
				got = last.Format("15:04:05")
			}
			state := string(appendState(nil, s.Up(noon, time.Minute)))
			if got != tt.want || state != `"`+tt.state+`"` {
				t.Errorf("got %s at %q, want %s at %q", state, got, tt.state, tt.want)
			}
		})
	}
}

func TestAppendCluster(t *testing.T) {
	c := cinder.Cluster{
		Name: "c@b", Binary: cinder.BinaryVolume, Disabled: true, DisabledReason: new("why"), Frozen: true, ReplicationStatus: cinder.ReplicationFailedOver,
		ActiveBackendID: new("site-b"), CreatedAt: noon, Hosts: 12, DownHosts: 10, LastHeartbeat: noon.Add(123456 * time.Microsecond),
	}
	tests := []struct {
		name string
		view clusterView
		want string
	}{
		{"summary", clusterView{}, `{"name": "c@b", "binary": "cinder-volume", "state": "up", "status": "disabled"}`},
		{"summary from 3.26", clusterView{replication: true}, `{"name": "c@b", "binary": "cinder-volume", "state": "up", "status": "disabled", "replication_status": "failed-over"}`},
		{"changed", clusterView{reason: true}, `{"name": "c@b", "binary": "cinder-volume", "state": "up", "status": "disabled", "disabled_reason": "why"}`},
		{"detail", clusterView{detail: true}, `{"name": "c@b", "binary": "cinder-volume", "state": "up", "status": "disabled", "num_hosts": 12, "num_down_hosts": 10, "last_heartbeat": "2026-03-04T12:00:00.123456", "created_at": "2026-03-04T12:00:00.000000", "updated_at": "", "disabled_reason": "why"}`},
		{"detail from 3.26", clusterView{detail: true, replication: true}, `{"name": "c@b", "binary": "cinder-volume", "state": "up", "status": "disabled", "replication_status": "failed-over", "num_hosts": 12, "num_down_hosts": 10, "last_heartbeat": "2026-03-04T12:00:00.123456", "created_at": "2026-03-04T12:00:00.000000", "updated_at": "", "disabled_reason": "why", "frozen": true, "active_backend_id": "site-b"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(appendCluster(nil, &c, tt.view))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestAppendTime(t *testing.T) {
	zone := time.FixedZone("x", 2*3600)
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, `null`},
		{noon, `"2026-03-04T12:00:00.000000"`},
		{time.Date(2026, 12, 31, 1, 59, 58, 999999999, zone), `"2026-12-30T23:59:58.999999"`},
		{time.Date(987, 1, 2, 3, 4, 5, 6000, time.UTC), `"0987-01-02T03:04:05.000006"`},
	} {
		if got := string(appendTime(nil, tt.at)); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.at, got, tt.want)
		}
	}
}

// A string reads as it was written; bytes that are no UTF-8 read as U+FFFD.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\/\n\r\t\b\f\x00\x1f\x7f", "é🔥\u2028", "\xff\xed\xa0\x80x", "a\xc3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := appendString(nil, s)
		var got string
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%q: %s: %v", s, text, err)
		}
		if want := strings.Join(strings.Split(toValid(s), ""), ""); got != want || !utf8.Valid(text) {
			t.Errorf("%q: got %q from %s, want %q", s, got, text, want)
		}
	})
}

// toValid replaces each byte that is no UTF-8 by U+FFFD.
func toValid(s string) string { return string([]rune(s)) }

func fleet(n int) control.Listing {
	l := control.Listing{Now: noon, DownTime: time.Minute}
	for i := range n {
		l.Services = append(l.Services, cinder.Service{
			ID: int64(i), Host: fmt.Sprintf("storage-host-%05d@lvm", i), Binary: cinder.BinaryVolume, Zone: "nova",
			ReplicationStatus: cinder.ReplicationEnabled, CreatedAt: noon.Add(-time.Hour), UpdatedAt: noon.Add(-5 * time.Second),
		})
	}
	return l
}

func BenchmarkRenderServices(b *testing.B) {
	const services = 1000
	l := fleet(services)
	states := map[string]string{}
	for _, s := range l.Services {
		states[s.Host] = "up"
	}
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(renderServices(l, viewBackend, states))))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/services, "ns/service")
}
