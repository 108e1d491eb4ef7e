package defects

import (
	"slices"
	"strings"
	"testing"

	"stoker/test/cloud"
	"stoker/test/load"
	"stoker/test/peers"
)

// Cinder answers 500 after its timeout; the row is frozen and enabled.
func TestFreezeOfADeadService(t *testing.T) {
	byHostAndCluster(t, func(t *testing.T, p place) {
		t.Helper()
		p.kill(t)
		p.ends(t, p.does(t, "freeze", unavailable, ""), "rolled-back", "")
		p.is(t, healthy)
		p.start(t)
		p.is(t, healthy)
	})
}

// Cinder answers 500 after its timeout; the row is disabled as frozen and not
// frozen, and cannot be thawed.
func TestThawOfADeadService(t *testing.T) {
	byHostAndCluster(t, func(t *testing.T, p place) {
		t.Helper()
		p.does(t, "freeze", ok, "")
		p.kill(t)
		p.ends(t, p.does(t, "thaw", unavailable, ""), "rolled-back", "")
		p.is(t, frozen)
		p.start(t)
		p.is(t, frozen)
		p.ends(t, p.does(t, "thaw", ok, ""), "done", "")
		p.is(t, healthy)
	})
}

// Cinder answers 202, and the service carries it out when it is back, however
// late.
func TestFailoverOfADeadService(t *testing.T) {
	byHostAndCluster(t, func(t *testing.T, p place) {
		t.Helper()
		p.kill(t)
		before := p.failovers(t)
		p.ends(t, p.does(t, "failover", unavailable, "", "backend_id", "site-b"), "rolled-back", "")
		p.is(t, healthy)
		p.start(t)
		p.carriesOutNothing(t, before)
	})
}

// carriesOutNothing freezes and thaws: what a service was sent before that it has
// got before that. No more failovers must be among what it was told.
func (p place) carriesOutNothing(t *testing.T, before int) {
	t.Helper()
	for range p.hosts { // members take turns
		p.does(t, "freeze", ok, "")
		p.does(t, "thaw", ok, "")
	}
	p.is(t, healthy)
	if n := p.failovers(t); n > before {
		t.Errorf("the backend was told to fail over: %q", p.calls(t))
	}
}

// failovers counts those that the backends were told of.
func (p place) failovers(t *testing.T) (n int) {
	t.Helper()
	for _, call := range p.calls(t) {
		if strings.HasPrefix(call, "failover ") {
			n++
		}
	}
	return n
}

// A failover that waits for a service that hangs, and that nobody has when this one
// has died, expires.
func TestFailoverThatWaitsExpires(t *testing.T) { byHost(t, failoverThatWaitsExpires) }

func failoverThatWaitsExpires(t *testing.T, p place) {
	t.Helper()
	p.stop(t)
	before := p.failovers(t)
	op := p.does(t, "failover", accepted, "", "backend_id", "site-b")
	p.is(t, moving)
	p.kill(t)
	// The message goes back to its queue, where it has three seconds.
	peers.Emptied(t, p.Options.Transport, "cinder-volume", "host1@alpha")
	p.start(t)
	load.Within(t, load.Patience, "it is not under way", func() bool { op = p.api.Operation(t, op.ID); return op.State != "open" })
	switch {
	case op.State == "rolled-back" && strings.Contains(op.Outcome, "the service stays on default"):
	case op.State == "monitoring" && strings.Contains(op.Outcome, "is gone: put back"): // it took longer to start than to be taken for dead
	default:
		t.Errorf("the journal says %s, %q", op.State, op.Outcome)
	}
	p.becomes(t, healthy)
	p.carriesOutNothing(t, before)
}

// Cinder's stays failing-over for ever, and refuses whatever would change that.
func TestFailoverWhoseServiceDiesWithIt(t *testing.T) { byHost(t, failoverWhoseServiceDiesWithIt) }

func failoverWhoseServiceDiesWithIt(t *testing.T, p place) {
	t.Helper()
	p.tell(t, map[string]any{"failover_delay": 600})
	told := len(p.calls(t))
	op := p.does(t, "failover", accepted, "", "backend_id", "site-b")
	cloud.Eventually(t, "the service is at it", func() bool { return slices.Contains(p.calls(t)[told:], "failover site-b") })
	p.does(t, "failover", conflict, op.ID, "backend_id", "site-b")
	cloud.Eventually(t, "it is overdue", func() bool { return p.api.Operation(t, op.ID).Overdue })
	if got := p.api.Abort(t, op.ID); got.Status != conflict || !strings.Contains(got.Body, "host1@alpha is up and may still carry it out") {
		t.Errorf("abort while the service lives: %d %s", got.Status, got.Body)
	}
	p.kill(t)
	p.tell(t, nil)
	p.is(t, moving)
	p.ends(t, op, "monitoring", "the service that had it in hand is gone: put back")
	p.is(t, healthy)
	p.start(t)
	p.ends(t, p.does(t, "failover", accepted, "", "backend_id", "site-b"), "done", "site-b")
	p.is(t, onSiteB)
	p.ends(t, p.does(t, "failover", accepted, "", "backend_id", "default"), "done", "default")
	p.is(t, healthy)
}

// Cinder's writes make it look as if it were up again.
func TestDeadServiceDoesNotLookAlive(t *testing.T) { byHost(t, deadServiceDoesNotLookAlive) }

func deadServiceDoesNotLookAlive(t *testing.T, p place) {
	t.Helper()
	p.does(t, "freeze", ok, "")
	p.kill(t)
	// What it was writing when it died is waited for.
	beat := func() (at string, n int) {
		t.Helper()
		row := p.DB.QueryRowContext(t.Context(), "SELECT CAST(updated_at AS CHAR), report_count FROM services WHERE host = 'host1@alpha' AND NOT deleted LOCK IN SHARE MODE")
		if err := row.Scan(&at, &n); err != nil {
			t.Fatal(err)
		}
		return at, n
	}
	at, n := beat()
	p.does(t, "thaw", unavailable, "")
	p.does(t, "failover", unavailable, "")
	cloud.Eventually(t, "it is down", func() bool {
		return strings.Contains(p.api.Get(t, "os-services?host=host1@alpha", cloud.Newest), `"state":"down"`) ||
			strings.Contains(p.api.Get(t, "os-services?host=host1@alpha", cloud.Newest), `"state": "down"`)
	})
	p.does(t, "thaw", unavailable, "")
	p.does(t, "failover", invalid, "must be up to failover")
	if now, m := beat(); now != at || m != n {
		t.Errorf("its last heartbeat was the %dth, at %s; now it is the %dth, at %s", n, at, m, now)
	}
	p.is(t, frozen)
	p.start(t)
	p.does(t, "thaw", ok, "")
	p.is(t, healthy)
}
