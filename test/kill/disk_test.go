package kill

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"

	"stoker/test/load"
	"stoker/test/peers"
)

// fill fills a file system; free releases the space.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 20; size > 0; {
		if _, err = f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := errors.Join(f.Close(), os.Remove(name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheDiskIsFull checks that with a full disk changes are refused without any effect
// and lists work; when there is space again everything works, and acknowledged changes
// are there.
func TestTheDiskIsFull(t *testing.T) {
	t.Parallel()
	dir := peers.Disk(t, 32)
	p := startStandalone(t, dir)
	c := p.client(t)
	disable := load.Request{Path: "/disable-log-reason", Body: map[string]any{"host": "stoker@gamma", "binary": "cinder-volume", "disabled_reason": "disk swap"}}
	enable := load.Request{Path: "/enable", Body: map[string]any{"host": "stoker@gamma", "binary": "cinder-volume"}}
	ask := func(r load.Request) load.Answer {
		t.Helper()
		a, err := load.Ask(t.Context(), p.url, r, load.Deadline)
		if err != nil {
			t.Fatalf("%s: %v", r.Path, err)
		}
		return a
	}

	free := fill(t, dir)
	load.Within(t, load.Patience, "changes are refused for want of room", func() bool { // the database's journal has some left
		return ask(disable).Status >= 500 && ask(enable).Status >= 500
	})
	before := shows(t, c)
	for _, r := range []load.Request{
		disable, enable,
		{Path: "/freeze", Body: map[string]any{"host": "stoker@beta"}},
		{Path: "/failover_host", Body: map[string]any{"host": "stoker@alpha", "backend_id": "site-b"}},
	} {
		a := ask(r)
		if a.Status != http.StatusServiceUnavailable || a.Body == "" {
			t.Errorf("%s on a full disk: %d %s, want 503", r.Path, a.Status, a.Body)
		}
		t.Logf("%s: %d %s", r.Path, a.Status, a.Body)
	}
	if after := shows(t, c); !reflect.DeepEqual(before, after) {
		t.Errorf("lists show %v, and before the changes that were refused %v", after, before)
	}
	free()
	began := time.Now()
	load.Within(t, 30*time.Second, "changes are possible again", func() bool { return ask(disable).Status == http.StatusOK && ask(enable).Status == http.StatusOK })
	t.Logf("changes were possible again after %v", time.Since(began).Round(time.Millisecond))

	notes := newNotes()
	l := load.Start(t.Context(), p.url, load.Options{Clients: load.Administrators("stoker", load.Go), Pause: 5 * time.Millisecond, See: notes.see})
	for range 3 {
		pause(t, time.Second)
		free := fill(t, dir)
		refused := notes.refused()
		load.Within(t, load.Patience, "a change is refused for want of room", func() bool { return notes.refused() > refused })
		pause(t, time.Second)
		free()
	}
	pause(t, time.Second)
	report := l.End()
	for _, w := range append(report.Wrong, notes.wrong...) {
		t.Error(w)
	}
	t.Logf("while the disk was full now and then:\n%s", report)
	if report.Answers[""][http.StatusOK] == 0 || len(report.Answers[""]) > 1 {
		t.Errorf("lists were answered %v", report.Answers[""])
	}
	db := openFile(t, dir)
	load.Within(t, load.Patience, "every operation is settled", func() bool {
		return load.Count(t, db, "SELECT COUNT(*) FROM stoker_operations WHERE state = 'open'") == 0
	})
	load.Whole(t, db)
	intact(t, db, notes.told)
}
