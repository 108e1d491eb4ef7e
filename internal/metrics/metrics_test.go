package metrics_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"stoker/internal/cinder"
	"stoker/internal/metrics"
)

// well are options of a process that does well.
func well(registry metrics.Registry) metrics.Options {
	fine := func(context.Context) error { return nil }
	return metrics.Options{
		Registry: registry, Log: slog.New(slog.DiscardHandler), Database: fine, Writes: fine,
		Bus:    func(context.Context) (metrics.Bus, error) { return metrics.Bus{}, nil },
		Policy: func(context.Context) (metrics.Policy, error) { return metrics.Policy{OK: true}, nil },
		Fleet:  func(context.Context) (metrics.Fleet, error) { return metrics.Fleet{}, nil },
	}
}

// same compares what a scrape tells of the process and the fleet, line by line.
func same(t *testing.T, m *metrics.Metrics, want ...string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	var got []string
	for line := range strings.Lines(w.Body.String()) {
		name, _, _ := strings.Cut(line, "{")
		name, _, _ = strings.Cut(name, "_")
		if (name == "stoker" || name == "openstack") && !strings.HasPrefix(line, "stoker_build_info") && !strings.HasPrefix(line, "stoker_policy_") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever hangs, and does not even mind its context, a scrape ends in time and
// shows nothing old.
func TestAScrapeDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewPedanticRegistry()
		release := make(chan struct{})
		var asked atomic.Int32
		o := well(registry)
		o.Database = func(context.Context) error { <-release; return nil }
		o.Fleet = func(context.Context) (metrics.Fleet, error) {
			if asked.Add(1) == 1 {
				<-release
			}
			return metrics.Fleet{Open: []cinder.Operation{{State: cinder.OpMonitoring}}}, nil
		}
		m, err := metrics.New(o)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second finds the questions of the first under way
			began := time.Now()
			same(t, m, "stoker_database_up 0", "stoker_database_writable 1", "stoker_bus_up 1", "stoker_bus_refusals 0")
			if took := time.Since(began); took > 4*time.Second { // two scrapes: the clock is the test's own
				t.Errorf("two scrapes took %s", took)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times while the first question hangs", n)
		}
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Close(late); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("closed while questions hang: %v", err)
		}
		close(release)
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		same(t, m,
			`stoker_database_up 1`,
			`stoker_database_writable 1`,
			`stoker_bus_up 1`,
			`stoker_bus_refusals 0`,
			`stoker_operations_open 0`,
			`stoker_operations_overdue 0`,
			`stoker_operations_stuck 0`,
			`stoker_operations_monitoring 1`,
		)
	})
}

func TestServicesAndOperations(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	reason := "disk \xff broken"
	o := well(registry)
	o.Bus = func(context.Context) (metrics.Bus, error) { return metrics.Bus{}, errors.New("away") }
	o.Fleet = func(context.Context) (metrics.Fleet, error) {
		return metrics.Fleet{
			Services: []cinder.Service{
				{UUID: "u1", Host: "h1@ceph", Binary: cinder.BinaryVolume, Zone: "nova", UpdatedAt: now.Add(-time.Minute)},
				{UUID: "u2", Host: "h2@ceph", Binary: cinder.BinaryVolume, Zone: "z2", UpdatedAt: now.Add(-61 * time.Second), Disabled: true, DisabledReason: &reason},
				{Host: "h3", Binary: cinder.BinaryBackup, Zone: "nova", CreatedAt: now},
				{Host: "h3", Binary: cinder.BinaryBackup, Zone: "nova", CreatedAt: now}, // a row twice
			},
			Open: []cinder.Operation{
				{State: cinder.OpOpen, Deadline: now.Add(time.Second)},
				{State: cinder.OpOpen, Deadline: now.Add(-time.Second), Progress: cinder.Progress{Attempts: 3}},
				{State: cinder.OpOpen, Deadline: now.Add(-time.Second)},
				{State: cinder.OpMonitoring, Deadline: now.Add(-time.Hour)},
			},
			Now: now, DownTime: time.Minute,
		}, nil
	}
	m, err := metrics.New(o)
	if err != nil {
		t.Fatal(err)
	}
	same(t, m,
		`stoker_database_up 1`,
		`stoker_database_writable 1`,
		`stoker_bus_up 0`,
		`stoker_operations_open 3`,
		`stoker_operations_overdue 2`,
		`stoker_operations_stuck 1`,
		`stoker_operations_monitoring 1`,
		`openstack_cinder_agent_state{adminState="enabled",disabledReason="",hostname="h1@ceph",service="cinder-volume",uuid="u1",zone="nova"} 1`,
		`openstack_cinder_agent_state{adminState="disabled",disabledReason="disk `+"\uFFFD"+` broken",hostname="h2@ceph",service="cinder-volume",uuid="u2",zone="z2"} 0`,
		`openstack_cinder_agent_state{adminState="enabled",disabledReason="",hostname="h3",service="cinder-backup",uuid="",zone="nova"} 1`,
	)
	if _, err := metrics.New(o); err == nil {
		t.Error("two processes keep their metrics in one registry")
	}
}
