package interop

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stoker/test/cloud"
	"stoker/test/peers"
)

// Stoker's API over an unchanged Cinder: its database, its bus and its services.
func TestStokerOverCinder(t *testing.T) {
	t.Parallel()
	engines.Each(t, stokerOverCinder)
}

func stokerOverCinder(t *testing.T, engines *peers.Shared) {
	t.Helper()
	d := cloud.New(t, engines)
	d.Options.More = "[stoker]\nlog_timeout = 2\n"
	python := d.Python(t, "host1", "scheduler", "backup", "volume", "api")
	d.Sync(t)
	own := d.Stoker(t, "host1", "api")
	ours, cinder := cloud.API{Name: "stoker", URL: own.URL}, cloud.API{Name: "cinder-api", URL: python.URL}
	on := func(backend string) walk {
		host := "host1@" + backend
		return walk{d: d, api: ours, ours: true, python: true, target: map[string]any{"host": host}, hosts: []string{host}, start: healthy}
	}
	refuse := func(t *testing.T, words string) {
		t.Helper()
		python.Tell(t, "gamma", map[string]any{"thaw_error": words})
	}
	beta := on("beta")
	beta.start = "enabled disabled"

	passed(t, t.Run("lists", func(t *testing.T) { alike(t, ours, cinder) }))
	passed(t, t.Run("odd texts", func(t *testing.T) { oddTexts(t, d.Options.Release, ours, cinder) }))
	passed(t, t.Run("freeze and thaw", func(t *testing.T) { on("alpha").run(t, freezing()) }))
	passed(t, t.Run("failover and failback", func(t *testing.T) { on("alpha").run(t, failingOvers()) }))
	passed(t, t.Run("a failover that fails", func(t *testing.T) { on("alpha").run(t, exploding("explode", nil, nil)) }))
	passed(t, t.Run("a thaw that is refused", func(t *testing.T) { on("gamma").run(t, refusing(refuse, refused)) }))
	passed(t, t.Run("a backend without replication", func(t *testing.T) { beta.run(t, unreplicated()) }))
	passed(t, t.Run("a host with several backends", func(t *testing.T) { several(t, d, ours) }))
	passed(t, t.Run("lists of all sorts", func(t *testing.T) {
		ours.Must(t, "os-services/freeze", map[string]any{"host": "host1@alpha"})
		ours.Must(t, "os-services/disable-log-reason", map[string]any{"host": "host1@beta", "binary": "cinder-volume", "disabled_reason": "disk swap"})
		ours.Must(t, "os-services/failover_host", map[string]any{"host": "host1@gamma", "backend_id": "site-z"})
		cloud.Eventually(t, "gamma is failed over", func() bool { return strings.HasSuffix(d.Rows(t)["host1@gamma"], "on site-z") })
		alike(t, ours, cinder)
		ours.Must(t, "os-services/thaw", map[string]any{"host": "host1@alpha"})
		ours.Must(t, "os-services/enable", map[string]any{"host": "host1@beta", "binary": "cinder-volume"})
		ours.Must(t, "os-services/failover_host", map[string]any{"host": "host1@gamma", "backend_id": "default"})
		cloud.Eventually(t, "gamma is back", func() bool { return d.Rows(t)["host1@gamma"] == healthy })
	}))
	passed(t, t.Run("log levels", func(t *testing.T) { pythonLevels(t, ours, cinder) }))
	passed(t, t.Run("clients", func(t *testing.T) { sameClients(t, d.Options.Release, ours, cinder, "host1@alpha") }))
	passed(t, t.Run("both APIs", func(t *testing.T) { together(t, d, ours, cinder) }))
	passed(t, t.Run("a volume service killed and stopped", func(t *testing.T) { faults(t, on("alpha"), python) }))
	others(t, on("alpha"), ours, python, "host1", "cinder.manager")
}

// unreplicated are the steps of a backend that has nowhere to go.
func unreplicated() []step {
	const home, cold = "enabled disabled", "disabled 'frozen' disabled frozen"
	return []step{
		{name: "failover", action: "failover@3.26", want: want{bad, "replication_status in", home}},
		{name: "freeze", action: "freeze", want: want{ok, "", cold}},
		{name: "thaw", action: "thaw", want: want{ok, "", home}},
	}
}

// several checks that a host that has several backends is no target.
func several(t *testing.T, d *cloud.Cloud, a cloud.API) {
	t.Helper()
	before := d.Rows(t)
	for _, action := range []string{"freeze", "thaw", "failover_host"} {
		if got := a.Put(t, "os-services/"+action, cloud.Newest, map[string]any{"host": "host1"}); got.Status != bad || !strings.Contains(got.Body, "different clusters") {
			t.Errorf("%s: %d %s, want 400 that says so", action, got.Status, got.Body)
		}
	}
	if after := d.Rows(t); text(before) != text(after) {
		t.Errorf("rows were %v, are %v", before, after)
	}
}

