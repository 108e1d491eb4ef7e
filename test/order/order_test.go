package order

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"stoker/test/load"
	"stoker/test/peers"
	"stoker/test/site"
)

var built peers.Shared // the program; the engines are each test's own

func TestMain(m *testing.M) { os.Exit(built.Run(m)) }

// TestTwoProcessesOneService has eight callers, four per API process, freeze, thaw and
// list one service: one of the program's own, and one of a real Cinder's.
func TestTwoProcessesOneService(t *testing.T) {
	s := site.New(t, site.Options{Program: built.Program(t), Python: true})
	apis := []*site.Process{s.API(t, "api1"), s.API(t, "api2")}
	fleets := []*site.Fleet{s.Go(t, "host1"), s.Python(t, "host2")}
	t.Run("together", func(t *testing.T) {
		for _, f := range fleets {
			t.Run(f.Host, func(t *testing.T) {
				t.Parallel()
				together(t, s, apis, f)
			})
		}
	})
}

func together(t *testing.T, s *site.Site, apis []*site.Process, f *site.Fleet) {
	t.Helper()
	host := f.Host + "@alpha"
	target := map[string]any{"host": host}
	freeze, thaw, list := load.Request{Path: "/freeze", Body: target}, load.Request{Path: "/thaw", Body: target}, load.Request{Path: "?host=" + host}
	callers := [][]load.Request{{freeze, list, thaw}, {thaw, freeze, list}, {list, thaw, thaw, freeze, freeze}, {freeze, list, list, thaw, list}}
	h := newHistory()
	var all []*load.Load
	for _, a := range apis {
		all = append(all, load.Start(t.Context(), a.URL, load.Options{Clients: callers, Pause: 20 * time.Millisecond, Permit: permit, See: h.see}))
	}
	select {
	case <-time.After(site.Length(t, "STOKER_ORDER", time.Minute)):
	case <-t.Context().Done():
	}
	report := all[0].End()
	report.Add(all[1].End())
	t.Logf("answers:\n%s", report)
	for _, w := range slices.Concat(report.Wrong, h.faults) {
		t.Error(w)
	}
	load.Whole(t, s.DB)
	for _, a := range apis { // the end of the history, as each process shows it
		got, err := load.Ask(t.Context(), a.URL, list, load.Deadline)
		if err != nil {
			t.Fatal(err)
		}
		h.see(list, got)
	}
	states, kinds := journal(t, s, host)
	h.settled(states)
	switch ordered(h.events, 2*time.Minute) {
	case porcupine.Ok:
		t.Logf("%d events have an order", len(h.events))
	case porcupine.Illegal:
		t.Errorf("what callers saw of %s has no order", host)
	default:
		t.Errorf("whether %d events have an order was not found out", len(h.events))
	}
	recorded(t, report, states)
	counted(t, s, f, kinds)
}

// permit checks an answer without faults: done, refused because nothing would change or
// another change is running, or outcome unknown so far.
func permit(r load.Request, a load.Answer) error {
	switch {
	case a.Status == http.StatusOK:
		return nil
	case r.Body != nil && (a.Status == http.StatusBadRequest || a.Status == http.StatusConflict || a.Status == http.StatusGatewayTimeout):
		return nil
	}
	return fmt.Errorf("%d %s", a.Status, a.Body)
}

// journal returns the states of the operations on a host, and how many of each kind
// were done.
func journal(t *testing.T, s *site.Site, host string) (states map[string]string, done map[string]int) {
	t.Helper()
	rows, err := s.DB.QueryContext(t.Context(), "SELECT id, kind, state FROM stoker_operations WHERE host = '"+host+"'")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	states, done = map[string]string{}, map[string]int{}
	for rows.Next() {
		var id, kind, state string
		if err := rows.Scan(&id, &kind, &state); err != nil {
			t.Fatal(err)
		}
		states[id] = state
		if state == "done" {
			done[kind]++
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return states, done
}

// recorded checks that each answer with an operation has its own, and that the journal
// has exactly those.
func recorded(t *testing.T, r load.Report, states map[string]string) {
	t.Helper()
	for id, n := range r.Operations {
		if n != 1 {
			t.Errorf("operation %s was answered %d times", id, n)
		}
		if states[id] == "" {
			t.Errorf("operation %s was answered, and is not in the journal", id)
		}
	}
	if len(states) != len(r.Operations) {
		t.Errorf("%d operations are in the journal, %d were answered", len(states), len(r.Operations))
	}
}

// counted checks that freezes and thaws alternate, and that the backend counts as many
// of each as the journal.
func counted(t *testing.T, s *site.Site, f *site.Fleet, done map[string]int) {
	t.Helper()
	frozen := load.Count(t, s.DB, "SELECT COUNT(*) FROM services WHERE NOT deleted AND frozen AND host = '"+f.Host+"@alpha'")
	if done["freeze"] != done["thaw"]+frozen {
		t.Errorf("%d freezes and %d thaws were done, and frozen is %d", done["freeze"], done["thaw"], frozen)
	}
	carriedOut := map[string]int{}
	if f.Python {
		for _, call := range f.Calls(t, "alpha") {
			if what, ended := strings.CutSuffix(call, " done"); ended {
				carriedOut[what]++
			}
		}
	} else {
		for line := range strings.Lines(f.Log(t, "volume")) {
			for _, what := range []string{"freeze", "thaw"} {
				if strings.Contains(line, "command completed") && strings.Contains(line, "command="+what) {
					carriedOut[what]++
				}
			}
		}
		if _, missing := s.Once(t, f); len(missing) > 0 {
			t.Errorf("done and carried out by nobody: %v", missing)
		}
	}
	for _, what := range []string{"freeze", "thaw"} {
		if carriedOut[what] != done[what] {
			t.Errorf("the backend of %s counts %d of %s, the journal %d", f.Host, carriedOut[what], what, done[what])
		}
	}
	t.Logf("%s: done %v, carried out %v", f.Host, done, carriedOut)
}
