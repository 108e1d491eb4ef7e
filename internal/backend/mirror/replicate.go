package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"stoker/internal/cinder"
)

// copyChunk is how many bytes are copied between checks of the context.
const copyChunk = 4 << 20

// Failover makes another site active. If the current one is reachable, it replicates to
// the new one first; it waits for a running replication. KindInvalid when there is no
// such target, or none at all.
func (b *Backend) Failover(ctx context.Context, target *string) (string, error) {
	from := b.activeSite()
	if from == "" {
		return "", errNotSetUp()
	}
	to, err := b.choose(from, target)
	if err != nil {
		return "", err
	}
	if to != from {
		err = b.catchUp(ctx, from, to)
	}
	if err == nil {
		err = b.use(to)
	}
	if err != nil {
		return "", fmt.Errorf("fail backend %s over from %s to %s: %w", b.o.Name, from, to, err)
	}
	return activeID(to), nil
}

// FailoverCompleted uses the site that another member of the cluster made active.
func (b *Backend) FailoverCompleted(_ context.Context, active string) error {
	site, err := b.site(active)
	if err != nil {
		return err
	}
	return b.use(site)
}

// choose returns the site to fail over to: the target or, without one, the first that
// is reachable.
func (b *Backend) choose(active string, target *string) (string, error) {
	if len(b.o.Targets) == 0 {
		return "", cinder.Errorf(cinder.KindInvalid, "Backend %s is not replicated.", b.o.Name)
	}
	if target != nil {
		return b.site(*target)
	}
	for _, t := range b.o.Targets {
		if t != active && b.reachable(t) {
			return t, nil
		}
	}
	return "", fmt.Errorf("no replication target of backend %s can be reached", b.o.Name)
}

// catchUp updates a site before it becomes the active one.
func (b *Backend) catchUp(ctx context.Context, from, to string) error {
	if !b.reachable(to) {
		return errors.New("the site cannot be reached")
	}
	if !b.reachable(from) {
		b.o.Log.Warn("active site unreachable; changes since the last replication stay behind",
			"backend", b.o.Name, "site", from)
		return nil
	}
	done, err := b.acquire(ctx)
	if err != nil {
		return err
	}
	defer done()
	return b.sync(ctx, from, to)
}

// use makes site the active one. It takes over the frozen state of the previous one,
// which becomes a mere copy and so writable.
func (b *Backend) use(site string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.setReadOnly(site, b.frozen); err != nil {
		return err
	}
	if b.active != "" && b.active != site && b.reachable(b.active) {
		if err := b.setReadOnly(b.active, false); err != nil {
			b.o.Log.Warn("previously active site could not be unfrozen", "backend", b.o.Name, "site", b.active, "error", err)
		}
	}
	b.active = site
	return nil
}

// Replicate copies changes at the active site to all others. An unreachable site does
// not prevent copies to the rest.
func (b *Backend) Replicate(ctx context.Context) error {
	if len(b.o.Targets) == 0 {
		return nil
	}
	done, err := b.acquire(ctx)
	if err != nil {
		return err
	}
	defer done()
	active := b.activeSite()
	if active == "" {
		return errNotSetUp()
	}
	var errs []error
	for _, site := range append([]string{cinder.FailbackTarget}, b.o.Targets...) {
		if site == active {
			continue
		}
		if err := b.sync(ctx, active, site); err != nil {
			errs = append(errs, fmt.Errorf("replicate backend %s to %s: %w", b.o.Name, site, err))
		}
	}
	return errors.Join(errs...)
}

// sync copies new and newer files from one site to another.
func (b *Backend) sync(ctx context.Context, from, to string) error {
	entries, err := os.ReadDir(b.dir(from))
	if err != nil {
		return err
	}
	copied := 0
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		done, err := b.copyVolume(ctx, filepath.Join(b.dir(from), e.Name()), filepath.Join(b.dir(to), e.Name()))
		if err != nil {
			return err
		}
		if done {
			copied++
		}
	}
	if copied > 0 {
		b.o.Log.Info("replication completed", "backend", b.o.Name, "from", from, "to", to, "volumes", copied)
	}
	return nil
}

// copyVolume copies a file unless the other site has one as new. The copy replaces the
// old one atomically, once it is on disk, and has the original's modification time.
func (b *Backend) copyVolume(ctx context.Context, from, to string) (bool, error) {
	src, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // removed since the directory was read
	}
	if err != nil {
		return false, err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return false, err
	}
	if newer(to, info) {
		return false, nil
	}
	part, err := os.CreateTemp(filepath.Dir(to), ".part-*")
	if err != nil {
		return false, err
	}
	if err := fill(ctx, part, src, info); err != nil {
		return false, errors.Join(err, os.Remove(part.Name()))
	}
	if newer(to, info) { // written meanwhile: the site has become the active one
		return false, os.Remove(part.Name())
	}
	if err := os.Rename(part.Name(), to); err != nil {
		return false, errors.Join(err, os.Remove(part.Name()))
	}
	return true, nil
}

// newer reports whether the file at to is at least as new as the original.
func newer(to string, original fs.FileInfo) bool {
	there, err := os.Stat(to)
	return err == nil && !original.ModTime().After(there.ModTime())
}

// fill writes a copy of src, with its mode and time, to disk and closes it.
func fill(ctx context.Context, dst, src *os.File, info fs.FileInfo) error {
	var err error
	for err == nil {
		if err = ctx.Err(); err == nil {
			_, err = io.CopyN(dst, src, copyChunk)
		}
	}
	if errors.Is(err, io.EOF) {
		err = dst.Chmod(info.Mode().Perm())
	}
	if err == nil {
		err = dst.Sync()
	}
	if err = errors.Join(err, dst.Close()); err != nil {
		return err
	}
	return os.Chtimes(dst.Name(), info.ModTime(), info.ModTime())
}

// activeSite is the active site; "" before Setup.
func (b *Backend) activeSite() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.active
}

// acquire waits for the exclusive right to copy between sites.
func (b *Backend) acquire(ctx context.Context) (done func(), err error) {
	select {
	case <-b.copying:
		return func() { b.copying <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// reachable reports whether a site's directory exists.
func (b *Backend) reachable(site string) bool {
	info, err := os.Stat(b.dir(site))
	return err == nil && info.IsDir()
}

// activeID is a site's name in rows.
func activeID(site string) string {
	if site == cinder.FailbackTarget {
		return ""
	}
	return site
}
