package site

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Length is the duration of a test: from an environment variable, or the preset.
func Length(tb testing.TB, variable string, preset time.Duration) time.Duration {
	tb.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return preset
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		tb.Fatal(variable+": ", err)
	}
	return d
}

// Seed is the seed of a test's random numbers: from an environment variable, or random.
// It is logged, so that it can be reused.
func Seed(tb testing.TB, variable string) uint64 {
	tb.Helper()
	n := rand.Uint64()
	if text := os.Getenv(variable); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			tb.Fatal(variable+": ", err)
		}
	}
	tb.Logf("%s=%d", variable, n)
	return n
}

// Faults returns all faults of the engines, the fleets' volume services and the API
// processes.
func (s *Site) Faults(fleets []*Fleet, apis ...*Process) []Fault {
	all := []Fault{
		s.BusRestarted(), s.BusPaused(), s.BusCut(),
		s.DatabaseRestarted(), s.DatabasePaused(), s.DatabaseCut(), s.DatabaseKilled(), s.DatabaseSilent(),
	}
	for _, f := range fleets {
		all = append(all, ServiceKilled(f), ServicePaused(f))
	}
	for _, p := range apis {
		all = append(all, APIKilled(p))
	}
	return all
}

// Chance chooses faults in random order, each once before any repeats.
type Chance struct {
	faults []Fault
	random *rand.Rand
	order  []int // indexes of the remaining ones
}

// NewChance returns a Chance of these faults.
func NewChance(random *rand.Rand, faults []Fault) *Chance {
	return &Chance{faults: faults, random: random}
}

// Strike begins the next fault after a random pause, ends it after another, and returns
// its name.
func (c *Chance) Strike(tb testing.TB) string {
	tb.Helper()
	if len(c.order) == 0 {
		c.order = c.random.Perm(len(c.faults))
	}
	f := c.faults[c.order[0]]
	c.order = c.order[1:]
	Pause(tb, time.Duration(1000+c.random.IntN(3000))*time.Millisecond)
	f.Begin(tb)
	Pause(tb, time.Duration(500+c.random.IntN(8000))*time.Millisecond)
	f.End(tb)
	return f.Name
}

// AllReturn waits after a fault until all requests succeed for every fleet, each
// through one API, and fails the test when that takes too long.
func AllReturn(tb testing.TB, after string, fleets []*Fleet, apis []*Process) []Return {
	tb.Helper()
	since := time.Now()
	var waiting sync.WaitGroup
	returns := make([]Return, len(fleets))
	for i, f := range fleets {
		waiting.Go(func() { returns[i] = f.Returns(context.WithoutCancel(tb.Context()), apis[i], since) })
	}
	waiting.Wait()
	for i, r := range returns {
		tb.Logf("after %s, %s: %s", after, fleets[i].Host, r)
		if r.Err != nil {
			tb.Errorf("after %s, %s does not come back: %s", after, fleets[i].Host, r)
		}
	}
	return returns
}

// Pause waits, unless the test ends.
func Pause(tb testing.TB, d time.Duration) {
	tb.Helper()
	select {
	case <-tb.Context().Done():
	case <-time.After(d):
	}
}
