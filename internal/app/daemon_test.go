package app_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/app"
	"stoker/internal/config"
)

func TestVolumeServices(t *testing.T) {
	c := config.Default()
	c.Host, c.StatePath = "host1", "/s"
	c.Backends = []config.Backend{
		{Section: "alpha", Name: "shared", ReplicationDevices: []config.ReplicationDevice{{BackendID: "site-b"}, {BackendID: "site-c"}}},
		{Section: "beta", Name: "beta", MirrorRoot: "/m/beta"},
	}
	want := []app.Volume{
		{Host: "host1@alpha", Name: "shared", Root: "/s/mirror/host1@alpha", Targets: []string{"site-b", "site-c"}},
		{Host: "host1@beta", Name: "beta", Root: "/m/beta"},
	}
	if diff := cmp.Diff(want, app.VolumeServices(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The members of a cluster share their directories, whatever their hosts.
	c.Cluster = "my/cl"
	want[0].Cluster, want[0].Root, want[1].Cluster = "my/cl@alpha", "/s/mirror/my%2Fcl@alpha", "my/cl@beta"
	if diff := cmp.Diff(want, app.VolumeServices(c)); diff != "" {
		t.Errorf("clustered (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/s/mirror/host1.lock"}, app.VolumeLocks(c)); diff != "" {
		t.Errorf("locks (-want +got):\n%s", diff)
	}
	// A backend may have a host and a zone of its own.
	c.Cluster, c.Backends[0].Host, c.Backends[0].Zone = "", "rbd:volumes", "z"
	want[0].Host, want[0].Zone, want[0].Cluster, want[0].Root, want[1].Cluster = "rbd:volumes@alpha", "z", "", "/s/mirror/rbd:volumes@alpha", ""
	if diff := cmp.Diff(want, app.VolumeServices(c)); diff != "" {
		t.Errorf("with backend_host (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/s/mirror/host1.lock", "/s/mirror/rbd:volumes.lock"}, app.VolumeLocks(c)); diff != "" {
		t.Errorf("locks with backend_host (-want +got):\n%s", diff)
	}
}
