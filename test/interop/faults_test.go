package interop

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"stoker/test/cloud"
	"stoker/test/peers"
)

// faults are the steps of a walk through Stoker's API over a Python volume
// service that is killed, or stopped and goes on, before each of them, and that
// dies in the midst of a failover.
func faults(t *testing.T, w walk, python *peers.Cinder) {
	t.Helper()
	volume := python.Service(t, "volume")
	w.run(t, killed(w, volume))
	w.run(t, stopped(volume, python))
	w.run(t, []step{{
		name: "a failover in whose midst the service dies", action: "failover@3.26", body: map[string]any{"backend_id": "site-b"}, want: want{accepted, "", failingOver},
		arrange: func(t *testing.T) { t.Helper(); python.Tell(t, "alpha", map[string]any{"failover_delay": 600}) },
		after: func(t *testing.T) {
			t.Helper()
			cloud.Eventually(t, "it is at it", func() bool { calls := python.Calls(t, "alpha"); return calls[len(calls)-1] == "failover site-b" })
			volume.Kill(t)
			python.Tell(t, "alpha", nil)
			volume.Start(t)
		}, ends: healthy,
	}})
}

// killed are the steps of a service that is dead before each.
func killed(w walk, volume *peers.Engine) []step {
	const unavailable = http.StatusServiceUnavailable
	kill := func(t *testing.T) {
		t.Helper()
		volume.Kill(t)
		peers.Deserted(t, w.d.Options.Transport, "cinder-volume", w.hosts...)
	}
	start := func(t *testing.T) { t.Helper(); volume.Start(t) }
	site, home := map[string]any{"backend_id": "site-b"}, map[string]any{"backend_id": "default"}
	return []step{
		{name: "freeze by a dead service", arrange: kill, action: "freeze", want: want{unavailable, "", healthy}},
		{name: "failover by a dead service", action: "failover@3.26", body: site, want: want{unavailable, "", healthy}, after: func(t *testing.T) {
			t.Helper()
			unanswered(t, w.api, "cinder-volume", "host1")
			start(t)
		}},
		{name: "freeze by it when it is back", action: "freeze", want: want{ok, "", frozen}},
		{name: "thaw by a dead service", arrange: kill, action: "thaw", want: want{unavailable, "", frozen}, after: start},
		{name: "thaw by it when it is back", action: "thaw", want: want{ok, "", healthy}},
		{name: "failover by it", action: "failover@3.26", body: site, want: want{accepted, "", onSiteB}},
		{name: "failback by a dead service", arrange: kill, action: "failover@3.26", body: home, want: want{unavailable, "", onSiteB}, after: start},
		{name: "failback by it when it is back", action: "failover@3.26", body: home, want: want{accepted, "", healthy}},
	}
}

// stopped are the steps of a service that hangs before each, and goes on after it.
func stopped(volume *peers.Engine, python *peers.Cinder) []step {
	const late = http.StatusGatewayTimeout
	stop := func(t *testing.T) { t.Helper(); volume.Pause(t) }
	resume := func(t *testing.T) { t.Helper(); volume.Resume(t) }
	site, home := map[string]any{"backend_id": "site-b"}, map[string]any{"backend_id": "default"}
	return []step{
		{name: "freeze by a service that hangs", arrange: stop, action: "freeze", want: want{late, "", healthy}, after: func(t *testing.T) {
			t.Helper()
			resumed(t, volume, python, "freeze done", "thaw done")
		}},
		{name: "freeze by it when it goes on", action: "freeze", want: want{ok, "", frozen}},
		{name: "thaw by a service that hangs", arrange: stop, action: "thaw", want: want{late, "", frozen}, after: func(t *testing.T) {
			t.Helper()
			resumed(t, volume, python, "thaw done", "freeze done")
		}},
		{name: "thaw by it when it goes on", action: "thaw", want: want{ok, "", healthy}},
		{name: "failover by a service that hangs", arrange: stop, action: "failover@3.26", body: site, want: want{accepted, "", failingOver}, after: resume, ends: onSiteB},
		{name: "failback by a service that hangs", arrange: stop, action: "failover@3.26", body: home, want: want{accepted, "", "disabled 'failed-over' failing-over on site-b"}, after: resume, ends: healthy},
	}
}

