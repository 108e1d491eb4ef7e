package history

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"stoker/test/load"
	"stoker/test/peers"
	"stoker/test/site"
)

var built peers.Shared // the program; the engines are the test's own

func TestMain(m *testing.M) { os.Exit(built.Run(m)) }

// roundLength is how long callers send requests between comparisons.
const roundLength = 30 * time.Second

func TestHistory(t *testing.T) {
	seed, length := site.Seed(t, "STOKER_HISTORY_SEED"), site.Length(t, "STOKER_HISTORY", 3*time.Minute)
	began := time.Now()
	s := site.New(t, site.Options{Program: built.Program(t), Python: true})
	h := &history{
		Site: s, apis: []*site.Process{s.API(t, "api1"), s.API(t, "api2")},
		began: time.Now(), keys: map[string][]*sent{}, asked: map[string]*sent{}, total: newTotals(),
	}
	g := &game{history: h, storage: t.TempDir(), start: map[*place]standing{}, random: rand.New(rand.NewPCG(seed, 0))}
	g.hosts = []*site.Fleet{s.Go(t, "host1"), s.Python(t, "host2")}
	g.members = []*site.Fleet{s.Member(t, "nodea", "mycl", g.storage), s.Member(t, "nodeb", "mycl", g.storage)}
	h.places = places(g.hosts[0], g.hosts[1], g.members[0], "nodea@alpha", "nodeb@alpha")
	g.faults = site.NewChance(g.random, s.Faults(slices.Concat(g.hosts, g.members), h.apis...))
	for i := range callers + 1 {
		g.callers = append(g.callers, &caller{history: h, number: i, random: rand.New(rand.NewPCG(seed, uint64(i+1)))})
	}
	defer func() { t.Logf("after %v:\n%s", time.Since(began).Round(time.Second), h.total.String()) }()
	site.AllReturn(t, "the start", g.hosts, h.apis)
	g.calm(t)
	for end := time.Now().Add(length); time.Now().Before(end) && !t.Failed(); {
		g.play(t)
		g.compare(t)
		g.calm(t)
	}
	g.ends(t)
	g.total.enough(t)
}

// game is a history and those who make it.
type game struct {
	*history
	hosts   []*site.Fleet
	members []*site.Fleet // of the cluster
	storage string        // their directory
	callers []*caller     // the first also sends requests when the others are idle
	faults  *site.Chance
	random  *rand.Rand
	start   map[*place]standing // the places' state at the start of the round
	since   time.Time           // when bringing them there began
	begun   time.Time           // when the round began
	all     []*sent             // changes of previous rounds
}

// play is a round: callers send requests for a while, during faults.
func (g *game) play(t *testing.T) {
	t.Helper()
	let := g.refuse(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asking errgroup.Group
	for _, c := range g.callers[1:] {
		asking.Go(func() error { c.work(ctx); return nil })
	}
	for end := time.Now().Add(roundLength); time.Now().Before(end); {
		name := g.faults.Strike(t)
		g.total.faults[name]++
		site.AllReturn(t, name, g.hosts, g.apis)
	}
	stop()
	_ = asking.Wait()
	let()
	g.drain(t)
}

// drain waits for changes whose callers have given up: until their keys show the
// outcome, or, when the process may have died with the change, for as long as a change
// takes.
func (g *game) drain(t *testing.T) {
	t.Helper()
	for _, s := range g.round {
		if s.err == nil || s.Key == "" {
			continue
		}
		underWay := func() bool {
			a := g.callers[0].repeat(t.Context(), s)
			return a.err != nil || a.keyTaken() && a.answer.Operation == ""
		}
		for end := time.Now().Add(drainWithin); underWay() && time.Now().Before(end); {
			site.Pause(t, 100*time.Millisecond)
		}
	}
}

// drainWithin is how long a change may take without faults.
const drainWithin = 3 * time.Second

// refuse makes a backend refuse freezes or thaws until let is called.
func (g *game) refuse(t *testing.T) (let func()) {
	t.Helper()
	p := g.places[g.random.IntN(len(g.places))]
	switch {
	case p.fleet.Python:
		p.fleet.Tell(t, p.backend, map[string]any{[]string{"freeze_error", "thaw_error"}[g.random.IntN(2)]: "rebuilding"})
		return func() { p.fleet.Tell(t, p.backend, nil) }
	case p.cluster:
		name := filepath.Join(g.storage, "refuse-thaw")
		if err := os.WriteFile(name, []byte("rebuilding"), 0o600); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.Remove(name); err != nil {
				t.Error(err)
			}
		}
	default:
		return func() {}
	}
}

