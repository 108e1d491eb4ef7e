package control_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// Any member of a cluster may take a command, so it is one that the oldest knows,
// also when that one is in no state to take it now. Who is in no cluster with an
// old service is not held back by it.
func TestCommandsThatEveryMemberKnows(t *testing.T) {
	s := newSite(t)
	for _, host := range []string{"nodea@alpha", "nodeb@alpha"} {
		s.volume(host, "mycl@alpha", cinder.ReplicationEnabled)
	}
	s.volume("host1@alpha", "", cinder.ReplicationEnabled)
	s.edit("nodeb@alpha", func(r *cinder.Service) { r.RPCVersion, r.Frozen = "3.7", true })
	for _, sel := range []control.Selector{{Cluster: "mycl@alpha"}, {Host: "host1@alpha"}} {
		if _, err := s.Freeze(t.Context(), sel); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Failover(t.Context(), sel, nil); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"freeze mycl@alpha as 3.7", "failover mycl@alpha as 3.7", "freeze host1@alpha", "failover host1@alpha"}
	if diff := cmp.Diff(want, s.fleet.sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}
