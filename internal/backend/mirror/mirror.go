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

// refusalFile holds the words with which the backend refuses to thaw.
const refusalFile = "refuse-thaw"

// maxRefusal is how many bytes of those words are read.
const maxRefusal = 1024

// Options are what a backend is made of.
type Options struct {
	Name    string   // volume_backend_name, and that of its one pool
	Root    string   // the directory that holds the sites'
	Targets []string // the sites besides the primary one, best first; none when not replicated
	Log     *slog.Logger

	// RefuseThaw is written into the file refuse-thaw when the root is first
	// made; "" writes none. Removing the file ends the refusal for good.
	RefuseThaw string
}

// Backend is a backend of directories. It is safe for concurrent use.
type Backend struct {
	o Options

	// copying holds a token while nobody copies between sites.
	copying chan struct{}

	mu     sync.Mutex // guards what follows, and the permissions of the directories
	active string     // the active site's name; "" before Setup
	frozen bool
}

// New makes a backend. KindInvalid when a name cannot be a site's.
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

// Setup makes the directories that were never there, and freezes or thaws the
// active one as the row says, refusals notwithstanding. An active directory that
// is gone is not made again, for its volumes would seem lost: the backend is down.
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
	if err := b.lock(site, s.Frozen); err != nil {
		b.o.Log.Error("The active site cannot be reached.", "backend", b.o.Name, "site", site, "error", err)
	}
	return nil
}

// makeDirs makes the root with everything in it when there is none yet, else the
// directories of targets that are new.
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
			b.o.Log.Error("A site that is not in use cannot be reached.", "backend", b.o.Name, "site", name, "error", err)
		}
	}
	if first && b.o.RefuseThaw != "" {
		return os.WriteFile(filepath.Join(b.o.Root, refusalFile), []byte(b.o.RefuseThaw+"\n"), 0o600)
	}
	return nil
}

// Freeze takes the write permission from the active directory.
func (b *Backend) Freeze(context.Context) error { return b.setFrozen(true) }

// Thaw gives it back. KindConflict while the file refuse-thaw is there.
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
	if err := b.lock(b.active, frozen); err != nil {
		return err
	}
	b.frozen = frozen
	return nil
}

// refusal is why the backend does not thaw; "" when it does.
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

// lock takes the write permission from a site's directory, or gives it back.
func (b *Backend) lock(site string, frozen bool) error {
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

// site is the directory's name for what rows and commands call a site.
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
