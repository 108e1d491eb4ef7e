package backend_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/backend"
)

// TestCapabilities compares capabilities with the recorded message
// (doc/cinder/wire.md#capabilities), plus backend_state where get_pools reads it.
func TestCapabilities(t *testing.T) {
	pool := backend.Pool{Name: "alpha", TotalGB: 100, FreeGB: 50, UsedGB: 1.5, Reserved: 5, Up: true}
	tests := []struct {
		name  string
		stats backend.Stats
		want  map[string]any
	}{
		{
			"replicated",
			backend.Stats{
				Name: "alpha", Vendor: "test", Version: "1.0", Protocol: "file",
				Targets: []string{"site-b", "site-c"}, Pools: []backend.Pool{pool},
			},
			map[string]any{
				"volume_backend_name": "alpha", "vendor_name": "test", "driver_version": "1.0", "storage_protocol": "file",
				"replication_enabled": true, "replication_targets": []any{"site-b", "site-c"}, "stoker:replication_targets_complete": true,
				"filter_function": nil, "goodness_function": nil,
				"pools": []any{map[string]any{
					"pool_name": "alpha", "total_capacity_gb": 100.0, "free_capacity_gb": 50.0, "allocated_capacity_gb": 1.5,
					"reserved_percentage": 5, "QoS_support": false, "replication_enabled": true, "backend_state": "up",
				}},
			},
		},
		{
			"down, and replicated nowhere",
			backend.Stats{Name: "beta", Pools: []backend.Pool{{Name: "beta"}}},
			map[string]any{
				"volume_backend_name": "beta", "vendor_name": "", "driver_version": "", "storage_protocol": "",
				"replication_enabled": false, "replication_targets": []any{}, "stoker:replication_targets_complete": true,
				"filter_function": nil, "goodness_function": nil,
				"pools": []any{map[string]any{
					"pool_name": "beta", "total_capacity_gb": 0.0, "free_capacity_gb": 0.0, "allocated_capacity_gb": 0.0,
					"reserved_percentage": 0, "QoS_support": false, "replication_enabled": false, "backend_state": "down",
				}},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.stats.Capabilities()); diff != "" {
				t.Errorf("capabilities (-want +got):\n%s", diff)
			}
		})
	}
}
