package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"stoker/internal/backend"
	"stoker/internal/cinder"
)

// refusalFile has the message with which the backend refuses to thaw.
const refusalFile = "refuse-thaw"

// maxRefusal bounds that message, in bytes.
const maxRefusal = 1024

// Options configure a backend.
type Options struct {
	Name    string   // volume_backend_name, and the name of its only pool
	Root    string   // the directory that contains the sites' directories
	Targets []string // the secondary sites, in order of preference; none when not replicated
	Log     *slog.Logger

	// RefuseThaw is written to the file refuse-thaw when the root is first created,
	// unless it is "". Removing the file ends the refusal for good.
	RefuseThaw string
}

// Backend is a storage backend of directories. It is safe for concurrent use.
type Backend struct {
	o Options

	// copying holds a token while nobody copies between sites.
	copying chan struct{}

	mu     sync.Mutex // guards the fields below, and the permissions of the directories
	active string     // name of the active site; "" before Setup
	frozen bool
}

// New returns a backend. KindInvalid when a name cannot be a site's.
func New(o Options) (*Backend, error) {
	seen := map[string]bool{cinder.FailbackTarget: true, refusalFile: true}
	for _, t := range o.Targets {
		if seen[t] || t == "" || strings.HasPrefix(t, ".") || strings.ContainsAny(t, `/\`) {
			return nil, cinder.Errorf(cinder.KindInvalid,
				"%q cannot be a replication target of backend %s: it is taken, or no name for a directory.", t, o.Name)
		}
		seen[t] = true
	}
	b := &Backend{o: o, copying: make(chan struct{}, 1)}
	b.copying <- struct{}{}
	return b, nil
}

// Setup creates directories that never existed, and freezes or thaws the active one as
// the row says, regardless of refusals. It does not recreate an active directory that
// has disappeared, since its volumes would seem lost: the backend is down.
func (b *Backend) Setup(_ context.Context, s backend.State) error {
	site, err := b.site(s.Active)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.makeDirs(site); err != nil {
		return fmt.Errorf("set up backend %s: %w", b.o.Name, err)
	}
	b.active, b.frozen = site, s.Frozen
	if err := b.setReadOnly(site, s.Frozen); err != nil {
		b.o.Log.Error("active site unreachable", "backend", b.o.Name, "site", site, "error", err)
	}
	return nil
}

// makeDirs creates the root with everything in it if it is empty, else the directories
// of new targets.
func (b *Backend) makeDirs(active string) error {
	entries, err := os.ReadDir(b.o.Root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	first := len(entries) == 0
	for _, name := range append([]string{cinder.FailbackTarget}, b.o.Targets...) {
		if !first && (name == active || name == cinder.FailbackTarget) {
			continue
		}
		if err := os.MkdirAll(b.dir(name), 0o700); err != nil {
			if name == active {
				return err
			}
			b.o.Log.Error("inactive site unreachable", "backend", b.o.Name, "site", name, "error", err)
		}
	}
	if first && b.o.RefuseThaw != "" {
		return os.WriteFile(filepath.Join(b.o.Root, refusalFile), []byte(b.o.RefuseThaw+"\n"), 0o600)
	}
	return nil
}

// Freeze makes the active directory read-only.
func (b *Backend) Freeze(context.Context) error { return b.setFrozen(true) }

// Thaw makes it writable again. KindConflict while the file refuse-thaw exists.
func (b *Backend) Thaw(context.Context) error {
	words, err := b.refusal()
	if err != nil {
		return err
	}
	if words != "" {
		return cinder.Errorf(cinder.KindConflict, "%s", words)
	}
	return b.setFrozen(false)
}

func (b *Backend) setFrozen(frozen bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.active == "" {
		return errNotSetUp()
	}
	if err := b.setReadOnly(b.active, frozen); err != nil {
		return err
	}
	b.frozen = frozen
	return nil
}

// refusal is why the backend refuses to thaw; "" when it does not.
func (b *Backend) refusal() (string, error) {
	f, err := os.Open(filepath.Join(b.o.Root, refusalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	words := make([]byte, maxRefusal)
	n, err := f.Read(words)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if text := strings.TrimSpace(strings.ToValidUTF8(string(words[:n]), "")); text != "" {
		return text, nil
	}
	return "The backend refuses to thaw.", nil
}

// setReadOnly removes or restores the write permission of a site's directory.
func (b *Backend) setReadOnly(site string, frozen bool) error {
	info, err := os.Stat(b.dir(site))
	if err != nil {
		return err
	}
	mode := info.Mode().Perm() | 0o200
	if frozen {
		mode &^= 0o222
	}
	return os.Chmod(b.dir(site), mode)
}

// site returns the site's directory name, from its name in rows and commands.
func (b *Backend) site(active string) (string, error) {
	if active == "" || active == cinder.FailbackTarget {
		return cinder.FailbackTarget, nil
	}
	if slices.Contains(b.o.Targets, active) {
		return active, nil
	}
	return "", cinder.Errorf(cinder.KindInvalid, "Backend %s has no replication target %q.", b.o.Name, active)
}

func (b *Backend) dir(site string) string { return filepath.Join(b.o.Root, site) }

func errNotSetUp() error {
	return cinder.Errorf(cinder.KindUnavailable, "The backend is not set up.")
}
