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

// copyChunk is how many bytes are copied between two looks at the context.
const copyChunk = 4 << 20

// Failover makes another site active, after it has brought it up to date with
// the active one if that can be reached. It waits for a round of replication
// that is under way. KindInvalid when there is no such target, or none at all.
func (b *Backend) Failover(ctx context.Context, target *string) (string, error) {
	from := b.where()
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

// FailoverCompleted uses the site that another member of the cluster has made active.
func (b *Backend) FailoverCompleted(_ context.Context, active string) error {
	site, err := b.site(active)
	if err != nil {
		return err
	}
	return b.use(site)
}

// choose is the site to fail over to: the target or, without one, the first that
// can be reached.
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

// catchUp brings a site up to date before it becomes the active one.
func (b *Backend) catchUp(ctx context.Context, from, to string) error {
	if !b.reachable(to) {
		return errors.New("the site cannot be reached")
	}
	if !b.reachable(from) {
		b.o.Log.Warn("The active site cannot be reached: what was written there since the last replication stays behind.",
			"backend", b.o.Name, "site", from)
		return nil
	}
	done, err := b.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	return b.sync(ctx, from, to)
}

// use makes site the active one, as frozen as the one before, which is a mere
// copy from then on and so may be written to.
func (b *Backend) use(site string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.lock(site, b.frozen); err != nil {
		return err
	}
	if b.active != "" && b.active != site && b.reachable(b.active) {
		if err := b.lock(b.active, false); err != nil {
			b.o.Log.Warn("The site that was active before stays frozen.", "backend", b.o.Name, "site", b.active, "error", err)
		}
	}
	b.active = site
	return nil
}

// Replicate copies what changed at the active site to all others. One that
// cannot be reached does not keep the rest from it.
func (b *Backend) Replicate(ctx context.Context) error {
	if len(b.o.Targets) == 0 {
		return nil
	}
	done, err := b.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	active := b.where()
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

// sync copies what is new or newer at one site to another.
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
		b.o.Log.Info("Replicated.", "backend", b.o.Name, "from", from, "to", to, "volumes", copied)
	}
	return nil
}

// copyVolume copies a file unless the copy there is as new. The copy takes the
// place of the old one whole, once it is on disk, and has the original's time.
func (b *Backend) copyVolume(ctx context.Context, from, to string) (bool, error) {
	src, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // Removed since the directory was read.
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
	if newer(to, info) { // written there since: the site has become the active one
		return false, os.Remove(part.Name())
	}
	if err := os.Rename(part.Name(), to); err != nil {
		return false, errors.Join(err, os.Remove(part.Name()))
	}
	return true, nil
}

// newer says whether the file there is as new as the original, or newer.
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

// where is the active site; "" before Setup.
func (b *Backend) where() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.active
}

// alone waits until nobody else copies between sites.
func (b *Backend) alone(ctx context.Context) (done func(), err error) {
	select {
	case <-b.copying:
		return func() { b.copying <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// reachable says whether a site's directory is there.
func (b *Backend) reachable(site string) bool {
	info, err := os.Stat(b.dir(site))
	return err == nil && info.IsDir()
}

// activeID is what rows call a site.
func activeID(site string) string {
	if site == cinder.FailbackTarget {
		return ""
	}
	return site
}