// pythonLevels reads and sets the log levels of Python services.
func pythonLevels(t *testing.T, ours, cinder cloud.API) {
	t.Helper()
	const loud, usual = "DEBUG", "INFO"
	for _, s := range []struct{ binary, host, prefix string }{
		{"cinder-volume", "host1@alpha", "cinder.volume.manager"},
		{"cinder-scheduler", "host1", "cinder.scheduler.manager"},
		{"cinder-backup", "host1", "cinder.backup.manager"},
	} {
		filter := map[string]any{"binary": s.binary, "server": s.host, "prefix": s.prefix}
		for _, l := range []string{loud, usual} {
			change := map[string]any{"binary": s.binary, "server": s.host, "prefix": s.prefix, "level": l}
			if got := ours.Put(t, "os-services/set-log", cloud.Newest, change); got.Status != accepted {
				t.Fatalf("set-log of %s: %d %s", s.binary, got.Status, got.Body)
			}
			cloud.Eventually(t, s.binary+" logs at "+l, func() bool { return level(t, ours, s.binary, s.host, s.prefix) == l })
			var mine, theirs cloud.Answer
			if !soon(t, func() bool {
				mine, theirs = ours.Put(t, "os-services/get-log", cloud.Newest, filter), cinder.Put(t, "os-services/get-log", cloud.Newest, filter)
				return text(content(t, mine.Body)) == text(content(t, theirs.Body))
			}) {
				t.Errorf("get-log of %s: %s, want as Cinder's %s", s.binary, mine.Body, theirs.Body)
			}
		}
	}
	for _, filter := range filters("host1", "gamma") {
		setAlike(t, ours, cinder, filter, "cinder.manager")
	}
	// Every filter names the same services, cinder-api's own levels apart.
	for _, filter := range []map[string]any{
		{"binary": "", "prefix": "cinder.volume.manager"},
		{"binary": "*", "prefix": "cinder.volume.manager"},
		{"binary": "cinder-volume", "server": "host1", "prefix": "cinder.volume.manager"},
		{"binary": "cinder-volume", "server": "host1@beta", "prefix": "cinder.volume.manager"},
		{"binary": "cinder-volume", "server": "nowhere", "prefix": "cinder.volume.manager"},
	} {
		if mine, theirs := levels(t, ours, filter), levels(t, cinder, filter); !slices.Equal(mine, theirs) {
			t.Errorf("get-log %v: %q, want as Cinder's %q", filter, mine, theirs)
		}
	}
}

// filters are those by which log levels are read and set, one of each kind.
func filters(host, backend string) []map[string]any {
	return []map[string]any{
		{"binary": ""},
		{"binary": "*"},
		{"binary": "cinder-volume", "server": host},
		{"binary": "", "server": host + "@" + backend},
		{"binary": "cinder-scheduler"},
		{"binary": "cinder-backup", "server": host},
		{"binary": "cinder-api"},
	}
}

// setAlike sets log levels by the one API and then back by the other: either
// reaches the services that a get-log with the same filter names, and no others.
func setAlike(t *testing.T, ours, cinder cloud.API, filter map[string]any, prefix string) {
	t.Helper()
	old := regexp.MustCompile(`"` + regexp.QuoteMeta(prefix) + `":"[A-Z]+"`)
	all := map[string]any{"binary": "", "prefix": prefix}
	for _, s := range []struct {
		api   cloud.API
		level string
	}{{ours, "ERROR"}, {cinder, "INFO"}} {
		change := maps.Clone(filter)
		change["prefix"] = prefix
		meant := levels(t, ours, change)
		var want []string
		for _, line := range levels(t, ours, all) {
			if slices.Contains(meant, line) {
				line = old.ReplaceAllString(line, `"`+prefix+`":"`+s.level+`"`)
			}
			want = append(want, line)
		}
		change["level"] = s.level
		if got := s.api.Put(t, "os-services/set-log", cloud.Newest, change); got.Status != accepted {
			t.Fatalf("set-log %v by %s: %d %s", change, s.api.Name, got.Status, got.Body)
		}
		slices.Sort(want)
		var got []string
		if !soon(t, func() bool { got = levels(t, ours, all); slices.Sort(got); return slices.Equal(got, want) }) {
			t.Errorf("after set-log %v by %s the levels are %q, want %q", change, s.api.Name, got, want)
		}
	}
}

// levels are the log levels that a filter selects, each as text, when every service
// has told its own: on a busy machine one may be late. Those of cinder-api are left out.
func levels(t *testing.T, a cloud.API, filter map[string]any) []string {
	t.Helper()
	var got cloud.Answer
	if !soon(t, func() bool {
		got = a.Put(t, "os-services/get-log", cloud.Newest, filter)
		return got.Status == ok && !strings.Contains(got.Body, `"unanswered"`)
	}) {
		t.Fatalf("get-log %v of %s: %d %s", filter, a.Name, got.Status, got.Body)
	}
	return withoutAPI(t, got.Body)
}

