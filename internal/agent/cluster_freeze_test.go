package agent

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/cinder"
)

// TestClusterFreeze checks that all members show a freeze or thaw, whichever member
// gets it. Members that an administrator disabled, or that are not marked, stay as they
// are.
func TestClusterFreeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newCluster(t)
		for _, taker := range []*site{a, b} { // the thaw goes to the other one
			other := map[*site]*site{a: b, b: a}[taker]
			a.mark(true, cinder.ReplicationEnabled)
			if err := taker.FreezeHost(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantAll(t, a, b, "enabled frozen enabled", "disabled 'frozen' frozen enabled")
			a.mark(false, cinder.ReplicationEnabled)
			if err := other.ThawHost(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantAll(t, a, b, "enabled enabled", "enabled enabled")
		}
		if got := slices.DeleteFunc(a.commands(), func(c string) bool { return c != "freeze" && c != "thaw" }); len(got) != 2 {
			t.Errorf("the backend of one member was told %v: want one command of each", got)
		}

		if err := b.do("disable maint"); err != nil {
			t.Fatal(err)
		}
		a.mark(true, cinder.ReplicationEnabled)
		if err := a.FreezeHost(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.want("disabled 'maint' frozen enabled")
		a.rows.edit(t, "nodea@alpha", func(r *cinder.Service) { r.Frozen = false })
		if err := a.ThawHost(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.want("enabled enabled")
		b.want("disabled 'maint' frozen enabled")
	})
}

// TestMembersFreezeAlike checks that a member whose frozen backend was thawed by
// another member notices that before a freeze on another site. A refusal is accepted.
func TestMembersFreezeAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newCluster(t)
		a.mark(true, cinder.ReplicationEnabled)
		if err := a.FreezeHost(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if !a.array.is().Frozen || !b.array.is().Frozen {
			t.Errorf("frozen: %t and %t", a.array.is().Frozen, b.array.is().Frozen)
		}
		a.array.set("thaw", cinder.Errorf(cinder.KindConflict, "not today"))
		a.mark(false, cinder.ReplicationEnabled)
		if err := b.ThawHost(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if !a.array.is().Frozen || b.array.is().Frozen {
			t.Errorf("frozen: %t and %t, want the one that refuses to be", a.array.is().Frozen, b.array.is().Frozen)
		}
		a.array.set("thaw", nil)
		pass(time.Minute)
		if a.array.is().Frozen {
			t.Error("the backend is still frozen")
		}
	})
}