// compare waits until nothing is running, and compares the answers of the round with
// everything else.
func (g *game) compare(t *testing.T) {
	t.Helper()
	g.total.mended += g.Mend(t, g.hosts...) + g.mendCluster(t)
	load.Whole(t, g.DB)
	g.agreed(t)
	quiet := time.Now()
	g.mu.Lock()
	round := g.round
	g.round = nil
	g.mu.Unlock()
	journal := g.journal(t, g.since)
	g.recorded(t, round, journal)
	g.keysHold(t)
	for _, w := range g.wrong {
		t.Error(w)
	}
	g.wrong = nil
	asked := slices.DeleteFunc(slices.Clone(round), func(s *sent) bool { return s.answer.Began.Before(g.begun) })
	for _, p := range g.places {
		if why := p.spoiled(journal); why != "" {
			g.total.spoiled = append(g.total.spoiled, p.name+": "+why)
			continue
		}
		g.total.checked++
		g.ordered(t, p, g.start[p], g.events(p, asked, quiet), journal)
	}
	for _, s := range round {
		s.shows = nil
		if s.what != "list" {
			g.all = append(g.all, s)
		}
	}
}

// spoiled says why the model does not hold for a place in a round: its backend failed,
// a failover that was rolled back was carried out all the same, or somebody else wrote
// to its row. All of these are recorded.
func (p *place) spoiled(journal []*entry) string {
	for _, e := range journal {
		if !p.is(e.target) {
			continue
		}
		switch {
		case e.kind == "give-back", e.kind == "reconcile", e.state == "failed", strings.Contains(e.outcome, "gone on"):
			return e.kind + " " + e.String()
		}
	}
	return ""
}

// mendCluster does what an operator does about a cluster's failover without an outcome:
// it stops all members, and starts them once the failover is rolled back.
func (g *game) mendCluster(t *testing.T) int {
	t.Helper()
	open := func() bool {
		return load.Count(t, g.DB, "SELECT COUNT(*) FROM stoker_operations WHERE state = 'open' AND kind = 'failover' AND (cluster_name <> '' OR host LIKE 'node%')") > 0
	}
	for end := time.Now().Add(patience); open() && time.Now().Before(end); {
		site.Pause(t, 100*time.Millisecond)
	}
	if !open() {
		return 0
	}
	var services []*peers.Engine
	for _, f := range g.members {
		services = append(services, f.Service(t, "volume"))
		services[len(services)-1].Kill(t)
	}
	load.Within(t, time.Minute, "the failover of a cluster that is down is put back", func() bool { return !open() })
	peers.StartAll(t, services...)
	return 1
}

// patience is how long an operator waits for a failover that takes no time.
const patience = 15 * time.Second

// calm brings every place back to its initial state.
func (g *game) calm(t *testing.T) {
	t.Helper()
	g.since = time.Now().Add(-time.Second)
	for _, p := range g.places {
		g.start[p] = g.callers[0].calm(t, p)
	}
	load.Whole(t, g.DB)
	g.agreed(t)
	g.begun = time.Now()
}

// ends repeats all requests with unknown outcomes, and compares everything.
func (g *game) ends(t *testing.T) {
	t.Helper()
	for _, all := range g.keys {
		g.learn(t, all)
	}
	g.compare(t)
	g.recorded(t, g.all, g.journal(t, g.began.Add(-time.Hour)))
	g.keysHold(t)
	var missing []string
	g.total.looked, missing = g.Once(t, slices.Concat(g.hosts, g.members)...)
	g.total.missing = len(missing)
	if kills := g.total.kills(); len(missing) > kills {
		t.Errorf("done by the journal and by no service, and these were killed %d times: %v", kills, missing)
	}
}

// learn repeats a request with its key until its answer is known: the key of a request
// that was cut off is free when its lease has expired.
func (g *game) learn(t *testing.T, all []*sent) {
	t.Helper()
	known := func(s *sent) bool {
		return s.err == nil && s.answer.Status != http.StatusConflict && s.answer.Status < 500 || s.answer.Operation != ""
	}
	if slices.ContainsFunc(all, known) {
		return
	}
	load.Within(t, time.Minute, "the outcome of "+all[0].Key+" is known", func() bool { return known(g.callers[0].repeat(t.Context(), all[0])) })
}
