package kill

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/failpoint"
	"stoker/test/load"
	"stoker/test/peers"
)

const (
	// takenOver bounds the time from a process's death until another has its operation.
	takenOver = 30 * time.Second
	// settledBy bounds the time from an operation's deadline to its end.
	settledBy = 30 * time.Second
	// lanes is the number of sites that share the cases.
	lanes = 8
)

// trial is a case with one kind of change.
type trial struct {
	death
	kind
	cluster bool
}

func (c trial) String() string {
	names := make([]string, len(c.points))
	for i, p := range c.points {
		names[i] = string(p)
	}
	on := "host"
	if c.cluster {
		on = "cluster"
	}
	return c.name + " of a " + on + "/" + strings.Join(names, ", then ") + "/service " + string(c.when)
}

// trials returns all cases, ordered so that on a site each starts where the one before
// ends.
func trials() (found []trial) {
	for _, d := range deaths() {
		for _, cluster := range []bool{false, true} {
			if d.only == hosts && cluster || d.only == clusters && !cluster {
				continue
			}
			for _, k := range d.kinds {
				found = append(found, trial{d, k, cluster})
			}
		}
	}
	return found
}

// TestKilledAtEveryStep checks that whatever step of a change a process dies at, lists
// never show half of it, exactly one other process takes it over and ends it, and the
// change can be requested again.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	waiting := queue{trials: trials()}
	slowest := stopwatch{}
	var working sync.WaitGroup
	for i := range lanes {
		working.Go(func() {
			t.Run(fmt.Sprintf("site %d", i+1), func(t *testing.T) {
				s := newSite(t)
				for {
					c, ok := waiting.take()
					if !ok {
						return
					}
					t.Run(c.String(), func(t *testing.T) { s.try(t, c, &slowest) })
				}
			})
		})
	}
	working.Wait()
	t.Logf("taken over within %v, settled within %v of the kill", slowest.takeover.Round(time.Millisecond), slowest.settled.Round(time.Millisecond))
}

// queue has the cases that no site has taken yet.
type queue struct {
	mu     sync.Mutex
	trials []trial // guarded by mu
}

func (q *queue) take() (c trial, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.trials) == 0 {
		return c, false
	}
	c = q.trials[0]
	q.trials = q.trials[1:]
	return c, true
}

// stopwatch keeps the longest times.
type stopwatch struct {
	mu                sync.Mutex
	takeover, settled time.Duration // guarded by mu
}

func (w *stopwatch) note(takeover, settled time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takeover, w.settled = max(w.takeover, takeover), max(w.settled, settled)
}

// try runs one case.
func (s *site) try(t *testing.T, c trial, slowest *stopwatch) {
	t.Helper()
	g := s.host
	if c.cluster {
		g = s.cluster
	}
	s.prepare(t, g, c.before)
	last := s.newest(t)
	back := sync.OnceFunc(s.arrange(t, c, g))
	t.Cleanup(back)
	looked := g.hosts
	if c.when == missed {
		looked = looked[:1] // the other does not know
	}
	w := s.watch(t, c.kind, g, looked)
	s.provoke(t, c, g, last, back)
	died := s.await(t, c)
	s.ended(t, c, last, died, slowest)
	w.end(t, c.ends.way(c.kind))
	back()
	s.revive(t)
	s.again(t, c, g)
}

// provoke requests the change, so that processes reach the points.
func (s *site) provoke(t *testing.T, c trial, g *target, last string, back func()) {
	t.Helper()
	if c.when == fine || c.when == gone {
		s.arm(t, c.points)
	}
	err := c.send(t.Context(), s.clients[0], g)
	answers := []failpoint.Point{failpoint.Settling, failpoint.Settled} // a failover is settled after its answer
	switch {
	case c.when == hung:
		if cinder.KindOf(err) != cinder.KindTimeout {
			t.Fatalf("asked of a service that hangs: %v", err)
		}
		s.arm(t, c.points)
		s.late(t, c.kind, g)
		back()
	case c.when == missed:
		s.become(t, g, c.after, "before a member forgets it")
		load.Within(t, load.Patience, "the failover is done", func() bool {
			found := s.operations(t, c.journal(), last)
			return len(found) == 1 && found[0].state == string(done)
		})
		s.arm(t, c.points)
		s.forget(t, c.kind, g)
	case err == nil && (c.site == "" || !slices.Contains(answers, c.points[0])):
		t.Errorf("answered as done by a process that dies at %s", c.points[0])
	case err != nil && cinder.KindOf(err) != cinder.KindUnavailable: // KindUnavailable: the connection was lost
		t.Fatalf("answered by a process that is to die: %v", err)
	}
}

// revive restarts the APIs that have died.
func (s *site) revive(t *testing.T) {
	t.Helper()
	for _, i := range s.dead(t) {
		s.api(t, i).Kill(t) // its remaining processes
		s.api(t, i).Start(t)
	}
}

