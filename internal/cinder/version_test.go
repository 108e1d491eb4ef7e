package cinder_test

import (
	"testing"

	"stoker/internal/cinder"
)

func TestOldestRPC(t *testing.T) {
	for _, tt := range []struct {
		name     string
		versions []string
		want     string
	}{
		{"nobody", nil, ""},
		{"one", []string{"3.18"}, "3.18"},
		{"numbers, not text", []string{"3.12", "3.9", "3.18"}, "3.9"},
		{"another major", []string{"3.0", "2.9"}, "2.9"},
		{"one that does not say", []string{"3.18", "", "3.0"}, ""},
		{"the first does not say", []string{"", "3.18"}, ""},
		{"one that says nonsense", []string{"3.18", "new", "3.0"}, "new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var services []cinder.Service
			for _, v := range tt.versions {
				services = append(services, cinder.Service{RPCVersion: v})
			}
			if got := cinder.OldestRPC(services); got != tt.want {
				t.Errorf("the oldest of %q is %q, want %q", tt.versions, got, tt.want)
			}
		})
	}
}
