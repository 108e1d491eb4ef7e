package site

import (
	"slices"
	"testing"
	"time"

	"stoker/test/load"
)

// Quiet is the resources that the program's processes hold without requests, while
// recovery and heartbeats continue.
type Quiet struct {
	Bus        []int // connections, by Way: the maximum seen
	DB         []int
	Goroutines int // of the API: the median
	looks      int // the number of samples
}

// now takes one sample.
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

// Quiet takes samples for a few seconds, in which every database connection is replaced
// (see start) and all periodic work happens.
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

// Mend restarts Python services, as an operator would, when a failover does not end
// because the service lost its database during it and never writes the outcome. (The
// program's own services write it later.) It returns how many it restarted.
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

// patience is how long an operator waits for a failover that takes no time on its
// backend.
const patience = 10 * time.Second

// Settled checks what must hold once there are no requests: every operation has ended,
// no row is half changed, and there are no more connections and goroutines than before,
// by the median of as many samples in a row. Each process must have exactly as many
// connections to the bus as before.
func (s *Site) Settled(tb testing.TB, api *Process, before Quiet) {
	tb.Helper()
	load.Whole(tb, s.DB)
	var now Quiet
	var goroutines []int // the last samples
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
