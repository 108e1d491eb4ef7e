package site

import (
	"slices"
	"testing"
	"time"

	"stoker/test/load"
)

// Quiet is what the program's processes hold while nobody asks for anything, but
// recovery and heartbeats go on.
type Quiet struct {
	Bus        []int // connections, of each way: the most that were seen
	DB         []int
	Goroutines int // of the API: the median, as they come and go
	looks      int // that this is the median of
}

// now looks.
func (s *Site) now(tb testing.TB, api *Process) Quiet {
	tb.Helper()
	q := Quiet{Goroutines: load.Goroutines(tb, api.Metrics)}
	for _, p := range s.processes {
		if p.counted {
			q.Bus, q.DB = append(q.Bus, p.ToBus.Connections()), append(q.DB, p.ToDB.Connections())
		}
	}
	return q
}

// Quiet looks for a few seconds, in which every connection to the database is made
// anew (see start) and all that repeats itself happens.
func (s *Site) Quiet(tb testing.TB, api *Process) Quiet {
	tb.Helper()
	seen := s.now(tb, api)
	goroutines := []int{seen.Goroutines}
	for end := time.Now().Add(quietFor); time.Now().Before(end); tick(tb.Context()) {
		now := s.now(tb, api)
		goroutines = append(goroutines, now.Goroutines)
		for i := range seen.Bus {
			seen.Bus[i], seen.DB[i] = max(seen.Bus[i], now.Bus[i]), max(seen.DB[i], now.DB[i])
		}
	}
	seen.Goroutines, seen.looks = median(goroutines), len(goroutines)
	return seen
}

func median(of []int) int {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

const quietFor = 8 * time.Second

// Mend does what an operator does about a failover that does not end because a
// Python service has lost its database in the midst of it, and goes on without
// ever writing what came of it: the service is restarted. (What the program's own
// services could not write they write later.) It returns how many were.
func (s *Site) Mend(tb testing.TB, fleets ...*Fleet) int {
	tb.Helper()
	open := func(f *Fleet) bool {
		return load.Count(tb, s.DB, "SELECT COUNT(*) FROM stoker_operations WHERE state = 'open' AND kind = 'failover' AND host LIKE '"+f.Host+"@%'") > 0
	}
	mended := 0
	for _, f := range fleets {
		for end := time.Now().Add(patience); open(f) && time.Now().Before(end); {
			tick(tb.Context())
		}
		if f.Python && open(f) {
			mended++
			f.Service(tb, "volume").Stop(tb)
			f.Service(tb, "volume").Start(tb)
		}
	}
	return mended
}

// patience is how long an operator waits for a failover whose backend takes no time for it.
const patience = 10 * time.Second

// Settled checks what has to be so when nobody asks for anything any more:
// every operation has ended, no row is half changed, and connections and
// goroutines are no more than before, these by the median of as many looks in a
// row. Of connections to the bus each process has as many as before.
func (s *Site) Settled(tb testing.TB, api *Process, before Quiet) {
	tb.Helper()
	load.Whole(tb, s.DB)
	var now Quiet
	var goroutines []int // that were seen last
	defer func() {
		if tb.Failed() {
			tb.Logf("before: %+v, now: %+v, goroutines: %v", before, now, goroutines)
			s.tellOfOpen(tb)
		}
	}()
	load.Within(tb, load.Patience, "there are as many connections and goroutines as before", func() bool {
		now = s.now(tb, api)
		goroutines = append(goroutines, now.Goroutines)
		goroutines = goroutines[max(0, len(goroutines)-before.looks):]
		for i := range before.Bus {
			if now.Bus[i] != before.Bus[i] || now.DB[i] > before.DB[i] {
				return false
			}
		}
		return len(goroutines) == before.looks && median(goroutines) <= before.Goroutines
	})
}
