package defects

import (
	"context"
	"flag"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/test/cloud"
	"stoker/test/load"
	"stoker/test/peers"
)

var (
	engines         peers.Shared
	oneHost, twoOfA fixtures
)

// TestMain lets a host and a cluster of two releases be tried at once: they wait far
// more than they work.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(engines.Run(m))
}

// The lines of a replicated service in the states that these tests lead through.
const (
	healthy = "enabled enabled"
	frozen  = "disabled 'frozen' enabled frozen"
	moving  = "enabled failing-over"
	onSiteB = "disabled 'failed-over' failed-over on site-b"
)

const (
	ok          = http.StatusOK
	accepted    = http.StatusAccepted
	invalid     = http.StatusBadRequest
	conflict    = http.StatusConflict
	unavailable = http.StatusServiceUnavailable
	late        = http.StatusGatewayTimeout
)

// site is Python services, and Stoker's API over them.
type site struct {
	*cloud.Cloud

	broker  *peers.Broker
	api     cloud.API
	central *peers.Cinder            // the scheduler, and the backup service of host1
	volumes map[string]*peers.Cinder // the volume services, by host
}

// fixture is a site that is started by the first test that asks for it, and ends
// with the last.
type fixture struct {
	once sync.Once
	site *site
	left bool // by a test that has failed in the middle
}

// fixtures are those of each release.
type fixtures struct {
	mu sync.Mutex
	of map[peers.Release]*fixture // guarded by mu
}

func (f *fixtures) in(r peers.Release) *fixture {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[peers.Release]*fixture{}
	}
	if f.of[r] == nil {
		f.of[r] = &fixture{}
	}
	return f.of[r]
}

func (f *fixture) get(t *testing.T, engines *peers.Shared, start func(testing.TB, *site)) *site {
	t.Helper()
	f.once.Do(func() {
		tb := engines.Lasting(t)
		s := &site{Cloud: cloud.New(tb, engines), broker: engines.RabbitMQ(tb), volumes: map[string]*peers.Cinder{}}
		s.central = s.Python(tb, "host1", "scheduler", "backup")
		s.Sync(tb)
		start(tb, s)
		s.Options.RPCTimeout = 6 // a service that is well answers by then, on a busy machine
		s.Options.More = "[stoker]\nlog_timeout = 2\nfailover_expiry = 3\nfailover_deadline = 4\n"
		s.api = cloud.API{Name: "stoker", URL: s.Stoker(tb, "host1", "api").URL}
		f.site = s
	})
	if f.site == nil {
		t.Fatal("the services that this test shares with others did not start")
	}
	if f.left {
		f.site.mend(t)
	}
	f.left = false
	t.Cleanup(func() { f.left = t.Failed() })
	return f.site
}

// place is what a test does something to.
type place struct {
	*site

	target map[string]any // in the body of a request
	hosts  []string       // the services that are meant
}

// aHost is alpha of a host with three backends.
func aHost(t *testing.T, engines *peers.Shared) place {
	t.Helper()
	s := oneHost.in(engines.Release()).get(t, engines, func(tb testing.TB, s *site) { tb.Helper(); s.volumes["host1"] = s.Python(tb, "host1", "volume") })
	return place{s, map[string]any{"host": "host1@alpha"}, []string{"host1@alpha"}}
}

// aCluster is the alpha of a cluster of two.
func aCluster(t *testing.T, engines *peers.Shared) place {
	t.Helper()
	s := twoOfA.in(engines.Release()).get(t, engines, func(tb testing.TB, s *site) {
		tb.Helper()
		for _, host := range []string{"nodea", "nodeb"} {
			s.volumes[host] = s.Member(tb, host, true)
		}
	})
	return place{s, map[string]any{"cluster": "mycl@alpha"}, []string{"nodea@alpha", "nodeb@alpha"}}
}

// byHost runs a test by host, beside every release.
func byHost(t *testing.T, test func(*testing.T, place)) {
	t.Helper()
	engines.Each(t, func(t *testing.T, engines *peers.Shared) {
		t.Helper()
		test(t, aHost(t, engines))
	})
}

// byCluster runs a test by cluster, beside every release.
func byCluster(t *testing.T, test func(*testing.T, place)) {
	t.Helper()
	engines.Each(t, func(t *testing.T, engines *peers.Shared) {
		t.Helper()
		test(t, aCluster(t, engines))
	})
}

// everywhere runs a test by host, by cluster and by a member of one, beside every
// release.
func everywhere(t *testing.T, test func(*testing.T, place)) {
	t.Helper()
	engines.Each(t, func(t *testing.T, engines *peers.Shared) {
		t.Helper()
		t.Run("by host", func(t *testing.T) { test(t, aHost(t, engines)) })
		t.Run("by cluster", func(t *testing.T) { test(t, aCluster(t, engines)) })
		t.Run("by member", func(t *testing.T) {
			p := aCluster(t, engines)
			p.target = map[string]any{"host": "nodeb@alpha"}
			test(t, p)
		})
	})
}

// byHostAndCluster is for tests that take long: both at once.
func byHostAndCluster(t *testing.T, test func(*testing.T, place)) {
	t.Helper()
	engines.Each(t, func(t *testing.T, engines *peers.Shared) {
		t.Helper()
		t.Run("by host", func(t *testing.T) {
			t.Parallel()
			test(t, aHost(t, engines))
		})
		t.Run("by cluster", func(t *testing.T) {
			t.Parallel()
			test(t, aCluster(t, engines))
		})
	})
}

