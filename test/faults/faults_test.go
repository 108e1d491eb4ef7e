package faults

import (
	"flag"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/test/load"
	"stoker/test/peers"
	"stoker/test/site"
)

var built peers.Shared // the program; the engines are each test's own

// TestMain runs all tests in parallel, whatever the machine has: they wait more than
// they work.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "5"); err != nil {
		panic(err)
	}
	os.Exit(built.Run(m))
}

// Bounds on an idle machine. A busy one is given as much more as it needs for the
// same requests when nothing is wrong: see stage.within.
const (
	atOnce = 5 * time.Second  // to refuse a change that needs something known to be away
	back   = 10 * time.Second // from an engine's return to the service's
)

const (
	steady = 40 * time.Second // of load, with one fault in the middle
	brief  = 20 * time.Second // of load, for similar faults
	away   = 8 * time.Second  // how long something is away, besides the engine's own stop and start
)

// stage is a site on which every request has been made once.
type stage struct {
	*site.Site
	api    *site.Process
	fleets []*site.Fleet
	quiet  site.Quiet
	calm   time.Duration // for one request of each kind under the load, nothing being wrong
}

// within is a bound, and twice what the requests take anyway.
func (s *stage) within(bound time.Duration) time.Duration { return bound + 2*s.calm }

// warm runs the load for a while, and then measures the resources.
func warm(t *testing.T, s *site.Site, api *site.Process, fleets ...*site.Fleet) *stage {
	t.Helper()
	st := &stage{Site: s, api: api, fleets: fleets}
	all := st.load(t)
	for _, f := range fleets {
		r := f.Returns(t.Context(), api, time.Now())
		if r.Err != nil {
			t.Fatalf("%s, before anything is wrong: %s", f.Host, r)
		}
		st.calm = max(st.calm, r.Served)
	}
	t.Logf("one request of each kind takes %v", st.calm)
	pause(t, 5*time.Second)
	st.unharmed(t, "before anything is wrong", all)
	st.quiet = s.Quiet(t, api)
	return st
}

// load starts the load.
func (s *stage) load(t *testing.T) []*load.Load {
	t.Helper()
	var all []*load.Load
	for _, f := range s.fleets {
		all = append(all, f.Load(t.Context(), s.api, load.Options{Pause: 200 * time.Millisecond}))
	}
	return all
}

// unharmed ends a load, and checks that every request got a permitted answer.
func (s *stage) unharmed(t *testing.T, when string, all []*load.Load) {
	t.Helper()
	for i, l := range all {
		report := l.End()
		if len(report.Wrong) > 0 {
			t.Errorf("%s, %s:\n%s", s.fleets[i].Host, when, strings.Join(report.Wrong, "\n"))
		}
		t.Logf("%s, %s:\n%s", s.fleets[i].Host, when, report)
	}
}

// suffer causes a fault during a load, and checks what must hold during and after it.
func (s *stage) suffer(t *testing.T, f site.Fault, length time.Duration) {
	t.Helper()
	over := time.After(length)
	all := s.load(t)
	pause(t, length/6)
	f.Begin(t)
	pause(t, away)
	if a, err := load.Ask(t.Context(), s.api.URL, load.Request{}, load.Deadline); f.Lists && (err != nil || a.Status != http.StatusOK) {
		t.Errorf("a list, which needs none: %d %s %v", a.Status, a.Body, err)
	}
	for _, fleet := range s.fleets {
		if a, err := fleet.Refused(t.Context(), s.api); f.Plain && (err != nil || a.Status != http.StatusServiceUnavailable || a.Took > s.within(atOnce)) {
			t.Errorf("a freeze of %s meanwhile: %d %s %v after %v, want 503 within %v", fleet.Host, a.Status, a.Body, err, a.Took, s.within(atOnce))
		}
	}
	f.End(t)
	since := time.Now()
	var waiting sync.WaitGroup
	returns := make([]site.Return, len(s.fleets))
	for i, fleet := range s.fleets {
		waiting.Go(func() { returns[i] = fleet.Returns(t.Context(), s.api, since) })
	}
	waiting.Wait()
	for i, r := range returns {
		t.Logf("%s: %s", s.fleets[i].Host, r)
		if r.Err != nil || r.Late() > s.within(back) {
			t.Errorf("%s: want it at most %v after the engine and itself: %s", s.fleets[i].Host, s.within(back), r)
		}
	}
	select {
	case <-over:
	case <-t.Context().Done():
	}
	s.unharmed(t, f.Name, all)
	if n := s.Mend(t, s.fleets...); n > 0 {
		t.Logf("%d Python services had to be restarted to end a failover", n)
	}
	s.Settled(t, s.api, s.quiet)
}

// TestEnginesLost has the program's services and a real Cinder's, on one bus and one
// database.
func TestEnginesLost(t *testing.T) {
	t.Parallel()
	s := site.New(t, site.Options{Program: built.Program(t), Python: true})
	st := warm(t, s, s.API(t, "api1"), s.Go(t, "host1"), s.Python(t, "host2"))
	for _, f := range []site.Fault{s.BusRestarted(), s.BusPaused(), s.BusCut(), s.DatabaseRestarted()} {
		t.Run(f.Name, func(t *testing.T) { st.suffer(t, f, steady) })
	}
}

func TestPostgresLost(t *testing.T) {
	t.Parallel()
	s := site.New(t, site.Options{Program: built.Program(t), Postgres: true})
	st := warm(t, s, s.API(t, "api1"), s.Go(t, "host1"))
	t.Run("restarted", func(t *testing.T) { st.suffer(t, s.DatabaseRestarted(), steady) })
	t.Run("killed", func(t *testing.T) { st.suffer(t, s.DatabaseKilled(), brief) })
}

// TestDatabaseLost takes the database away in other ways.
func TestDatabaseLost(t *testing.T) {
	t.Parallel()
	s := site.New(t, site.Options{Program: built.Program(t)})
	st := warm(t, s, s.API(t, "api1"), s.Go(t, "host1"))
	for _, f := range []site.Fault{s.DatabaseKilled(), s.DatabaseCut(), s.DatabaseSilent()} {
		t.Run(f.Name, func(t *testing.T) { st.suffer(t, f, brief) })
	}
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}
