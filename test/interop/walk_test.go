package interop

import (
	"context"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/test/cloud"
	"stoker/test/load"
)

// want is what comes of a step.
type want struct {
	status int
	says   string // part of the answer's body
	row    string // the line of every service meant, in the end
}

// step is one action and what comes of it.
type step struct {
	name    string
	arrange func(*testing.T) // first
	action  string           // below os-services/, with the version where that matters: failover@3.26
	body    map[string]any   // beside the target
	want    want             // of Stoker's API
	python  *want            // of Stoker's API over services of which one is Cinder's, where it differs
	cinder  *want            // of Cinder's over Stoker's services, where it differs

	announced bool     // whether it depends on what the services announced
	shows     []string // what Stoker's list may show in between, beside before and after
	after     func(*testing.T)
	ends      string // the line after that, where it is another
}

// walk is steps that follow one another on the same services.
type walk struct {
	d       *cloud.Cloud
	api     cloud.API
	ours    bool           // the API is Stoker's
	python  bool           // one of the services is Cinder's
	target  map[string]any // the host or cluster in a body
	hosts   []string       // the services that are meant
	cluster string         // the cluster that is, whose row says the same but for disabled, which is the members'
	start   string         // their line at first
}

// healthy is a replicated service that nothing has been done to.
const healthy = "enabled enabled"

// run takes the steps. One that fails ends the walk: what follows builds on it.
func (w walk) run(t *testing.T, steps []step) {
	t.Helper()
	before := w.start
	for _, s := range steps {
		if !t.Run(s.name, func(t *testing.T) { before = w.take(t, s, before) }) {
			t.Fatalf("%s: stopped at %q", w.api.Name, s.name)
		}
	}
}

func (w walk) take(t *testing.T, s step, before string) string {
	t.Helper()
	want := s.want
	switch {
	case !w.ours && s.cinder != nil:
		want = *s.cinder
	case w.ours && w.python && s.python != nil:
		want = *s.python
	}
	if !w.ours && deaf(w.d.Options.Release) {
		s.action = strings.Replace(s.action, "failover", "failover_host", 1)
		if s.action == "enable" || s.action == "disable" { // disable-log-reason it hears
			want.says, want.row = "", before
		}
	}
	if w.ours && s.announced {
		cloud.Eventually(t, "the services have announced their targets", func() bool { return w.api.Announced(t, w.hosts, !w.python) })
	}
	w.settled(t, before, "before the step")
	if s.arrange != nil {
		s.arrange(t)
	}
	stop := w.watch(t)
	action, version, _ := strings.Cut(s.action, "@")
	if version == "" {
		version = cloud.Newest
	}
	body := maps.Clone(w.target)
	maps.Copy(body, s.body)
	got := w.api.Put(t, "os-services/"+action, version, body)
	if got.Status != want.status || !strings.Contains(got.Body, want.says) {
		t.Errorf("%s %v: %d %q, want %d with %q", action, body, got.Status, got.Body, want.status, want.says)
	}
	w.settled(t, want.row, "after the step")
	end := want.row
	if s.after != nil {
		s.after(t)
		if s.ends != "" {
			end = s.ends
		}
		w.settled(t, end, "after what followed")
	}
	may := append([]string{before, want.row, end}, s.shows...)
	if strings.HasPrefix(s.action, "failover") {
		may = append(may, failing(before, before), failing(before, end))
	}
	for _, line := range stop() {
		if !slices.Contains(may, line) {
			t.Errorf("meanwhile the list showed %q, want only %q", line, may)
		}
	}
	return end
}

// settled waits until every row that is meant says so, and the list of Stoker's
// API, which shows an operation as long as it is open.
func (w walk) settled(t *testing.T, line, when string) {
	t.Helper()
	var off map[string]string
	end := time.NewTimer(load.Patience)
	defer end.Stop()
	for {
		off = map[string]string{}
		rows := w.d.Rows(t)
		shown := rows
		if w.ours {
			var err error
			if shown, err = cloud.Listed(w.api.Get(t, "os-services?binary=cinder-volume", "3.48")); err != nil {
				t.Fatal(err)
			}
		}
		for _, h := range w.hosts {
			if rows[h] != line || shown[h] != line {
				off[h] = rows[h] + ", shown as " + shown[h]
			}
		}
		if w.cluster != "" {
			_, is := parts(rows[w.cluster])
			if _, must := parts(line); is != must {
				off[w.cluster] = rows[w.cluster]
			}
		}
		if len(off) == 0 {
			return
		}
		select {
		case <-end.C:
			t.Fatalf("%s rows stay %q, want %q", when, off, line)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// parts are those of a line: why it is disabled, its status, site and frozen.
func parts(line string) (disabled, rest string) {
	m := regexp.MustCompile(`^(\w+(?: '[^']*')?) (.*)$`).FindStringSubmatch(line)
	if m == nil {
		return line, ""
	}
	return m[1], m[2]
}

// failing is what a list may show of a service on its way from one line to
// another: where it was, and disabled as it is or, already, will be.
func failing(before, disabledAs string) string {
	disabled, _ := parts(disabledAs)
	was, rest := parts(before)
	if strings.HasPrefix(disabled, "enabled") {
		disabled = was // nobody is shown enabled who is on the way
	}
	_, site, _ := strings.Cut(rest, " ")
	return strings.TrimSpace(disabled + " failing-over " + site)
}

// watch looks at the list of Stoker's API all the time until it is told to stop,
// and then returns every line that was ever shown of the services meant.
func (w walk) watch(t *testing.T) (stop func() []string) {
	t.Helper()
	if !w.ours {
		return func() []string { return nil }
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := map[string]bool{}
	var watching sync.WaitGroup
	var failed error
	watching.Go(func() {
		for ctx.Err() == nil {
			got, err := w.api.Ask(ctx, http.MethodGet, "os-services?binary=cinder-volume", "3.48", nil)
			if ctx.Err() != nil {
				return
			}
			var rows map[string]string
			if err == nil {
				rows, err = cloud.Listed(got.Body)
			}
			if err != nil {
				failed = err
				return
			}
			for _, h := range w.hosts {
				seen[rows[h]] = true
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return func() []string {
		cancel()
		watching.Wait()
		if failed != nil {
			t.Errorf("a list during the step: %v", failed)
		}
		return slices.Sorted(maps.Keys(seen))
	}
}
