package interop

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stoker/test/cloud"
	"stoker/test/peers"
)

// Cinder's own, unchanged API over Stoker's services.
func TestCinderOverStoker(t *testing.T) {
	t.Parallel()
	engines.Each(t, cinderOverStoker)
}

func cinderOverStoker(t *testing.T, engines *peers.Shared) {
	t.Helper()
	d := cloud.New(t, engines)
	d.Options.More = "[stoker]\nlog_timeout = 2\n"
	d.Sync(t)
	// The services are there first: rows that Cinder does not like would keep
	// its API from starting.
	own := d.Stoker(t, "goes", "scheduler", "backup", "volume")
	python := d.Python(t, "host1", "scheduler", "api")
	cinder := cloud.API{Name: "cinder-api", URL: python.URL}
	on := func(a cloud.API, backend string) walk {
		host := "goes@" + backend
		return walk{d: d, api: a, ours: a != cinder, target: map[string]any{"host": host}, hosts: []string{host}, start: healthy}
	}
	m := mirror{own, "alpha"}

	walks := func(a cloud.API) {
		passed(t, t.Run(a.Name, func(t *testing.T) {
			t.Run("freeze and thaw", func(t *testing.T) { on(a, "alpha").run(t, freezing()) })
			t.Run("failover and failback", func(t *testing.T) { on(a, "alpha").run(t, failingOvers()) })
			t.Run("a thaw that is refused", func(t *testing.T) { on(a, "gamma").run(t, refusing(mirror{own, "gamma"}.refuse, rebuilding)) })
			t.Run("a failover that fails", func(t *testing.T) { on(a, "alpha").run(t, exploding("site-c", m.lose, m.find)) })
		}))
	}
	walks(cinder) // which leaves the one half thawed, and the other without a way back
	d.Exec(t, "UPDATE services SET disabled = 0, disabled_reason = NULL, replication_status = 'enabled' WHERE host IN ('goes@alpha', 'goes@gamma')")
	// Not before: it gives back the disable that a thaw by Cinder's has wiped out.
	ours := cloud.API{Name: "stoker", URL: d.Stoker(t, "goes", "api").URL}
	walks(ours)
	passed(t, t.Run("volumes", func(t *testing.T) { volumesFollow(t, d, cinder, "goes@alpha") }))
	passed(t, t.Run("lists", func(t *testing.T) { alike(t, ours, cinder) }))
	passed(t, t.Run("clients", func(t *testing.T) {
		sameClients(t, d.Options.Release, ours, cinder, "goes@alpha")
		for command, want := range map[string]string{"get-pools --detail": "goes@alpha#alpha", "get-capabilities goes@alpha": "volume_backend_name"} {
			if got := client(t, d.Options.Release, cinder, strings.Fields(command)...); !strings.Contains(got, want) {
				t.Errorf("cinder %s does not show %s:\n%s", command, want, got)
			}
		}
	}))
	passed(t, t.Run("log levels", func(t *testing.T) {
		stokerLevels(t, cinder)
		for _, filter := range filters("goes", "gamma") {
			setAlike(t, ours, cinder, filter, "stoker.agent")
		}
	}))
	passed(t, t.Run("killed and stopped", func(t *testing.T) { comesBack(t, d, cinder, own) }))
	others(t, on(cinder, "alpha"), ours, own, "goes", "stoker.agent")
	passed(t, t.Run("scheduler", func(t *testing.T) {
		python.Service(t, "scheduler").Kill(t)
		cloud.Eventually(t, "Stoker's scheduler knows the pools", func() bool {
			return strings.Contains(cinder.Get(t, "scheduler-stats/get_pools", cloud.Newest), "goes@alpha#alpha")
		})
		alike(t, ours, cinder)
	}))
}

// mirror is a backend of Stoker's: directories.
type mirror struct {
	of   *peers.Cinder
	name string
}

func (m mirror) path(name string) string {
	return filepath.Join(m.of.Dir, "state", "mirror", "goes@"+m.name, name)
}