// prepare brings a target to the start of a case, whatever the previous case left.
func (s *site) prepare(t *testing.T, g *target, line string) {
	t.Helper()
	s.revive(t)
	for _, p := range failpoint.Points() {
		if err := os.Remove(filepath.Join(s.points, string(p))); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	is := func() string { return s.rows(t)[g.hosts[0]] }
	if strings.HasSuffix(is(), "frozen") && line != frozen {
		s.must(t, thaw(), g)
	}
	if is() == onSiteB && line != onSiteB {
		s.must(t, failback(), g)
	}
	if is() == home && line == onSiteB {
		s.must(t, failover(), g)
	}
	if is() == home && line == frozen {
		s.must(t, freeze(), g)
	}
	s.become(t, g, line, "before the case")
	load.Within(t, load.Patience, "nothing is under way or watched", func() bool {
		return load.Count(t, s.db, "SELECT COUNT(*) FROM stoker_operations WHERE state = 'open' OR state = 'watched' AND kind <> 'failover'") == 0
	})
}

// must repeats a request until it is accepted.
func (s *site) must(t *testing.T, k kind, g *target) {
	t.Helper()
	var err error
	load.Within(t, load.Patience, "the "+k.name+" is carried out", func() bool {
		err = k.send(t.Context(), s.clients[0], g)
		if err != nil {
			t.Logf("%s: %v", k.name, err)
		}
		return err == nil || cinder.KindOf(err) == cinder.KindInvalid
	})
	s.become(t, g, k.after, "after a "+k.name)
}

// arm arms these points, for one process each.
func (s *site) arm(t *testing.T, points []failpoint.Point) {
	t.Helper()
	for _, p := range points {
		if err := os.WriteFile(filepath.Join(s.points, string(p)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// arrange brings the services into their plight; back ends it.
func (s *site) arrange(t *testing.T, c trial, g *target) (back func()) {
	t.Helper()
	switch c.when {
	case gone:
		for _, e := range g.services {
			e.Kill(t)
		}
		named := g.hosts
		if g.Cluster != "" {
			named = append([]string{g.Cluster}, g.hosts...)
		}
		peers.Deserted(t, s.bus, "cinder-volume", named...)
		return func() {
			for _, e := range g.services {
				e.Start(t)
			}
		}
	case hung:
		for _, e := range g.services {
			e.Pause(t)
		}
		return func() {
			for _, e := range g.services {
				e.Resume(t)
			}
		}
	default:
		return func() {}
	}
}

// late changes the row like a Python service that continues and carries out a pending
// command, however late; Stoker's own checks the row first.
func (s *site) late(t *testing.T, k kind, g *target) {
	t.Helper()
	disabled, reason := k.name == "freeze", ""
	if disabled {
		reason = "frozen"
	}
	if _, err := s.db.ExecContext(t.Context(), "UPDATE services SET disabled = ?, disabled_reason = ? WHERE host = ?", disabled, reason, g.hosts[0]); err != nil {
		t.Fatal(err)
	}
}

// forget resets the row of a cluster's last member to what it was before a failover, as
// if it had missed the outcome.
func (s *site) forget(t *testing.T, k kind, g *target) {
	t.Helper()
	set := "disabled = 0, disabled_reason = NULL, replication_status = 'enabled', active_backend_id = NULL"
	if k.before == onSiteB {
		set = "disabled = 1, disabled_reason = 'failed-over', replication_status = 'failed-over', active_backend_id = 'site-b'"
	}
	if _, err := s.db.ExecContext(t.Context(), "UPDATE services SET "+set+" WHERE host = ?", g.hosts[len(g.hosts)-1]); err != nil {
		t.Fatal(err)
	}
}

// await waits until a process has died at each point, and returns the times.
func (s *site) await(t *testing.T, c trial) (died []time.Time) {
	t.Helper()
	for i, p := range c.points {
		load.Within(t, load.Patience, "a process dies at "+string(p), func() bool {
			_, err := os.Stat(filepath.Join(s.points, string(p)))
			return errors.Is(err, os.ErrNotExist)
		})
		died = append(died, time.Now())
		load.Within(t, load.Patience, "it is dead", func() bool { return len(s.dead(t)) == i+1 })
	}
	return died
}

// again repeats the request: what was not done is done now. Then it compares the rows
// with the backend.
func (s *site) again(t *testing.T, c trial, g *target) {
	t.Helper()
	var err error
	load.Within(t, load.Patience, "the same can be asked for again", func() bool {
		err = c.send(t.Context(), s.clients[0], g)
		return err == nil || c.ends == done && cinder.KindOf(err) == cinder.KindInvalid
	})
	s.become(t, g, c.after, "when it was asked for again")
	at := map[string]string{home: toDefault, frozen: toDefault, onSiteB: "site-b"}[c.after]
	if c.site != "" { // a freeze shows which site the backend uses
		load.Within(t, load.Patience, "it can be frozen", func() bool { err = freeze().send(t.Context(), s.clients[0], g); return err == nil })
	}
	want := at
	if c.name == "thaw" {
		want = ""
	}
	if got := g.frozenSites(t); got != want {
		t.Errorf("the backend has frozen %q, want %q", got, want)
	}
	if c.site != "" {
		if err = thaw().send(t.Context(), s.clients[0], g); err != nil {
			t.Errorf("thaw: %v", err)
		}
		s.become(t, g, c.after, "after a freeze and a thaw")
	}
}
