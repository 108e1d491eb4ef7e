package soak

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/test/load"
	"stoker/test/peers"
	"stoker/test/site"
)

var built peers.Shared // the program; the engines are the test's own

func TestMain(m *testing.M) { os.Exit(built.Run(m)) }

// length is how long faults go on: STOKER_SOAK, or three minutes.
func length(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("STOKER_SOAK")
	if text == "" {
		return 3 * time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal("STOKER_SOAK: ", err)
	}
	return d
}

// seed is that of the faults: STOKER_SOAK_SEED, or another one each time.
func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("STOKER_SOAK_SEED")
	if text == "" {
		return rand.Uint64()
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal("STOKER_SOAK_SEED: ", err)
	}
	return n
}

// early is how long everything is asked for before memory, goroutines and
// connections are looked at for the first time.
const early = 30 * time.Second

// soak is a site under load: the program's own services are asked through one API
// process, a real Cinder's through another, which alone is killed, so that the
// first can be looked at all the time.
type soak struct {
	*site.Site
	apis    []*site.Process
	fleets  []*site.Fleet
	summary summary
}

func TestSoak(t *testing.T) {
	n := seed(t)
	t.Logf("STOKER_SOAK_SEED=%d", n)
	// Its memory is looked at, of which the race detector takes the more the longer
	// a program runs. test/faults looks for races under the same load and faults.
	s := site.New(t, site.Options{Program: built.Program(t, "-race=false"), Python: true})
	k := &soak{Site: s, apis: []*site.Process{s.API(t, "api1"), s.API(t, "api2")}, fleets: []*site.Fleet{s.Go(t, "host1"), s.Python(t, "host2")}}
	warm := k.load(t)
	pause(t, early)
	k.unharmed(t, warm)
	k.summary.before = k.look(t)

	all := k.load(t)
	k.suffer(t, rand.New(rand.NewPCG(n, 0)), time.Now().Add(length(t)))
	k.unharmed(t, all)
	k.summary.mended = s.Mend(t, k.fleets...)
	defer func() { t.Logf("%v of faults:\n%s", length(t), k.summary.String()) }()
	k.summary.read(t, s.DB)
	s.Settled(t, k.apis[0], k.summary.before.quiet)
	k.summary.read(t, s.DB)
	if n := load.Count(t, s.DB, "SELECT COUNT(*) FROM stoker_operations WHERE state = 'failed'"); n > 0 {
		t.Logf("%d operations have failed, on record", n)
	}
	if _, missing := s.Once(t, k.fleets[0]); len(missing) > k.summary.faults["the volume service of host1 is killed"] {
		t.Errorf("done and carried out by nobody: %v", missing)
	}
	k.summary.after = k.look(t)
	k.summary.flat(t)
}

// load has everything asked for.
func (k *soak) load(t *testing.T) []*load.Load {
	t.Helper()
	var all []*load.Load
	for i, f := range k.fleets {
		all = append(all, f.Load(t.Context(), k.apis[i], load.Options{Pause: 150 * time.Millisecond, Dies: i == 1}))
	}
	return all
}

// unharmed ends a load, and checks that every request had an answer that there may be.
func (k *soak) unharmed(t *testing.T, all []*load.Load) {
	t.Helper()
	for i, l := range all {
		report := l.End()
		if len(report.Wrong) > 0 {
			t.Errorf("%s:\n%s", k.fleets[i].Host, strings.Join(report.Wrong, "\n"))
		}
		k.summary.reports[i].Add(report)
	}
}

// faults are what may happen.
func (k *soak) faults() []site.Fault {
	s, own, python := k.Site, k.fleets[0], k.fleets[1]
	return []site.Fault{
		s.BusRestarted(), s.BusPaused(), s.BusCut(),
		s.DatabaseRestarted(), s.DatabasePaused(), s.DatabaseCut(), s.DatabaseKilled(), s.DatabaseSilent(),
		site.ServiceKilled(own), site.ServicePaused(own), site.ServiceKilled(python), site.ServicePaused(python),
		site.APIKilled(k.apis[1]),
	}
}

// suffer has one fault after the other, until everything is there again after the last.
func (k *soak) suffer(t *testing.T, random *rand.Rand, end time.Time) {
	t.Helper()
	faults := k.faults()
	var order []int
	for time.Now().Before(end) {
		if len(order) == 0 { // each once before any comes again
			order = random.Perm(len(faults))
		}
		f := faults[order[0]]
		order = order[1:]
		pause(t, time.Duration(1000+random.IntN(3000))*time.Millisecond)
		f.Begin(t)
		pause(t, time.Duration(500+random.IntN(8000))*time.Millisecond)
		f.End(t)
		k.summary.suffered(f.Name, k.returns(t, f.Name))
	}
}

// returns waits until everything can be done with every fleet again.
func (k *soak) returns(t *testing.T, after string) []site.Return {
	t.Helper()
	since := time.Now()
	var waiting sync.WaitGroup
	returns := make([]site.Return, len(k.fleets))
	for i, f := range k.fleets {
		waiting.Go(func() { returns[i] = f.Returns(context.WithoutCancel(t.Context()), k.apis[i], since) })
	}
	waiting.Wait()
	for i, r := range returns {
		t.Logf("after %s, %s: %s", after, k.fleets[i].Host, r)
		if r.Err != nil {
			t.Errorf("after %s, %s does not come back: %s", after, k.fleets[i].Host, r)
		}
	}
	return returns
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}
