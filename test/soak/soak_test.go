package soak

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"stoker/test/load"
	"stoker/test/peers"
	"stoker/test/site"
)

var built peers.Shared // the program; the engines are the test's own

func TestMain(m *testing.M) { os.Exit(built.Run(m)) }

// early is the duration of the load before memory, goroutines and connections are
// measured first.
const early = 30 * time.Second

// soak is a site under load. The program's own services are used through one API
// process, a real Cinder's through another; only the second is killed, so that the
// first can be measured all the time.
type soak struct {
	*site.Site
	apis    []*site.Process
	fleets  []*site.Fleet
	summary summary
}

func TestSoak(t *testing.T) {
	n, length := site.Seed(t, "STOKER_SOAK_SEED"), site.Length(t, "STOKER_SOAK", 3*time.Minute)
	// Memory is measured, and the race detector uses the more the longer a program
	// runs. test/faults looks for races under the same load and faults.
	s := site.New(t, site.Options{Program: built.Program(t, "-race=false"), Python: true})
	k := &soak{Site: s, apis: []*site.Process{s.API(t, "api1"), s.API(t, "api2")}, fleets: []*site.Fleet{s.Go(t, "host1"), s.Python(t, "host2")}}
	warm := k.load(t)
	site.Pause(t, early)
	k.unharmed(t, warm)
	k.summary.before = k.look(t)

	all := k.load(t)
	k.suffer(t, rand.New(rand.NewPCG(n, 0)), time.Now().Add(length))
	k.unharmed(t, all)
	k.summary.mended = s.Mend(t, k.fleets...)
	defer func() { t.Logf("%v of faults:\n%s", length, k.summary.String()) }()
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

// load starts the load.
func (k *soak) load(t *testing.T) []*load.Load {
	t.Helper()
	var all []*load.Load
	for i, f := range k.fleets {
		all = append(all, f.Load(t.Context(), k.apis[i], load.Options{Pause: 150 * time.Millisecond, Dies: i == 1}))
	}
	return all
}

// unharmed ends a load, and checks that every request got a permitted answer.
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

// suffer causes faults, one after another, until end, and waits for everything to come
// back.
func (k *soak) suffer(t *testing.T, random *rand.Rand, end time.Time) {
	t.Helper()
	faults := site.NewChance(random, k.Faults(k.fleets, k.apis[1]))
	for time.Now().Before(end) {
		name := faults.Strike(t)
		k.summary.suffered(name, site.AllReturn(t, name, k.fleets, k.apis))
	}
}
