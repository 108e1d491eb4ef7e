package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/backend"
	"stoker/internal/cinder"
)

// TestStartAfterAnother checks what a start does to the row of the previous process,
// and how it sets up the backend (doc/cinder/behaviour.md#registration).
func TestStartAfterAnother(t *testing.T) {
	tests := []struct {
		name    string
		row     cinder.Service
		targets []string
		want    string
		told    backend.State
	}{
		{
			"nothing happened",
			cinder.Service{ReplicationStatus: "enabled"},
			[]string{"site-b"},
			"enabled enabled",
			backend.State{},
		},
		{
			"replicated no more",
			cinder.Service{ReplicationStatus: "enabled"},
			nil,
			"enabled disabled",
			backend.State{},
		},
		{
			"replicated from now on",
			cinder.Service{ReplicationStatus: "disabled"},
			[]string{"site-b"},
			"enabled enabled",
			backend.State{},
		},
		{
			"what an administrator did stays",
			cinder.Service{ReplicationStatus: "enabled", Disabled: true, DisabledReason: new("maint")},
			[]string{"site-b"},
			"disabled 'maint' enabled",
			backend.State{},
		},
		{
			"a freeze stays",
			cinder.Service{ReplicationStatus: "enabled", Frozen: true, Disabled: true, DisabledReason: new("frozen")},
			[]string{"site-b"},
			"disabled 'frozen' frozen enabled",
			backend.State{Frozen: true},
		},
		{
			"a failover stays",
			cinder.Service{ReplicationStatus: "failed-over", ActiveBackendID: new("site-b"), Disabled: true, DisabledReason: new("failed-over")},
			[]string{"site-b"},
			"disabled 'failed-over' failed-over on site-b",
			backend.State{Active: "site-b"},
		},
		{
			"a failover of an enabled service stays, too",
			cinder.Service{ReplicationStatus: "failed-over", ActiveBackendID: new("site-b")},
			[]string{"site-b"},
			"enabled failed-over on site-b",
			backend.State{Active: "site-b"},
		},
		{
			"died while failing over",
			cinder.Service{ReplicationStatus: "failing-over"},
			[]string{"site-b"},
			"enabled enabled",
			backend.State{},
		},
		{
			"died while failing over to another",
			cinder.Service{ReplicationStatus: "failing-over", ActiveBackendID: new("site-b"), Disabled: true, DisabledReason: new("failed-over")},
			[]string{"site-b"},
			"disabled 'failed-over' failed-over on site-b",
			backend.State{Active: "site-b"},
		},
		{
			"failed to fail over",
			cinder.Service{ReplicationStatus: "failover-error", Disabled: true},
			[]string{"site-b"},
			"disabled enabled",
			backend.State{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				s.array.targets = tt.targets
				row := tt.row
				row.ID, row.Host, row.Binary, row.UpdatedAt = 1, alpha, cinder.BinaryVolume, now().Add(-time.Hour)
				s.rows.services, s.rows.lastID = []cinder.Service{row}, 1
				s.start()
				s.want(tt.want)
				if diff := cmp.Diff(tt.told, s.array.is()); diff != "" {
					t.Errorf("the backend was told (-want +got):\n%s", diff)
				}
				if services, _ := s.rows.look(); services[0].ReportCount != 1 || len(services) != 1 {
					t.Errorf("%d reports of %d rows, want one of the row that was there", services[0].ReportCount, len(services))
				}
			})
		})
	}
}

// TestStartWithoutARow checks that a start recreates a row removed while the service
// was down, with its causes; the active backend is lost with the row.
func TestStartWithoutARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.rows.causes["cinder-volume "+alpha] = []cinder.Cause{{Kind: cinder.CauseAdmin, Reason: new("maint")}}
		s.start()
		s.want("disabled 'maint' enabled")
	})
}