// withoutAPI are the log levels of all binaries but cinder-api, each as text.
func withoutAPI(t *testing.T, body string) []string {
	t.Helper()
	value, ok := content(t, body).(map[string]any)
	if !ok {
		t.Fatal(body)
	}
	all, ok := value["log_levels"].([]any)
	if !ok {
		t.Fatalf("no log levels: %s", body)
	}
	var found []string
	for _, l := range all {
		if line := text(l); !strings.Contains(line, "cinder-api") {
			found = append(found, line)
		}
	}
	return found
}

// sameClients compares what Cinder's command line shows of the two APIs.
func sameClients(t *testing.T, in peers.Release, ours, cinder cloud.API, host string) {
	t.Helper()
	for _, args := range [][]string{{"service-list", "--withreplication"}, {"cluster-list"}} {
		var mine, theirs string
		// Heartbeats go on between the two.
		if !soon(t, func() bool {
			mine, theirs = client(t, in, ours, args...), client(t, in, cinder, args...)
			return stamps(mine) == stamps(theirs)
		}) {
			t.Errorf("cinder %s shows of %s\n%s\nand of %s\n%s", args[0], ours.Name, mine, cinder.Name, theirs)
		}
		if args[0] == "service-list" && !strings.Contains(mine, host) {
			t.Errorf("%s is not in\n%s", host, mine)
		}
	}
}

// together changes the same services through both APIs.
func together(t *testing.T, d *cloud.Cloud, ours, cinder cloud.API) {
	t.Helper()
	alpha := map[string]any{"host": "host1@alpha"}
	// shows are what the two APIs list.
	shows := func() (lines [2]string) {
		for i, a := range []cloud.API{ours, cinder} {
			rows, err := cloud.Listed(a.Get(t, "os-services", cloud.Newest))
			if err != nil {
				t.Fatal(err)
			}
			lines[i] = rows["host1@alpha"]
		}
		return lines
	}
	// is checks that what was acknowledged shows in the next list of either.
	is := func(line string) {
		t.Helper()
		if got := shows(); got != [2]string{line, line} {
			t.Fatalf("the lists show %q, want %q", got, line)
		}
	}
	becomes := func(line string) {
		t.Helper()
		var got [2]string
		if !soon(t, func() bool { got = shows(); return got == [2]string{line, line} }) {
			t.Fatalf("the lists show %q, want %q", got, line)
		}
	}
	ours.Must(t, "os-services/freeze", alpha)
	is(frozen)
	cinder.Must(t, "os-services/thaw", alpha)
	is(healthy)
	cinder.Must(t, "os-services/freeze", alpha)
	is(frozen)
	ours.Must(t, "os-services/thaw", alpha)
	is(healthy)
	cinder.Must(t, "os-services/failover_host", map[string]any{"host": "host1@alpha", "backend_id": "site-c"})
	becomes(onSiteC)
	ours.Must(t, "os-services/failover_host", map[string]any{"host": "host1@alpha", "backend_id": "default"})
	cloud.Eventually(t, "alpha's row is back", func() bool { return d.Rows(t)["host1@alpha"] == healthy })
	// A disable counts though the failback may not be settled yet. The thaw by the
	// other API ends it, and it is given back.
	ours.Must(t, "os-services/disable-log-reason", map[string]any{"host": "host1@alpha", "binary": "cinder-volume", "disabled_reason": "disk swap"})
	becomes("disabled 'disk swap' enabled")
	cinder.Must(t, "os-services/freeze", alpha)
	is(frozen)
	cinder.Must(t, "os-services/thaw", alpha)
	becomes("disabled 'disk swap' enabled")
	ours.Must(t, "os-services/enable", map[string]any{"host": "host1@alpha", "binary": "cinder-volume"})
	is(healthy)
	race(t, d, ours, cinder)
}

// race freezes and thaws through both at once: one of them wins each time.
func race(t *testing.T, d *cloud.Cloud, ours, cinder cloud.API) {
	t.Helper()
	for _, round := range []struct{ action, end string }{{"freeze", frozen}, {"thaw", healthy}, {"freeze", frozen}, {"thaw", healthy}} {
		answers := make(chan cloud.Answer, 2)
		for _, a := range []cloud.API{ours, cinder} {
			go func() {
				got, err := a.Ask(t.Context(), http.MethodPut, "os-services/"+round.action, cloud.Newest, map[string]any{"host": "host1@alpha"})
				if err != nil {
					got.Body = err.Error()
				}
				answers <- got
			}()
		}
		one, two := <-answers, <-answers
		if one.Status != ok && two.Status != ok {
			t.Errorf("nobody has won the %s: %v, %v", round.action, one, two)
		}
		cloud.Eventually(t, "both ended well: "+round.end, func() bool { return d.Rows(t)["host1@alpha"] == round.end })
	}
}
