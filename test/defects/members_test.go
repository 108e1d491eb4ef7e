package defects

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"stoker/test/cloud"
)

// Cinder disables the one member that took the freeze, and a thaw may reach
// another.
func TestMembersAreFrozenAlike(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		t.Helper()
		for range 4 { // members take turns
			p.ends(t, p.does(t, "freeze", ok, ""), "done", "")
			p.is(t, frozen)
			if got := p.Rows(t)["mycl@alpha"]; len(p.hosts) > 1 && !strings.HasSuffix(got, "frozen") {
				t.Errorf("the cluster is %q", got)
			}
			p.ends(t, p.does(t, "thaw", ok, ""), "done", "")
			p.is(t, healthy)
		}
	})
}

// Cinder shows none, for it looks for the host where the cluster's name is.
func TestBackendStateOfAMember(t *testing.T) { byCluster(t, backendStateOfAMember) }

func backendStateOfAMember(t *testing.T, p place) {
	t.Helper()
	var states map[string]*string
	cloud.Eventually(t, "both members show the state of the backend", func() bool {
		var list struct {
			Services []struct {
				Host  string
				State *string `json:"backend_state"`
			}
		}
		if err := json.Unmarshal([]byte(p.api.Get(t, "os-services?binary=cinder-volume", cloud.Newest)), &list); err != nil {
			t.Fatal(err)
		}
		states = map[string]*string{}
		for _, s := range list.Services {
			states[s.Host] = s.State
		}
		return !slices.ContainsFunc(p.hosts, func(h string) bool { return states[h] == nil || *states[h] != "up" })
	})
}

// Cinder's member stays failing-over, and when it restarts sets itself, and the
// cluster that is at site-b, to enabled.
func TestMemberMissesAFailover(t *testing.T) { byCluster(t, memberMissesAFailover) }

func memberMissesAFailover(t *testing.T, p place) {
	t.Helper()
	member := p.volumes["nodeb"].Service(t, "volume")
	for _, s := range []struct{ target, line string }{{"site-b", onSiteB}, {"default", healthy}} {
		member.Kill(t)
		before := p.newest(t, "failover-completed")
		op := p.does(t, "failover", accepted, "", "backend_id", s.target)
		p.ends(t, op, "done", "active backend: "+s.target)
		told := len(p.volumes["nodeb"].Calls(t, "alpha"))
		member.Start(t)
		p.becomes(t, s.line)
		p.agrees(t, s.line)
		cloud.Eventually(t, "the member was told failover_completed, and that at last", func() bool {
			calls := p.volumes["nodeb"].Calls(t, "alpha")[told:]
			return len(calls) > 0 && strings.HasPrefix(calls[len(calls)-1], "failover_completed")
		})
		if p.Options.Release.Streams() {
			continue // a stream tells it by itself, and Stoker need not
		}
		var again cloud.Operation
		cloud.Eventually(t, "the journal says that the member was told again", func() bool {
			again = p.newest(t, "failover-completed")
			return again.ID != before.ID && again.State == "done"
		})
		if again.Cluster != "mycl@alpha" || again.Outcome != "every member agrees" {
			t.Errorf("%+v", again)
		}
	}
}

// agrees waits until the cluster's row says what its members' say: it is written
// after, or before, theirs.
func (p place) agrees(t *testing.T, line string) {
	t.Helper()
	cloud.Eventually(t, "the cluster's row says "+line, func() bool { return p.Rows(t)["mycl@alpha"] == line })
}

// Cinder's member that restarts while another fails over sets itself and the
// cluster to enabled.
func TestMemberRestartsDuringAFailover(t *testing.T) { byCluster(t, memberRestartsDuringAFailover) }

func memberRestartsDuringAFailover(t *testing.T, p place) {
	t.Helper()
	told := map[string]int{}
	for host, c := range p.volumes {
		told[host] = len(c.Calls(t, "alpha"))
	}
	p.tell(t, map[string]any{"failover_delay": 600})
	op := p.does(t, "failover", accepted, "", "backend_id", "site-b")
	var other string
	cloud.Eventually(t, "a member is at it", func() bool {
		for host, c := range p.volumes {
			if len(c.Calls(t, "alpha")) > told[host] {
				other = map[string]string{"nodea": "nodeb", "nodeb": "nodea"}[host]
			}
		}
		return other != ""
	})
	member := p.volumes[other].Service(t, "volume")
	member.Kill(t)
	member.Start(t)
	// Four heartbeats take longer than members have to hear of an end.
	beats := p.beats(t, other+"@alpha")
	cloud.Eventually(t, "the member has been up for a while", func() bool { return p.beats(t, other+"@alpha") >= beats+4 })
	if got := p.api.Operation(t, op.ID); got.State != "open" {
		t.Errorf("the journal says %s, %q, while the other one is at it", got.State, got.Outcome)
	}
	listed, err := cloud.Listed(p.api.Get(t, "os-services", "3.48"))
	if err != nil || listed["nodea@alpha"] != moving || listed["nodeb@alpha"] != moving {
		t.Errorf("the list shows %q, want %s: %v", listed, moving, err)
	}
	p.tell(t, nil)
	p.ends(t, op, "done", "active backend: site-b")
	p.becomes(t, onSiteB)
	p.agrees(t, onSiteB)
	p.ends(t, p.does(t, "failover", accepted, "", "backend_id", "default"), "done", "default")
	p.becomes(t, healthy)
}

// beats is how many heartbeats a volume service has sent.
func (p place) beats(t *testing.T, host string) (n int) {
	t.Helper()
	row := p.DB.QueryRowContext(t.Context(), "SELECT report_count FROM services WHERE host = ? AND `binary` = 'cinder-volume' AND NOT deleted", host)
	if err := row.Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