// resumed lets a hung service go on, and waits until it has carried out late what
// it had in hand, and then the opposite that it was sent.
func resumed(t *testing.T, volume *peers.Engine, python *peers.Cinder, first, then string) {
	t.Helper()
	before := len(python.Calls(t, "alpha"))
	volume.Resume(t)
	cloud.Eventually(t, "it has done the one late and then the other", func() bool {
		calls := python.Calls(t, "alpha")[before:]
		i := slices.Index(calls, first)
		return i >= 0 && slices.Contains(calls[i:], then)
	})
}

// others kills and stops the backup service and the scheduler: whatever is done
// to backends is done all the same, in the walk's API; Stoker's names the silent
// service; and it does as the others when it is back.
func others(t *testing.T, w walk, ours cloud.API, services *peers.Cinder, host, prefix string) {
	t.Helper()
	for _, name := range []string{"backup", "scheduler"} {
		service := services.Service(t, name)
		kill := func(tb testing.TB) {
			tb.Helper()
			service.Kill(tb)
			peers.Deserted(tb, w.d.Options.Transport, "cinder-"+name, host)
		}
		for _, s := range []struct {
			is         string
			away, back func(testing.TB)
			setLog     int
		}{
			{"dead", kill, service.Start, http.StatusServiceUnavailable},
			{"stopped", service.Pause, service.Resume, accepted},
		} {
			passed(t, t.Run("the "+name+" is "+s.is, func(t *testing.T) {
				s.away(t)
				unanswered(t, ours, "cinder-"+name, host)
				change := map[string]any{"binary": "cinder-" + name, "server": host, "prefix": prefix, "level": "DEBUG"}
				if got := ours.Put(t, "os-services/set-log", cloud.Newest, change); got.Status != s.setLog {
					t.Errorf("set-log: %d %s, want %d", got.Status, got.Body, s.setLog)
				}
				w.run(t, clusterFreezing())
				w.run(t, clusterFailingOvers())
				if all := ours.Get(t, "os-services", cloud.Newest); !strings.Contains(all, `"cinder-`+name+`"`) {
					t.Errorf("it is not listed: %s", all)
				}
				s.back(t)
				for _, l := range []string{"DEBUG", "INFO"} {
					change["level"] = l
					if got := ours.Put(t, "os-services/set-log", cloud.Newest, change); got.Status != accepted {
						t.Errorf("set-log when it is back: %d %s", got.Status, got.Body)
					}
					cloud.Eventually(t, "it logs at "+l, func() bool { return level(t, ours, "cinder-"+name, host, prefix) == l })
				}
			}))
		}
	}
}

// unanswered waits until get-log shows the levels of the others, who may be late for
// once on a busy machine, and names those services of the host that do not answer,
// and no others. These are never shown.
func unanswered(t *testing.T, ours cloud.API, binary, host string) {
	t.Helper()
	type service struct{ Binary, Host string }
	is := func(s service) bool {
		return s.Binary == binary && (s.Host == host || strings.HasPrefix(s.Host, host+"@"))
	}
	var got cloud.Answer
	if !soon(t, func() bool {
		got = ours.Put(t, "os-services/get-log", cloud.Newest, map[string]any{"binary": "", "prefix": "cinder"})
		var said struct {
			LogLevels  []service `json:"log_levels"`
			Unanswered []service `json:"unanswered"`
		}
		if err := json.Unmarshal([]byte(got.Body), &said); got.Status != ok || err != nil {
			t.Fatalf("get-log: %d %s", got.Status, got.Body)
		}
		if slices.ContainsFunc(said.LogLevels, is) {
			t.Fatalf("get-log shows the levels of %s: %s", binary, got.Body)
		}
		others := slices.ContainsFunc(said.Unanswered, func(s service) bool { return !is(s) })
		return len(said.Unanswered) > 0 && !others && len(said.LogLevels) >= 2
	}) {
		t.Errorf("get-log does not name %s alone: %s", binary, got.Body)
	}
}
