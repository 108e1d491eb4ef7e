package agent

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
)

func TestWorkCleanup(t *testing.T) {
	row := func(id int64, binary, host, cluster string, up bool) cinder.Service {
		s := cinder.Service{ID: id, Binary: binary, Host: host, Cluster: cluster, UpdatedAt: now()}
		if !up {
			s.UpdatedAt = now().Add(-time.Hour)
		}
		return s
	}
	until := time.Date(2000, 1, 1, 12, 30, 0, 0, time.UTC)
	for _, tt := range []struct {
		name                  string
		ask                   cinder.CleanupRequest
		said                  []string
		cleaning, unavailable []string
	}{
		{
			name: "those that are down, as the API asks", ask: cinder.CleanupRequest{IsUp: new(false), Until: until},
			said: []string{
				"cleanup cinder-host of 5 on cinder-host in '' until 12:30:00",
				"cleanup mycl@alpha of 3 on nodea@alpha in 'mycl@alpha' until 12:30:00",
			},
			cleaning: []string{"nodea@alpha", "cinder-host"}, unavailable: []string{"host2@alpha", "lone@alpha"},
		},
		{
			name: "one by its id", ask: cinder.CleanupRequest{ServiceID: new(int64(1)), Until: until},
			said: []string{"cleanup host1@alpha of 1 on host1@alpha in '' until 12:30:00"}, cleaning: []string{"host1@alpha"},
		},
		{
			name: "a cluster", ask: cinder.CleanupRequest{Cluster: new("mycl"), Until: until},
			said: []string{
				"cleanup mycl@alpha of 3 on nodea@alpha in 'mycl@alpha' until 12:30:00",
				"cleanup mycl@alpha of 4 on nodeb@alpha in 'mycl@alpha' until 12:30:00",
			},
			cleaning: []string{"nodea@alpha", "nodeb@alpha"},
		},
		{name: "one of which nobody is left", ask: cinder.CleanupRequest{Cluster: new("lonely")}, unavailable: []string{"lone@alpha"}},
		{name: "one that does not clean up", ask: cinder.CleanupRequest{Binary: new(cinder.BinaryBackup)}, unavailable: []string{"host1"}},
		{name: "one that does not hear", ask: cinder.CleanupRequest{Host: new("host9")}, unavailable: []string{"host9@alpha"}},
		{name: "those that are disabled", ask: cinder.CleanupRequest{Disabled: new(true)}},
		{
			name: "without a time", ask: cinder.CleanupRequest{ServiceID: new(int64(1))},
			said: []string{"cleanup host1@alpha of 1 on host1@alpha in '' until 00:00:00"}, cleaning: []string{"host1@alpha"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, b := newRows(), &bus{}
				r.services = []cinder.Service{
					row(1, cinder.BinaryVolume, "host1@alpha", "", true), row(2, cinder.BinaryVolume, "host2@alpha", "", false),
					row(3, cinder.BinaryVolume, "nodea@alpha", "mycl@alpha", false), row(4, cinder.BinaryVolume, "nodeb@alpha", "mycl@alpha", true),
					row(5, cinder.BinaryScheduler, "cinder-host", "", false), row(6, cinder.BinaryBackup, "host1", "", true),
					row(7, cinder.BinaryVolume, "lone@alpha", "lonely@alpha", false), row(8, cinder.BinaryVolume, "host9@alpha", "", true),
				}
				cleaning, unavailable, err := newScheduler(r, b).WorkCleanup(t.Context(), tt.ask)
				if err != nil {
					t.Fatal(err)
				}
				for what, rows := range map[string][2]any{
					"said": {slices.Sorted(slices.Values(tt.said)), slices.Sorted(slices.Values(b.take()))}, "cleaning": {tt.cleaning, hosts(cleaning)}, "unavailable": {tt.unavailable, hosts(unavailable)},
				} {
					if diff := cmp.Diff(rows[0], rows[1]); diff != "" {
						t.Errorf("%s (-want +got):\n%s", what, diff)
					}
				}
			})
		})
	}
}

func TestWorkCleanupWithoutDatabase(t *testing.T) {
	r := newRows()
	r.setAway(errAway)
	_, _, err := newScheduler(r, &bus{}).WorkCleanup(t.Context(), cinder.CleanupRequest{})
	wantKind(t, err, cinder.KindUnavailable)
}

func TestCapabilities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t).start()
		got, err := s.Capabilities(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		properties, _ := got["properties"].(map[string]any)
		if got["volume_backend_name"] != "alpha" || len(properties) != 1 || properties["replication_enabled"] == nil {
			t.Errorf("capabilities %v", got)
		}
	})
}

func hosts(services []cinder.Service) []string {
	var names []string
	for _, s := range services {
		names = append(names, s.Host)
	}
	return names
}
