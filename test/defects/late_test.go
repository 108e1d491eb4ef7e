package defects

import (
	"slices"
	"strings"
	"testing"

	"stoker/test/cloud"
)

// Cinder answers 500, and it is carried out when the service goes on.
func TestFreezeCarriedOutLate(t *testing.T) {
	byHostAndCluster(t, func(t *testing.T, p place) {
		t.Helper()
		p.carriedOutLate(t, "freeze", "thaw", healthy)
	})
}

// Cinder answers 500, the row half thawed, and it is carried out when the service
// goes on.
func TestThawCarriedOutLate(t *testing.T) {
	byHostAndCluster(t, func(t *testing.T, p place) {
		t.Helper()
		p.does(t, "freeze", ok, "")
		p.carriedOutLate(t, "thaw", "freeze", frozen)
		p.does(t, "thaw", ok, "")
		p.is(t, healthy)
	})
}

// carriedOutLate sends an action to services that hang, and lets them go on when it
// was given up: it is carried out late, and undone. Lists never show it.
func (p place) carriedOutLate(t *testing.T, action, opposite, line string) {
	t.Helper()
	told := map[string]int{}
	for host, c := range p.volumes {
		told[host] = len(c.Calls(t, "alpha"))
	}
	p.stop(t)
	op := p.does(t, action, late, "")
	if op.State != "monitoring" {
		t.Errorf("the journal says %s, want monitoring", op.State)
	}
	p.is(t, line)
	p.resume(t)
	p.ends(t, op, "rolled-back", "undone by a "+opposite)
	p.is(t, line)
	// The very member that has done it has undone it, and the others nothing.
	var did []string
	for host, c := range p.volumes {
		if calls := c.Calls(t, "alpha")[told[host]:]; len(calls) > 0 {
			did = append(did, host)
			if want := []string{action, action + " done", opposite, opposite + " done"}; !slices.Equal(calls, want) {
				t.Errorf("the backend was told %q, want %q", calls, want)
			}
		}
	}
	if op = p.api.Operation(t, op.ID); len(did) != 1 || !slices.Equal(op.LateBy, []string{did[0] + "@alpha"}) {
		t.Errorf("the journal says that %q were late, want %q", op.LateBy, did)
	}
}

// A failover that was given up because nobody seemed to be left, and is carried out
// all the same, is shown, and not undone: the data are where they are.
func TestFailoverCarriedOutLate(t *testing.T) { byHost(t, failoverCarriedOutLate) }

func failoverCarriedOutLate(t *testing.T, p place) {
	t.Helper()
	p.tell(t, map[string]any{"failover_delay": 600})
	told := len(p.calls(t))
	op := p.does(t, "failover", accepted, "", "backend_id", "site-b")
	cloud.Eventually(t, "the service is at it", func() bool { return slices.Contains(p.calls(t)[told:], "failover site-b") })
	p.stop(t)
	p.tell(t, nil)
	// As a broker does that misses the heartbeats of a connection.
	vhost := p.Options.Transport[strings.LastIndex(p.Options.Transport, "/")+1:]
	p.broker.Control(t, "close_all_connections", "--vhost", vhost, "no heartbeat")
	p.ends(t, op, "monitoring", "is gone: put back")
	p.is(t, healthy)
	p.resume(t)
	p.ends(t, op, "done", "yet the service has gone on: active backend: site-b")
	p.is(t, onSiteB)
	if calls := p.calls(t)[told:]; !slices.Equal(calls, []string{"failover site-b", "failover site-b done"}) {
		t.Errorf("the backend was told %q, want one failover", calls)
	}
	cloud.Eventually(t, "it takes commands again", func() bool {
		return p.api.Put(t, "os-services/failover", cloud.Newest, map[string]any{"host": "host1@alpha", "backend_id": "default"}).Status == accepted
	})
	p.becomes(t, healthy)
}
