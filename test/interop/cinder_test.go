package interop

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stoker/test/peers"
)

// Cinder's own, unchanged API over Stoker's services.
func TestCinderOverStoker(t *testing.T) {
	d := newDeployment(t)
	d.sync(t)
	// The services are there first: rows that Cinder does not like would keep
	// its API from starting.
	own := d.stoker(t, "goes", "scheduler", "backup", "volume")
	python := d.python(t, "host1", "scheduler", "api")
	api1 := d.stoker(t, "goes", "api")
	cinder, ours := api{name: "cinder-api", url: python.URL}, api{name: "stoker", url: api1.URL}
	on := func(a api, backend string) walk {
		host := "goes@" + backend
		return walk{d: d, api: a, ours: a == ours, target: map[string]any{"host": host}, hosts: []string{host}, start: healthy}
	}
	m := mirror{own, "alpha"}

	for _, a := range []api{cinder, ours} {
		passed(t, t.Run(a.name, func(t *testing.T) {
			t.Run("freeze and thaw", func(t *testing.T) { on(a, "alpha").run(t, freezing()) })
			t.Run("failover and failback", func(t *testing.T) { on(a, "alpha").run(t, failingOvers()) })
			t.Run("a thaw that is refused", func(t *testing.T) { on(a, "gamma").run(t, refusing(mirror{own, "gamma"}.refuse, rebuilding)) })
			t.Run("a failover that fails", func(t *testing.T) { on(a, "alpha").run(t, exploding("site-c", m.lose, m.find)) })
		}))
		if a == cinder { // which leaves the one half thawed, and the other without a way back
			d.exec(t, "UPDATE services SET disabled = 0, disabled_reason = NULL, replication_status = 'enabled' WHERE host IN ('goes@alpha', 'goes@gamma')")
		}
	}
	passed(t, t.Run("volumes", func(t *testing.T) { volumesFollow(t, d, cinder, "goes@alpha") }))
	passed(t, t.Run("lists", func(t *testing.T) { alike(t, ours, cinder) }))
	passed(t, t.Run("clients", func(t *testing.T) {
		sameClients(t, ours, cinder, "goes@alpha")
		for command, want := range map[string]string{"get-pools --detail": "goes@alpha#alpha", "get-capabilities goes@alpha": "volume_backend_name"} {
			if got := client(t, cinder, strings.Fields(command)...); !strings.Contains(got, want) {
				t.Errorf("cinder %s does not show %s:\n%s", command, want, got)
			}
		}
	}))
	passed(t, t.Run("log levels", func(t *testing.T) { stokerLevels(t, cinder) }))
	passed(t, t.Run("killed and paused", func(t *testing.T) { comesBack(t, d, cinder, own) }))
	passed(t, t.Run("scheduler", func(t *testing.T) {
		python.Service(t, "scheduler").Kill(t)
		eventually(t, "Stoker's scheduler knows the pools", func() bool {
			return strings.Contains(cinder.get(t, "scheduler-stats/get_pools", newest), "goes@alpha#alpha")
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
func stokerLevels(t *testing.T, cinder api) {
	t.Helper()
	const prefix = "stoker.agent"
	for binary, host := range map[string]string{"cinder-volume": "goes@alpha", "cinder-scheduler": "goes", "cinder-backup": "goes"} {
		before := level(t, cinder, binary, host, prefix)
		if before == "" {
			t.Errorf("%s on %s does not tell its levels", binary, host)
			continue
		}
		for _, l := range []string{"DEBUG", before} {
			change := map[string]any{"binary": binary, "server": host, "prefix": prefix, "level": l}
			if got := cinder.put(t, "os-services/set-log", newest, change); got.status != accepted {
				t.Errorf("set-log of %s: %d %s", binary, got.status, got.body)
			}
			eventually(t, binary+" logs at "+l, func() bool { return level(t, cinder, binary, host, prefix) == l })
		}
	}
	if got := level(t, cinder, "cinder-volume", "goes@beta", prefix); got == "DEBUG" {
		t.Error("another volume service logs at DEBUG too")
	}
}

// comesBack kills and pauses a volume service: what was done to it stays done.
func comesBack(t *testing.T, d *deployment, cinder api, own *peers.Cinder) {
	t.Helper()
	alpha, volume := map[string]any{"host": "goes@alpha"}, own.Service(t, "volume")
	state := func() string {
		rows, err := listed(cinder.get(t, "os-services", newest))
		if err != nil {
			t.Fatal(err)
		}
		return rows["goes@alpha"]
	}
	cinder.must(t, "os-services/freeze", alpha)
	volume.Kill(t)
	volume.Start(t)
	if got := state(); got != frozen {
		t.Errorf("killed while frozen, it is %q, want %q", got, frozen)
	}
	cinder.must(t, "os-services/thaw", alpha)
	cinder.must(t, "os-services/failover_host", map[string]any{"host": "goes@alpha", "backend_id": "site-c"})
	eventually(t, "it is failed over", func() bool { return state() == onSiteC })
	volume.Kill(t)
	volume.Start(t)
	if got := state(); got != onSiteC {
		t.Errorf("killed while failed over, it is %q, want %q", got, onSiteC)
	}
	cinder.must(t, "os-services/failover_host", map[string]any{"host": "goes@alpha", "backend_id": "default"})
	eventually(t, "it is back", func() bool { return state() == healthy })
	volume.Pause(t)
	if got := cinder.put(t, "os-services/failover_host", newest, map[string]any{"host": "goes@alpha", "backend_id": "site-b"}); got.status != accepted {
		t.Errorf("failover while it is paused: %d %s", got.status, got.body)
	}
	volume.Resume(t)
	eventually(t, "it is failed over", func() bool { return state() == onSiteB })
	cinder.must(t, "os-services/failover_host", map[string]any{"host": "goes@alpha", "backend_id": "default"})
	eventually(t, "it is back again", func() bool { return state() == healthy })
}
