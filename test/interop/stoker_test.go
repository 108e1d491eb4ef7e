package interop

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"stoker/test/peers"
)

// Stoker's API over an unchanged Cinder: its database, its bus and its services.
func TestStokerOverCinder(t *testing.T) {
	d := newDeployment(t)
	python := d.python(t, "host1", "scheduler", "backup", "volume", "api")
	d.sync(t)
	own := d.stoker(t, "host1", "api")
	ours, cinder := api{name: "stoker", url: own.URL}, api{name: "cinder-api", url: python.URL}
	on := func(backend string) walk {
		host := "host1@" + backend
		return walk{d: d, api: ours, ours: true, target: map[string]any{"host": host}, hosts: []string{host}, start: healthy}
	}
	refuse := func(t *testing.T, words string) {
		t.Helper()
		python.Tell(t, "gamma", map[string]any{"thaw_error": words})
	}
	beta := on("beta")
	beta.start = "enabled disabled"

	passed(t, t.Run("lists", func(t *testing.T) { alike(t, ours, cinder) }))
	passed(t, t.Run("freeze and thaw", func(t *testing.T) { on("alpha").run(t, freezing()) }))
	passed(t, t.Run("failover and failback", func(t *testing.T) { on("alpha").run(t, failingOvers()) }))
	passed(t, t.Run("a failover that fails", func(t *testing.T) { on("alpha").run(t, exploding("explode", nil, nil)) }))
	passed(t, t.Run("a thaw that is refused", func(t *testing.T) { on("gamma").run(t, refusing(refuse, refused)) }))
	passed(t, t.Run("a backend without replication", func(t *testing.T) { beta.run(t, unreplicated()) }))
	passed(t, t.Run("a host with several backends", func(t *testing.T) { several(t, d, ours) }))
	passed(t, t.Run("lists of all sorts", func(t *testing.T) {
		ours.must(t, "os-services/freeze", map[string]any{"host": "host1@alpha"})
		ours.must(t, "os-services/disable-log-reason", map[string]any{"host": "host1@beta", "binary": "cinder-volume", "disabled_reason": "disk swap"})
		ours.must(t, "os-services/failover_host", map[string]any{"host": "host1@gamma", "backend_id": "site-z"})
		eventually(t, "gamma is failed over", func() bool { return strings.HasSuffix(d.rows(t)["host1@gamma"], "on site-z") })
		alike(t, ours, cinder)
		ours.must(t, "os-services/thaw", map[string]any{"host": "host1@alpha"})
		ours.must(t, "os-services/enable", map[string]any{"host": "host1@beta", "binary": "cinder-volume"})
		ours.must(t, "os-services/failover_host", map[string]any{"host": "host1@gamma", "backend_id": "default"})
		eventually(t, "gamma is back", func() bool { return d.rows(t)["host1@gamma"] == healthy })
	}))
	passed(t, t.Run("log levels", func(t *testing.T) { pythonLevels(t, ours, cinder) }))
	passed(t, t.Run("clients", func(t *testing.T) { sameClients(t, ours, cinder, "host1@alpha") }))
	passed(t, t.Run("both APIs", func(t *testing.T) { together(t, d, ours, cinder) }))
	passed(t, t.Run("services killed and paused", func(t *testing.T) { faults(t, on, ours, python) }))
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
func several(t *testing.T, d *deployment, a api) {
	t.Helper()
	before := d.rows(t)
	for _, action := range []string{"freeze", "thaw", "failover_host"} {
		if got := a.put(t, "os-services/"+action, newest, map[string]any{"host": "host1"}); got.status != bad || !strings.Contains(got.body, "different clusters") {
			t.Errorf("%s: %d %s, want 400 that says so", action, got.status, got.body)
		}
	}
	if after := d.rows(t); text(before) != text(after) {
		t.Errorf("rows were %v, are %v", before, after)
	}
}

// pythonLevels reads and sets the log levels of Python services.
func pythonLevels(t *testing.T, ours, cinder api) {
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
			if got := ours.put(t, "os-services/set-log", newest, change); got.status != accepted {
				t.Fatalf("set-log of %s: %d %s", s.binary, got.status, got.body)
			}
			eventually(t, s.binary+" logs at "+l, func() bool { return level(t, ours, s.binary, s.host, s.prefix) == l })
			mine, theirs := ours.put(t, "os-services/get-log", newest, filter), cinder.put(t, "os-services/get-log", newest, filter)
			if text(content(t, mine.body)) != text(content(t, theirs.body)) {
				t.Errorf("get-log of %s: %s, want as Cinder's %s", s.binary, mine.body, theirs.body)
			}
		}
	}
	// Every filter names the same services, cinder-api's own levels apart.
	for _, filter := range []map[string]any{
		{"binary": "", "prefix": "cinder.volume.manager"},
		{"binary": "*", "prefix": "cinder.volume.manager"},
		{"binary": "cinder-volume", "server": "host1", "prefix": "cinder.volume.manager"},
		{"binary": "cinder-volume", "server": "host1@beta", "prefix": "cinder.volume.manager"},
		{"binary": "cinder-volume", "server": "nowhere", "prefix": "cinder.volume.manager"},
	} {
		mine, theirs := ours.put(t, "os-services/get-log", newest, filter), cinder.put(t, "os-services/get-log", newest, filter)
		if a, b := withoutAPI(t, mine.body), withoutAPI(t, theirs.body); !slices.Equal(a, b) {
			t.Errorf("get-log %v: %q, want as Cinder's %q", filter, a, b)
		}
	}
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
func sameClients(t *testing.T, ours, cinder api, host string) {
	t.Helper()
	for _, args := range [][]string{{"service-list", "--withreplication"}, {"cluster-list"}} {
		var mine, theirs string
		// Heartbeats go on between the two.
		if !soon(t, func() bool {
			mine, theirs = client(t, ours, args...), client(t, cinder, args...)
			return stamps(mine) == stamps(theirs)
		}) {
			t.Errorf("cinder %s shows of %s\n%s\nand of %s\n%s", args[0], ours.name, mine, cinder.name, theirs)
		}
		if args[0] == "service-list" && !strings.Contains(mine, host) {
			t.Errorf("%s is not in\n%s", host, mine)
		}
	}
}

