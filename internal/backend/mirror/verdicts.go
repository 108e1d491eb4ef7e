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

// Verdicts finds the volumes that the active site has not: those that another
// site has, or may have because it cannot be reached. It fails when the active
// site cannot be read.
func (b *Backend) Verdicts(ctx context.Context, volumes []cinder.Volume) (map[string]backend.Verdict, error) {
	active := b.where()
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
		if name != filepath.Base(name) { // no file of ours
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

// holds says whether a site has a volume. It fails when the site cannot be read.
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
