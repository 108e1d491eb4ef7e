package kill

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stoker/test/load"
	"stoker/test/peers"
)

// lease is lease_time under load, in seconds.
const lease = 15

// kills is how often a process is killed at random; STOKER_KILLS overrides it.
const kills = 20

// fleet is a site with three hosts of several backends each, and an API per host, which
// the host's administrators use.
type fleet struct {
	*site
	services []*peers.Engine // volume services
	loads    []*load.Load
	*notes
}

// fell is a process that was killed.
type fell struct {
	host  string
	at    time.Time
	owner map[string]string // by operation: those that it owned, or that nobody had yet taken over from the one before it
}

// TestKilledAtRandom checks that when an API or a service dies, nothing stays half
// done, and what was acknowledged is done.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	n := kills
	if text := os.Getenv("STOKER_KILLS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d kills, seed %d", n, seed)
	dice := rand.New(rand.NewPCG(seed, seed))

	f := newFleet(t)
	f.work(t)
	var dead []fell
	for range n {
		pause(t, time.Duration(dice.IntN(1000))*time.Millisecond)
		dead = append(dead, f.kill(t, dice))
	}
	report := load.Report{Answers: map[string]map[int]int{}, Operations: map[string]int{}, Longest: map[string]time.Duration{}}
	for _, l := range f.loads {
		report.Add(l.End())
	}
	for _, w := range report.Wrong {
		t.Error(w)
	}
	for _, w := range f.wrong {
		t.Errorf("a list showed half a change: %s", w)
	}
	t.Logf("%d lists; answers:\n%s", f.lists, report)
	load.Whole(t, f.db)
	acknowledged(t, f.db, f.told)
	f.recovered(t, dead)
	f.agrees(t)
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	s, o := emptySite(t)
	// Live processes must not lose their leases on a busy machine.
	o.More = strings.Replace(settings, "lease_time = 6", fmt.Sprintf("lease_time = %d", lease), 1)
	f := &fleet{site: s, notes: newNotes()}
	for i := range 1 + survivors {
		o.Host, o.Backends = fmt.Sprintf("host%d", i+1), nil
		o.Services = []string{"volume"}
		if i == 0 {
			o.Services = []string{"scheduler", "backup", "volume"}
		}
		f.services = append(f.services, start(t, o).Service(t, "volume"))
	}
	s.startAPIs(t, o)
	return f
}

// work starts the administrators.
func (f *fleet) work(t *testing.T) {
	t.Helper()
	for i, a := range f.apis {
		f.loads = append(f.loads, load.Start(t.Context(), a.URL, load.Options{
			Clients: load.Administrators(fmt.Sprintf("host%d", i+1), load.Go), Pause: 10 * time.Millisecond, Dies: true, See: f.see,
		}))
	}
}

// kill kills an API or, now and then, a service, and restarts it.
func (f *fleet) kill(t *testing.T, dice *rand.Rand) fell {
	t.Helper()
	if dice.IntN(5) == 0 {
		e := f.services[dice.IntN(len(f.services))]
		e.Kill(t)
		e.Start(t)
		return fell{}
	}
	i := dice.IntN(len(f.apis))
	d := fell{host: fmt.Sprintf("ctl%d", i+1), at: time.Now(), owner: map[string]string{}}
	f.api(t, i).Kill(t)
	load.Within(t, load.Patience, "the database is done with what it was sent", func() bool {
		return load.Count(t, f.db, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = '"+f.users[i]+"'") == 0
	})
	rows, err := f.db.QueryContext(t.Context(), "SELECT id, owner FROM stoker_operations WHERE state = 'open' AND owner LIKE ?", d.host+":%")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, owner string
		if err := rows.Scan(&id, &owner); err != nil {
			t.Fatal(err)
		}
		d.owner[id] = owner
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	f.api(t, i).Start(t)
	return d
}

// recovered checks that each operation was taken over once for each dead owner, from
// nobody else, and ended once.
func (f *fleet) recovered(t *testing.T, dead []fell) {
	t.Helper()
	deaths, last, seen := map[string]int{}, map[string]time.Time{}, map[string]bool{}
	for _, d := range dead {
		for id, owner := range d.owner {
			if !seen[id+owner] {
				seen[id+owner] = true
				deaths[id]++
				last[id] = d.at
			}
		}
	}
	var longest time.Duration
	for _, id := range f.ids(t) {
		takeovers, ends := 0, 0
		history := f.history(t, id)
		for _, h := range history {
			host, _, _ := strings.Cut(h.ownerWas, ":")
			switch {
			case h.was != "open":
			case h.now == "open":
				takeovers++
				if !slices.ContainsFunc(dead, func(d fell) bool { return d.host == host && d.at.Before(h.at) }) {
					t.Errorf("operation %s was taken from %s, which had not died", id, h.ownerWas)
				}
			default:
				ends++
				if at, ok := last[id]; ok {
					longest = max(longest, h.at.Sub(at))
				}
			}
		}
		if ends != 1 || takeovers != deaths[id] {
			t.Errorf("operation %s ended %d times, was taken over %d times, and its process died %d times: %+v", id, ends, takeovers, deaths[id], history)
		}
	}
	if len(deaths) == 0 {
		t.Error("no kill has cut an operation off: nothing was tried")
	}
	t.Logf("%d operations were cut off, and settled %v after the kill at most", len(deaths), longest.Round(time.Millisecond))
}

// ids returns the operations that changed after they began.
func (f *fleet) ids(t *testing.T) (ids []string) {
	t.Helper()
	rows, err := f.db.QueryContext(t.Context(), "SELECT DISTINCT id FROM history")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// agrees waits until the rows match the last operation that is done: what a service has
// carried out late may still have to be undone.
func (f *fleet) agrees(t *testing.T) {
	t.Helper()
	var off []string
	defer func() {
		if t.Failed() {
			t.Log(strings.Join(off, "\n"))
		}
	}()
	load.Within(t, load.Patience, "rows and journal agree", func() bool { off = f.differences(t); return len(off) == 0 })
}

// differences lists the rows that do not match the last operation that is done.
func (f *fleet) differences(t *testing.T) (off []string) {
	t.Helper()
	rows := f.rows(t)
	ends := map[string]string{
		"freeze": "disabled 'frozen' disabled frozen", "thaw": "enabled disabled",
		"disable": "disabled 'disk swap' enabled", "enable": home,
		"failover site-b": onSiteB, "failover default": home,
	}
	checked := 0
	for name, row := range rows {
		if !strings.Contains(name, "@") {
			continue
		}
		var kind, detail string
		err := f.db.QueryRowContext(t.Context(), "SELECT kind, detail FROM stoker_operations WHERE host = ? AND state = 'done' ORDER BY id DESC LIMIT 1", name).Scan(&kind, &detail)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if kind == "failover" {
			kind += " " + detail
		}
		checked++
		if row != ends[kind] {
			off = append(off, fmt.Sprintf("%s is %q, and the last that was done is %s", name, row, kind))
		}
	}
	if checked != 9 {
		t.Fatalf("%d services were compared, want 9", checked)
	}
	return off
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}
