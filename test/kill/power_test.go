package kill

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"stoker/test/load"
	"stoker/test/peers"
)

// cut is the state after a power cut, and the answers that clients had until then.
type cut struct {
	name string
	dir  string
	told map[string]load.Answer
}

// TestPowerCut checks that after a power cut at any time the database is intact, has
// everything that was acknowledged, and the next process ends running operations.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	p := startStandalone(t, t.TempDir())
	notes := newNotes()
	l := load.Start(t.Context(), p.url, load.Options{Clients: load.Administrators("stoker", load.Go), Pause: 5 * time.Millisecond, Dies: true, See: notes.see})
	var cuts []cut
	for _, name := range []string{"first", "second", "third"} {
		pause(t, 2*time.Second)
		peers.Halt(t, p.cmd.Process.Pid) // a copy made while a thread writes is not what a power cut leaves
		with, without := copied(t, p.dir, true), copied(t, p.dir, false)
		told := notes.all()
		cuts = append(cuts, cut{name + " moment", with, told}, cut{name + " moment, without the shared memory", without, told})
		if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	pause(t, time.Second)
	p.kill()
	l.End()
	cuts = append(cuts, cut{"killed", p.dir, notes.all()}, cut{"killed, without the shared memory", copied(t, p.dir, false), notes.all()})
	if len(notes.told) == 0 {
		t.Fatal("nothing was acknowledged")
	}
	for _, w := range notes.wrong {
		t.Errorf("a list showed half a change: %s", w)
	}
	var trying sync.WaitGroup
	for _, c := range cuts {
		trying.Go(func() { t.Run(c.name, func(t *testing.T) { c.try(t) }) })
	}
	trying.Wait()
}

// try starts the program on this state.
func (c cut) try(t *testing.T) {
	t.Helper()
	p := startStandalone(t, c.dir)
	began := time.Now()
	db := openFile(t, c.dir)
	open := load.Count(t, db, "SELECT COUNT(*) FROM stoker_operations WHERE state = 'open'")
	load.Within(t, load.Patience, "what was under way is settled", func() bool {
		return load.Count(t, db, "SELECT COUNT(*) FROM stoker_operations WHERE state = 'open'") == 0
	})
	t.Logf("%d operations had been answered, %d were under way: settled after %v", len(c.told), open, time.Since(began).Round(time.Second))
	load.Whole(t, db)
	for host, l := range shows(t, p.client(t)) {
		if !possible(host, l) {
			t.Errorf("%s is shown as %q", host, l)
		}
	}
	intact(t, db, c.told)
}

// copied copies a directory, with or without the database's shared memory.
func copied(t *testing.T, dir string, shared bool) string {
	t.Helper()
	to := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", dir+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !shared {
		if err := os.Remove(filepath.Join(to, "stoker.db-shm")); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// all returns clients' answers so far.
func (n *notes) all() map[string]load.Answer {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.told)
}
