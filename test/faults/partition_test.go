package faults

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"stoker/test/load"
	"stoker/test/site"
)

// takenOver bounds the time until another process has settled the operation of a
// cut-off one: its lease, the deadline of a freeze, and a poll.
const takenOver = 2 * time.Minute

// TestPartitioned cuts one of two API processes off from the bus, the database, or
// both: the other continues undisturbed, and the pending operation is settled once.
func TestPartitioned(t *testing.T) {
	t.Parallel()
	s := site.New(t, site.Options{Program: built.Program(t)})
	cut, whole := s.API(t, "api1"), s.API(t, "api2")
	mine, theirs := s.Go(t, "host1"), s.Go(t, "host2")
	st := warm(t, s, cut, mine)
	for _, p := range []struct {
		name  string
		begin func()
		takes bool // the other process takes over the pending operation
	}{
		{"from the bus", cut.ToBus.Cut, false},
		{"from the database", cut.ToDB.Cut, true},
		{"from both", func() { cut.ToBus.Cut(); cut.ToDB.Cut() }, true},
	} {
		t.Run(p.name, func(t *testing.T) {
			all := st.load(t)
			others := theirs.Load(t.Context(), whole, load.Options{Pause: 150 * time.Millisecond, Permit: undisturbed})
			pause(t, 3*time.Second)
			op := inHand(t, st, mine, p.begin)
			load.Within(t, takenOver, "what was in hand is settled", func() bool {
				return load.Count(t, s.DB, "SELECT COUNT(*) FROM stoker_operations WHERE state = 'open' AND id = '"+op+"'") == 0
			})
			if n := taken(t, whole, op); p.takes && n != 1 || n > 1 {
				t.Errorf("operation %s was taken over %d times by the other process", op, n)
			}
			if n := taken(t, cut, op); n != 0 {
				t.Errorf("operation %s was taken over %d times by the process that began it", op, n)
			}
			pause(t, 3*time.Second)
			cut.ToBus.Restore()
			cut.ToDB.Restore()
			if r := mine.Returns(t.Context(), cut, time.Now()); r.Err != nil || r.Late() > st.within(back) {
				t.Errorf("want it back in %v: %s", st.within(back), r)
			} else {
				t.Log(r)
			}
			report := others.End()
			if len(report.Wrong) > 0 {
				t.Errorf("the other process was disturbed:\n%s", strings.Join(report.Wrong, "\n"))
			}
			t.Logf("the other process:\n%s", report)
			st.unharmed(t, "cut off", all)
			s.Settled(t, cut, st.quiet)
			looked, missing := s.Once(t, mine, theirs)
			t.Logf("%d changes were each carried out at most once", looked)
			if len(missing) > 0 {
				t.Errorf("done and carried out by nobody: %v", missing)
			}
		})
	}
}

// undisturbed checks an answer of a process without faults. A failover may come before
// the end of the previous one.
func undisturbed(r load.Request, a load.Answer) error {
	early := r.Path == "/failover_host" && (a.Status == http.StatusBadRequest || a.Status == http.StatusConflict)
	if a.Status >= http.StatusMultipleChoices && !early || strings.Contains(a.Body, "unanswered") {
		return fmt.Errorf("%d %s", a.Status, a.Body)
	}
	return nil
}

// inHand delays a freeze's command between the bus and the service while the process
// that sent it is cut off; then the service gets the command. It returns the operation.
func inHand(t *testing.T, st *stage, f *site.Fleet, begin func()) string {
	t.Helper()
	target := map[string]any{"host": f.Host + "@delta"}
	f.ToBus.Stall()
	asked := make(chan error, 1)
	go func() {
		_, err := load.Ask(context.WithoutCancel(t.Context()), st.api.URL, load.Request{Path: "/freeze", Body: target}, load.Deadline)
		asked <- err
	}()
	t.Cleanup(func() {
		if err := <-asked; err != nil {
			t.Errorf("the freeze that was under way: %v", err)
		}
	})
	var op string
	load.Within(t, load.Patience, "the freeze is under way", func() bool {
		err := st.DB.QueryRowContext(t.Context(), "SELECT id FROM stoker_operations WHERE state = 'open' AND kind = 'freeze' AND host = '"+f.Host+"@delta'").Scan(&op)
		return err == nil
	})
	pause(t, time.Second) // its command is on the way
	begin()
	f.ToBus.Restore()
	return op
}

// taken counts how often a process logs that it took an operation over.
func taken(t *testing.T, p *site.Process, op string) int {
	t.Helper()
	n := 0
	for line := range strings.Lines(p.Log(t, "api")) {
		if strings.Contains(line, "operation taken over") && strings.Contains(line, op) {
			n++
		}
	}
	return n
}

// TestSlow delays every message and statement: everything works, only slower.
//
// Changes take turns in the database, each for one round trip per statement of its
// transaction, so a distant database bounds their rate. From the other end of the world
// one administrator is served, from another site all of them.
func TestSlow(t *testing.T) {
	t.Parallel()
	const world, near = 200 * time.Millisecond, 20 * time.Millisecond // each way
	s := site.New(t, site.Options{Program: built.Program(t), Usual: true})
	st := warm(t, s, s.API(t, "api1"), s.Go(t, "host1"))
	everybody := load.Administrators("host1", load.Go)
	one := [][]load.Request{slices.Concat(everybody...)}
	for _, p := range []struct {
		name    string
		clients [][]load.Request
		do      func(*site.Way)
	}{
		{"the bus, everybody", everybody, func(w *site.Way) { w.ToBus.Delay(world) }},
		{"a database at another site, everybody", everybody, func(w *site.Way) { w.ToDB.Delay(near) }},
		{"both, one administrator", one, func(w *site.Way) { w.ToBus.Delay(world); w.ToDB.Delay(world) }},
	} {
		t.Run(p.name, func(t *testing.T) {
			s.Ways(p.do)
			l := load.Start(t.Context(), st.api.URL, load.Options{Clients: p.clients, Pause: 150 * time.Millisecond, Permit: undisturbed})
			pause(t, brief)
			report := l.End()
			if len(report.Wrong) > 0 {
				t.Errorf("not all was well:\n%s", strings.Join(report.Wrong, "\n"))
			}
			t.Logf("\n%s", report)
			s.Ways(func(w *site.Way) { w.ToBus.Restore(); w.ToDB.Restore() })
			s.Settled(t, st.api, st.quiet)
		})
	}
}