// together changes the same services through both APIs.
func together(t *testing.T, d *deployment, ours, cinder api) {
	t.Helper()
	alpha := map[string]any{"host": "host1@alpha"}
	// shows are what the two APIs list.
	shows := func() (lines [2]string) {
		for i, a := range []api{ours, cinder} {
			rows, err := listed(a.get(t, "os-services", newest))
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
	ours.must(t, "os-services/freeze", alpha)
	is(frozen)
	cinder.must(t, "os-services/thaw", alpha)
	is(healthy)
	cinder.must(t, "os-services/freeze", alpha)
	is(frozen)
	ours.must(t, "os-services/thaw", alpha)
	is(healthy)
	cinder.must(t, "os-services/failover_host", map[string]any{"host": "host1@alpha", "backend_id": "site-c"})
	becomes(onSiteC)
	ours.must(t, "os-services/failover_host", map[string]any{"host": "host1@alpha", "backend_id": "default"})
	eventually(t, "alpha's row is back", func() bool { return d.rows(t)["host1@alpha"] == healthy })
	// A disable counts though the failback may not be settled yet. The thaw by the
	// other API ends it, and it is given back.
	ours.must(t, "os-services/disable-log-reason", map[string]any{"host": "host1@alpha", "binary": "cinder-volume", "disabled_reason": "disk swap"})
	becomes("disabled 'disk swap' enabled")
	cinder.must(t, "os-services/freeze", alpha)
	is(frozen)
	cinder.must(t, "os-services/thaw", alpha)
	becomes("disabled 'disk swap' enabled")
	ours.must(t, "os-services/enable", map[string]any{"host": "host1@alpha", "binary": "cinder-volume"})
	is(healthy)
	race(t, d, ours, cinder)
}

// race freezes and thaws through both at once: one of them wins each time.
func race(t *testing.T, d *deployment, ours, cinder api) {
	t.Helper()
	for _, round := range []struct{ action, end string }{{"freeze", frozen}, {"thaw", healthy}, {"freeze", frozen}, {"thaw", healthy}} {
		answers := make(chan answer, 2)
		for _, a := range []api{ours, cinder} {
			go func() {
				got, err := a.ask(t.Context(), http.MethodPut, "os-services/"+round.action, newest, map[string]any{"host": "host1@alpha"})
				if err != nil {
					got.body = err.Error()
				}
				answers <- got
			}()
		}
		one, two := <-answers, <-answers
		if one.status != ok && two.status != ok {
			t.Errorf("nobody has won the %s: %v, %v", round.action, one, two)
		}
		eventually(t, "both ended well: "+round.end, func() bool { return d.rows(t)["host1@alpha"] == round.end })
	}
}

// faults are services that are killed or paused at each step.
func faults(t *testing.T, on func(string) walk, ours api, python *peers.Cinder) {
	t.Helper()
	const unavailable, late = http.StatusServiceUnavailable, http.StatusGatewayTimeout
	volume := python.Service(t, "volume")
	site := map[string]any{"backend_id": "site-b"}
	on("alpha").run(t, []step{
		{name: "freeze by a service that is dead", arrange: func(t *testing.T) { t.Helper(); volume.Kill(t) }, action: "freeze", want: want{unavailable, "", healthy}},
		{name: "failover by a service that is dead", action: "failover@3.26", body: site, want: want{unavailable, "", healthy}, after: func(t *testing.T) {
			t.Helper()
			got := ours.put(t, "os-services/get-log", newest, map[string]any{"binary": "", "prefix": "cinder.backup.manager"})
			if got.status != ok || !strings.Contains(got.body, `"unanswered"`) || !strings.Contains(got.body, "cinder.backup.manager") {
				t.Errorf("get-log with a dead service: %d %s", got.status, got.body)
			}
			volume.Start(t)
		}},
		{name: "freeze by it when it is back", action: "freeze", want: want{ok, "", frozen}},
		{name: "thaw by a service that is dead", arrange: func(t *testing.T) { t.Helper(); volume.Kill(t) }, action: "thaw", want: want{unavailable, "", frozen}, after: func(t *testing.T) {
			t.Helper()
			volume.Start(t)
		}},
		{name: "thaw by a service that hangs", arrange: func(t *testing.T) { t.Helper(); volume.Pause(t) }, action: "thaw", want: want{late, "", frozen}, after: func(t *testing.T) {
			t.Helper()
			resumed(t, volume, python, "thaw done", "freeze done")
		}},
		{name: "thaw by it when it goes on", action: "thaw", want: want{ok, "", healthy}},
		{name: "freeze by a service that hangs", arrange: func(t *testing.T) { t.Helper(); volume.Pause(t) }, action: "freeze", want: want{late, "", healthy}, after: func(t *testing.T) {
			t.Helper()
			resumed(t, volume, python, "freeze done", "thaw done")
		}},
		{name: "failover by a service that hangs", arrange: func(t *testing.T) { t.Helper(); volume.Pause(t) }, action: "failover@3.26", body: site, want: want{accepted, "", failingOver}, after: func(t *testing.T) {
			t.Helper()
			volume.Resume(t)
		}, ends: onSiteB},
		{name: "failback", action: "failover@3.26", body: map[string]any{"backend_id": "default"}, want: want{accepted, "", healthy}},
		{name: "a failover in whose midst the service dies", arrange: func(t *testing.T) {
			t.Helper()
			python.Tell(t, "alpha", map[string]any{"failover_delay": 600})
		}, action: "failover@3.26", body: site, want: want{accepted, "", failingOver}, after: func(t *testing.T) {
			t.Helper()
			eventually(t, "it is at it", func() bool { calls := python.Calls(t, "alpha"); return calls[len(calls)-1] == "failover site-b" })
			volume.Kill(t)
			python.Tell(t, "alpha", nil)
			volume.Start(t)
		}, ends: healthy},
	})
	scheduler := python.Service(t, "scheduler")
	scheduler.Kill(t)
	rows, err := listed(ours.get(t, "os-services", newest))
	if err != nil || rows["host1@alpha"] != healthy {
		t.Errorf("without a scheduler the list shows %q: %v", rows["host1@alpha"], err)
	}
	scheduler.Start(t)
}

// resumed lets a hung service go on, and waits until it has carried out late what
// it had in hand, and then the opposite that it was sent.
func resumed(t *testing.T, volume *peers.Engine, python *peers.Cinder, first, then string) {
	t.Helper()
	before := len(python.Calls(t, "alpha"))
	volume.Resume(t)
	eventually(t, "it has done the one late and then the other", func() bool {
		calls := python.Calls(t, "alpha")[before:]
		i := slices.Index(calls, first)
		return i >= 0 && slices.Contains(calls[i:], then)
	})
}