// does sends an action, with pairs of further fields, and checks the answer. It
// returns the journal's entry, which is empty when the answer names none.
func (p place) does(t *testing.T, action string, status int, says string, more ...string) cloud.Operation {
	t.Helper()
	body := maps.Clone(p.target)
	for i := 0; i < len(more); i += 2 {
		body[more[i]] = more[i+1]
	}
	got := p.api.Put(t, "os-services/"+action, cloud.Newest, body)
	if got.Status != status || !strings.Contains(got.Body, says) {
		t.Fatalf("%s %v: %d %s, want %d with %q", action, body, got.Status, got.Body, status, says)
	}
	id := got.Header.Get("X-Stoker-Operation")
	if id == "" {
		return cloud.Operation{}
	}
	return p.api.Operation(t, id)
}

// seen are the lines of what is meant, as rows and as lists have them.
func (p place) seen(t *testing.T) (lines []string) {
	t.Helper()
	rows := p.Rows(t)
	listed, err := cloud.Listed(p.api.Get(t, "os-services", "3.48"))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range p.hosts {
		lines = append(lines, rows[h], listed[h])
	}
	return lines
}

// is checks that rows and lists say so now.
func (p place) is(t *testing.T, line string) {
	t.Helper()
	for _, got := range p.seen(t) {
		if got != line {
			t.Fatalf("rows and lists say %q, want %q", p.seen(t), line)
		}
	}
}

// comesTo is what is checks of a service. The members of a cluster hear one after
// the other where a failover has ended, the journal says so meanwhile.
func (p place) comesTo(t *testing.T, line string) {
	t.Helper()
	if len(p.hosts) > 1 {
		p.becomes(t, line)
	}
	p.is(t, line)
}

// becomes waits until rows and lists say so.
func (p place) becomes(t *testing.T, line string) {
	t.Helper()
	var got []string
	load.Within(t, load.Patience, "rows and lists say "+line, func() bool {
		got = p.seen(t)
		for _, l := range got {
			if l != line {
				return false
			}
		}
		return true
	})
}

// ends waits until the journal says that an operation has ended so.
func (p place) ends(t *testing.T, op cloud.Operation, state, outcome string) {
	t.Helper()
	if op.ID == "" {
		t.Fatal("the answer named no operation")
	}
	ctx, cancel := context.WithTimeout(t.Context(), load.Patience)
	defer cancel()
	for op.State != state || !strings.Contains(op.Outcome, outcome) {
		select {
		case <-ctx.Done():
			t.Fatalf("the journal says %s, %q of a %s, want %s, %q", op.State, op.Outcome, op.Kind, state, outcome)
		case <-time.After(50 * time.Millisecond):
			op = p.api.Operation(t, op.ID)
		}
	}
	if op.Caller.UserID != "admin" {
		t.Errorf("the journal says that %q did it, want admin", op.Caller.UserID)
	}
}

// newest is the newest operation of that kind in the journal.
func (p place) newest(t *testing.T, kind string) cloud.Operation {
	t.Helper()
	all := p.api.Operations(t, url.Values{"kind": {kind}})
	if len(all) == 0 {
		return cloud.Operation{}
	}
	return all[0]
}

// kill ends all volume services that are meant, as a power cut does, and waits until
// the broker has noticed: what a service is sent before that waits for an answer.
func (p place) kill(t *testing.T) {
	t.Helper()
	for _, c := range p.volumes {
		c.Service(t, "volume").Kill(t)
	}
	named := p.hosts
	if len(p.hosts) > 1 {
		named = append([]string{"mycl@alpha"}, p.hosts...)
	}
	peers.Deserted(t, p.Options.Transport, "cinder-volume", named...)
}

// start starts them again.
func (p place) start(t *testing.T) {
	t.Helper()
	var all []*peers.Engine
	for _, c := range p.volumes {
		all = append(all, c.Service(t, "volume"))
	}
	peers.StartAll(t, all...)
}

// stop makes them hang.
func (p place) stop(t *testing.T) {
	t.Helper()
	for _, c := range p.volumes {
		c.Service(t, "volume").Pause(t)
	}
}

// resume lets them go on.
func (p place) resume(t *testing.T) {
	t.Helper()
	for _, c := range p.volumes {
		c.Service(t, "volume").Resume(t)
	}
}

// tell says to all backends alpha how to take what they are told.
func (p place) tell(t *testing.T, how map[string]any) {
	t.Helper()
	for _, c := range p.volumes {
		c.Tell(t, "alpha", how)
	}
}

// calls are what the backends alpha were told, one member after the other.
func (p place) calls(t *testing.T) (all []string) {
	t.Helper()
	for _, h := range p.hosts {
		host, _, _ := strings.Cut(h, "@")
		all = append(all, p.volumes[host].Calls(t, "alpha")...)
	}
	return all
}

// mend brings everything back after a test that has failed in the middle.
func (s *site) mend(t *testing.T) {
	t.Helper()
	for _, c := range s.volumes {
		c.Service(t, "volume").Kill(t)
		for _, backend := range []string{"alpha", "beta", "gamma"} {
			c.Tell(t, backend, nil)
		}
	}
	for _, table := range []string{"services", "clusters"} {
		s.Exec(t, "UPDATE "+table+" SET disabled = 0, disabled_reason = NULL, frozen = 0, replication_status = 'enabled', active_backend_id = NULL WHERE `binary` = 'cinder-volume'")
	}
	s.Exec(t, "DELETE FROM stoker_operations")
	s.Exec(t, "DELETE FROM stoker_causes")
	for _, c := range s.volumes {
		c.Service(t, "volume").Start(t)
	}
	for _, service := range []string{"scheduler", "backup"} {
		s.central.Service(t, service).Kill(t)
		s.central.Service(t, service).Start(t)
	}
}
