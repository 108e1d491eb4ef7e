package mirror_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/backend"
	"stoker/internal/backend/mirror"
	"stoker/internal/cinder"
)

// array is a backend under test and its directory.
type array struct {
	*mirror.Backend
	t    *testing.T
	root string
}

func newArray(t *testing.T, change ...func(*mirror.Options)) *array {
	t.Helper()
	o := mirror.Options{
		Name: "alpha", Root: filepath.Join(t.TempDir(), "alpha"), Targets: []string{"site-b", "site-c"},
		Log: slog.New(slog.DiscardHandler),
	}
	for _, fn := range change {
		fn(&o)
	}
	b, err := mirror.New(o)
	if err != nil {
		t.Fatal(err)
	}
	a := &array{b, t, o.Root}
	t.Cleanup(func() { // else frozen directories could not be removed
		for _, site := range append(o.Targets, "default") {
			_ = os.Chmod(filepath.Join(o.Root, site), 0o750)
		}
	})
	return a
}

func (a *array) setup(s backend.State) *array {
	a.t.Helper()
	if err := a.Setup(a.t.Context(), s); err != nil {
		a.t.Fatal(err)
	}
	return a
}

// write creates a volume of that age at a site.
func (a *array) write(path, content string, age time.Duration) {
	a.t.Helper()
	path = filepath.Join(a.root, path)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		a.t.Fatal(err)
	}
	when := time.Now().Add(-age)
	if err := os.Chtimes(path, when, when); err != nil {
		a.t.Fatal(err)
	}
}

// volumes returns the contents of a site's volumes by name.
func (a *array) volumes(site string) map[string]string {
	a.t.Helper()
	entries, err := os.ReadDir(filepath.Join(a.root, site))
	if err != nil {
		a.t.Fatal(err)
	}
	found := map[string]string{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(a.root, site, e.Name()))
		if err != nil {
			a.t.Fatal(err)
		}
		found[e.Name()] = string(content)
	}
	return found
}

func (a *array) wantVolumes(site string, want map[string]string) {
	a.t.Helper()
	if diff := cmp.Diff(want, a.volumes(site)); diff != "" {
		a.t.Errorf("volumes at %s (-want +got):\n%s", site, diff)
	}
}

// frozen lists the sites that refuse new volumes.
func (a *array) frozen() string {
	a.t.Helper()
	var names []string
	for _, site := range []string{"default", "site-b", "site-c"} {
		info, err := os.Stat(filepath.Join(a.root, site))
		if err != nil {
			continue
		}
		refused := info.Mode().Perm()&0o222 == 0
		if os.Geteuid() != 0 { // root can write anywhere
			probe := filepath.Join(a.root, site, "probe")
			err := os.WriteFile(probe, nil, 0o600)
			if refused != errors.Is(err, os.ErrPermission) {
				a.t.Errorf("%s has mode %v, yet creating a volume gives %v", site, info.Mode(), err)
			}
			_ = os.Remove(probe)
		}
		if refused {
			names = append(names, site)
		}
	}
	return strings.Join(names, " ")
}

func (a *array) lose(site string) {
	a.t.Helper()
	if err := os.RemoveAll(filepath.Join(a.root, site)); err != nil {
		a.t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, want cinder.Kind) {
	t.Helper()
	if err == nil || cinder.KindOf(err) != want {
		t.Errorf("error %v of kind %v, want kind %v", err, cinder.KindOf(err), want)
	}
}

func TestNamesThatAreNoSites(t *testing.T) {
	for _, name := range []string{"", "default", "refuse-thaw", ".hidden", "..", "a/b", `a\b`, "twice"} {
		t.Run(name, func(t *testing.T) {
			_, err := mirror.New(mirror.Options{Name: "alpha", Targets: []string{"twice", name}})
			wantKind(t, err, cinder.KindInvalid)
		})
	}
}

func TestFreezeAndThaw(t *testing.T) {
	a := newArray(t).setup(backend.State{})
	a.write("default/volume-1", "one", 0)
	for _, step := range []struct {
		name string
		do   func(context.Context) error
		want string
	}{
		{"freeze", a.Freeze, "default"},
		{"freeze again", a.Freeze, "default"},
		{"thaw", a.Thaw, ""},
		{"thaw again", a.Thaw, ""},
		{"freeze once more", a.Freeze, "default"},
	} {
		if err := step.do(t.Context()); err != nil {
			t.Fatal(step.name, err)
		}
		if got := a.frozen(); got != step.want {
			t.Errorf("%s: frozen %q, want %q", step.name, got, step.want)
		}
	}
	a.wantVolumes("default", map[string]string{"volume-1": "one"})
	if err := a.Replicate(t.Context()); err != nil {
		t.Errorf("replication of a frozen site: %v", err)
	}
	a.wantVolumes("site-b", map[string]string{"volume-1": "one"})
}

func TestRefusedThaw(t *testing.T) {
	tests := []struct {
		name  string
		words string
		want  string
	}{
		{"with words", "The array is being serviced until Friday.\n", "The array is being serviced until Friday."},
		{"without", " \n", "The backend refuses to thaw."},
		{"with very many", strings.Repeat("x", 5000), strings.Repeat("x", 1024)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newArray(t).setup(backend.State{Frozen: true})
			a.write("refuse-thaw", tt.words, 0)
			err := a.Thaw(t.Context())
			wantKind(t, err, cinder.KindConflict)
			if got := cinder.Message(err); got != tt.want {
				t.Errorf("the backend says %q, want %q", got, tt.want)
			}
			if got := a.frozen(); got != "default" {
				t.Errorf("frozen %q after a refused thaw", got)
			}
		})
	}
}

