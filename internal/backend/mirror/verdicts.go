package mirror

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"stoker/internal/backend"
	"stoker/internal/cinder"
)

// Verdicts returns verdicts for the volumes that are missing at the active site while
// another site has them, or may have them because it is unreachable. It fails when the
// active site is unreadable.
func (b *Backend) Verdicts(ctx context.Context, volumes []cinder.Volume) (map[string]backend.Verdict, error) {
	active := b.activeSite()
	if active == "" {
		return nil, errNotSetUp()
	}
	others := slices.DeleteFunc(append([]string{cinder.FailbackTarget}, b.o.Targets...), func(site string) bool { return site == active })
	verdicts := map[string]backend.Verdict{}
	for i := range volumes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name := volumes[i].Name
		if name != filepath.Base(name) { // not a file of ours
			continue
		}
		here, err := b.holds(active, name)
		if err != nil {
			return nil, err
		}
		if here {
			continue
		}
		if slices.ContainsFunc(others, func(site string) bool { held, err := b.holds(site, name); return held || err != nil }) {
			verdicts[volumes[i].ID] = backend.Verdict{Lost: true}
		}
	}
	return verdicts, nil
}

// holds reports whether a site has a volume. It fails when the site is unreachable.
func (b *Backend) holds(site, name string) (bool, error) {
	if !b.reachable(site) {
		return false, cinder.Errorf(cinder.KindUnavailable, "Site %s of backend %s cannot be reached.", site, b.o.Name)
	}
	info, err := os.Stat(filepath.Join(b.dir(site), name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Mode().IsRegular(), err
}
