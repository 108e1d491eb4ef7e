package soak

import (
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"stoker/test/load"
	"stoker/test/site"
)

// held is the resources that processes hold without requests.
type held struct {
	quiet    site.Quiet
	resident map[string]int64 // bytes, by process: the median of several samples
	heap     int64            // of the API that is never killed
}

// look takes samples for a while.
func (k *soak) look(t *testing.T) held {
	t.Helper()
	h := held{quiet: k.Quiet(t, k.apis[0]), resident: map[string]int64{}}
	samples := map[string][]int64{}
	for range 20 {
		found, err := load.Metrics(t.Context(), k.apis[0].Metrics)
		if err != nil {
			t.Fatal(err)
		}
		samples["heap"] = append(samples["heap"], int64(found["go_memstats_heap_inuse_bytes"]))
		samples["api"] = append(samples["api"], k.apis[0].Service(t, "api").Resident(t))
		for _, name := range []string{"scheduler", "backup"} { // the volume service is killed now and then
			samples[name] = append(samples[name], k.fleets[0].Service(t, name).Resident(t))
		}
		site.Pause(t, 250*time.Millisecond)
	}
	for name, all := range samples {
		slices.Sort(all)
		h.resident[name] = all[len(all)/2]
	}
	h.heap = h.resident["heap"]
	delete(h.resident, "heap")
	return h
}

// summary is the result of a soak.
type summary struct {
	reports       [2]load.Report // by fleet
	faults        map[string]int
	late          [2][]time.Duration // by fleet: Return.Late
	operations    []string           // lines
	mended        int                // Python services restarted to end a failover
	before, after held
}

func (s *summary) suffered(fault string, returns []site.Return) {
	if s.faults == nil {
		s.faults = map[string]int{}
	}
	s.faults[fault]++
	for i, r := range returns {
		s.late[i] = append(s.late[i], r.Late())
	}
}

// read counts the operations by outcome.
func (s *summary) read(t *testing.T, db *sql.DB) {
	t.Helper()
	s.operations = nil
	rows, err := db.QueryContext(t.Context(), "SELECT kind, state, COUNT(*) FROM stoker_operations GROUP BY kind, state ORDER BY kind, state")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var kind, state string
		var n int
		if err := rows.Scan(&kind, &state, &n); err != nil {
			t.Fatal(err)
		}
		s.operations = append(s.operations, fmt.Sprintf("%s %s: %d", kind, state, n))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// flat checks that nothing has more than doubled, by an amount that matters. Resident
// memory may grow by more than the heap: the runtime returns freed memory late.
func (s *summary) flat(t *testing.T) {
	t.Helper()
	grown := func(what string, before, after, matters int64) {
		if after > 2*before && after-before > matters {
			t.Errorf("%s: %d MiB, was %d", what, after>>20, before>>20)
		}
	}
	grown("heap of the API", s.before.heap, s.after.heap, 16<<20)
	for name, bytes := range s.before.resident {
		grown("resident memory of "+name, bytes, s.after.resident[name], 64<<20)
	}
}

func (s *summary) String() string {
	var b strings.Builder
	for i, what := range []string{"the program's own services", "a real Cinder's services"} {
		fmt.Fprintf(&b, "%s\n%s", what, s.reports[i])
		if late := s.late[i]; len(late) > 0 {
			slices.Sort(late)
			fmt.Fprintf(&b, "there again after a fault: median %v, longest %v\n", late[len(late)/2].Round(time.Millisecond), late[len(late)-1].Round(time.Millisecond))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.faults)) {
		fmt.Fprintf(&b, "%d times %s\n", s.faults[name], name)
	}
	fmt.Fprintf(&b, "%d Python services were restarted in the end, to end a failover\n", s.mended)
	fmt.Fprintf(&b, "operations: %s\n", strings.Join(s.operations, ", "))
	for i, h := range []held{s.before, s.after} {
		fmt.Fprintf(&b, "%s: heap of the API %d MiB; resident, MiB:", []string{"before", "after"}[i], h.heap>>20)
		for _, name := range slices.Sorted(maps.Keys(h.resident)) {
			fmt.Fprintf(&b, " %s %d", name, h.resident[name]>>20)
		}
		fmt.Fprintf(&b, "; goroutines %d; connections to the bus %v, to the database %v\n", h.quiet.Goroutines, h.quiet.Bus, h.quiet.DB)
	}
	return b.String()
}