// TestRefusalEndsForGood checks that the refusal lasts from the first start until an
// operator removes the file.
func TestRefusalEndsForGood(t *testing.T) {
	words := func(o *mirror.Options) { o.RefuseThaw = "not before the audit" }
	a := newArray(t, words).setup(backend.State{Frozen: true})
	err := a.Thaw(t.Context())
	wantKind(t, err, cinder.KindConflict)
	if got := cinder.Message(err); got != "not before the audit" {
		t.Errorf("the backend says %q", got)
	}
	if err := os.Remove(filepath.Join(a.root, "refuse-thaw")); err != nil {
		t.Fatal(err)
	}
	a.setup(backend.State{Frozen: true})
	if err := a.Thaw(t.Context()); err != nil {
		t.Errorf("thaw after the refusal was taken away: %v", err)
	}
}

func TestSetup(t *testing.T) {
	t.Run("what the row says is made true, refusals notwithstanding", func(t *testing.T) {
		a := newArray(t, func(o *mirror.Options) { o.RefuseThaw = "no" })
		a.setup(backend.State{Frozen: true})
		if got := a.frozen(); got != "default" {
			t.Errorf("frozen %q", got)
		}
		a.setup(backend.State{})
		if got := a.frozen(); got != "" {
			t.Errorf("frozen %q", got)
		}
	})
	t.Run("unknown site", func(t *testing.T) {
		a := newArray(t)
		wantKind(t, a.Setup(t.Context(), backend.State{Active: "site-x"}), cinder.KindInvalid)
		if _, err := os.Stat(a.root); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("directories were made: %v", err)
		}
	})
	t.Run("a new target gets its directory, a lost active site does not", func(t *testing.T) {
		a := newArray(t).setup(backend.State{Active: "site-b"})
		a.lose("site-b")
		a.lose("site-c")
		a.setup(backend.State{Active: "site-b"})
		entries, err := os.ReadDir(a.root)
		if err != nil || len(entries) != 2 || entries[0].Name() != "default" || entries[1].Name() != "site-c" {
			t.Errorf("sites %v, %v; want default and site-c", entries, err)
		}
	})
	t.Run("a root that cannot be", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		a := newArray(t, func(o *mirror.Options) { o.Root = filepath.Join(file, "alpha") })
		wantKind(t, a.Setup(t.Context(), backend.State{}), cinder.KindInternal)
	})
}

func TestNothingBeforeSetup(t *testing.T) {
	a := newArray(t)
	for name, do := range map[string]func(context.Context) error{
		"freeze": a.Freeze, "thaw": a.Thaw, "replicate": a.Replicate,
		"failover": func(ctx context.Context) error { _, err := a.Failover(ctx, nil); return err },
	} {
		t.Run(name, func(t *testing.T) { wantKind(t, do(t.Context()), cinder.KindUnavailable) })
	}
	if s, err := a.Stats(t.Context()); err != nil || s.Pools[0].Up {
		t.Errorf("stats %+v, %v; want a pool that is down", s, err)
	}
}

func TestNotReplicated(t *testing.T) {
	a := newArray(t, func(o *mirror.Options) { o.Targets = nil }).setup(backend.State{})
	for _, target := range []*string{nil, new("default"), new("site-b")} {
		_, err := a.Failover(t.Context(), target)
		wantKind(t, err, cinder.KindInvalid)
	}
	if err := a.Replicate(t.Context()); err != nil {
		t.Error(err)
	}
	if s, err := a.Stats(t.Context()); err != nil || s.Replicated() || !s.Pools[0].Up {
		t.Errorf("stats %+v, %v; want a pool that is up and not replicated", s, err)
	}
}

func TestStats(t *testing.T) {
	a := newArray(t).setup(backend.State{})
	a.write("default/volume-1", "", 0)
	if err := os.Truncate(filepath.Join(a.root, "default", "volume-1"), 3<<29); err != nil {
		t.Fatal(err)
	}
	s, err := a.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := s.Pools[0]
	if p.TotalGB <= 0 || p.FreeGB < 0 || p.FreeGB > p.TotalGB {
		t.Errorf("%v GB free of %v", p.FreeGB, p.TotalGB)
	}
	s.Pools[0].TotalGB, s.Pools[0].FreeGB = 0, 0
	want := backend.Stats{
		Name: "alpha", Vendor: "Stoker", Version: "1.0", Protocol: "file", Targets: []string{"site-b", "site-c"},
		Pools: []backend.Pool{{Name: "alpha", UsedGB: 1.5, Up: true}},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	a.lose("default")
	if s, err := a.Stats(t.Context()); err != nil || s.Pools[0].Up {
		t.Errorf("stats of a lost site: %+v, %v; want a pool that is down", s, err)
	}
}