// refuse makes it refuse to thaw, in these words; "" ends that.
func (m mirror) refuse(t *testing.T, words string) {
	t.Helper()
	var err error
	if words == "" {
		err = os.Remove(m.path("refuse-thaw"))
	} else {
		err = os.WriteFile(m.path("refuse-thaw"), []byte(words), 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// lose puts a file where a site's directory should be, so that it cannot be used.
func (m mirror) lose(t *testing.T) {
	t.Helper()
	if err := errors.Join(os.Rename(m.path("site-c"), m.path(".site-c")), os.WriteFile(m.path("site-c"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// find brings the site back.
func (m mirror) find(t *testing.T) {
	t.Helper()
	if err := errors.Join(os.Remove(m.path("site-c")), os.Rename(m.path(".site-c"), m.path("site-c"))); err != nil {
		t.Fatal(err)
	}
}

// stokerLevels reads and sets the log levels of Stoker's services.
func stokerLevels(t *testing.T, cinder cloud.API) {
	t.Helper()
	const prefix = "stoker.agent"
	for binary, host := range map[string]string{"cinder-volume": "goes@alpha", "cinder-scheduler": "goes", "cinder-backup": "goes"} {
		var before string
		if !soon(t, func() bool { before = level(t, cinder, binary, host, prefix); return before != "" }) {
			t.Errorf("%s on %s does not tell its levels", binary, host)
			continue
		}
		for _, l := range []string{"DEBUG", before} {
			change := map[string]any{"binary": binary, "server": host, "prefix": prefix, "level": l}
			if got := cinder.Put(t, "os-services/set-log", cloud.Newest, change); got.Status != accepted {
				t.Errorf("set-log of %s: %d %s", binary, got.Status, got.Body)
			}
			cloud.Eventually(t, binary+" logs at "+l, func() bool { return level(t, cinder, binary, host, prefix) == l })
		}
	}
	if got := level(t, cinder, "cinder-volume", "goes@beta", prefix); got == "DEBUG" {
		t.Error("another volume service logs at DEBUG too")
	}
}

// comesBack kills a volume service in each state, and stops it before each
// command: what was done to it stays done, and what it had not yet done it does.
func comesBack(t *testing.T, d *cloud.Cloud, cinder cloud.API, own *peers.Cinder) {
	t.Helper()
	volume := own.Service(t, "volume")
	for _, s := range []struct{ action, target, line string }{
		{"freeze", "", frozen},
		{"thaw", "", healthy},
		{"failover_host", "site-c", onSiteC},
		{"freeze", "", "disabled 'frozen' failed-over on site-c frozen"},
		{"thaw", "", onSiteC},
		{"failover_host", "site-b", onSiteB},
		{"failover_host", "default", healthy},
	} {
		what := s.action + " " + s.target
		body := map[string]any{"host": "goes@alpha"}
		if s.target != "" {
			body["backend_id"] = s.target
		}
		before := d.Rows(t)["goes@alpha"]
		volume.Pause(t)
		answered := make(chan cloud.Answer, 1)
		go func() {
			got, err := cinder.Ask(t.Context(), http.MethodPut, "os-services/"+s.action, cloud.Newest, body)
			if err != nil {
				got.Body = err.Error()
			}
			answered <- got
		}()
		// The API has written what it writes before it sends the command.
		cloud.Eventually(t, what+" is under way", func() bool { return d.Rows(t)["goes@alpha"] != before })
		volume.Resume(t)
		if got := <-answered; got.Status >= http.StatusMultipleChoices {
			t.Fatalf("%s by a service that was stopped for a moment: %d %s", what, got.Status, got.Body)
		}
		cloud.Eventually(t, what+" is done", func() bool { return d.Rows(t)["goes@alpha"] == s.line })
		volume.Kill(t)
		volume.Start(t)
		rows, err := cloud.Listed(cinder.Get(t, "os-services", "3.48"))
		if err != nil || rows["goes@alpha"] != s.line {
			t.Errorf("killed after %s it is %q, want %q: %v", what, rows["goes@alpha"], s.line, err)
		}
	}
}
