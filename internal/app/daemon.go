package app

import (
	"cmp"
	"net/url"
	"path/filepath"
	"slices"

	"stoker/internal/config"
)

// VolumeServices are those that c describes: one for each of enabled_backends.
func VolumeServices(c config.Config) []Volume {
	services := make([]Volume, len(c.Backends))
	for i, b := range c.Backends {
		v := Volume{Host: cmp.Or(b.Host, c.Host) + "@" + b.Section, Zone: b.Zone, Name: b.Name, Root: b.MirrorRoot}
		if c.Cluster != "" {
			v.Cluster = c.Cluster + "@" + b.Section
		}
		if v.Root == "" {
			v.Root = mirrorDir(c, v.queueHost())
		}
		for _, d := range b.ReplicationDevices {
			v.Targets = append(v.Targets, d.BackendID)
		}
		services[i] = v
	}
	return services
}

// VolumeLocks are the files that keep a second process with volume services of c
// away: both would take every other command. There is one for each of their hosts.
func VolumeLocks(c config.Config) []string {
	var locks []string
	for _, b := range c.Backends {
		locks = append(locks, mirrorDir(c, cmp.Or(b.Host, c.Host)+".lock"))
	}
	slices.Sort(locks)
	return slices.Compact(locks)
}

// mirrorDir is where mirror backends keep what belongs to name, which may not be
// fit for a file's. The members of a cluster share theirs.
func mirrorDir(c config.Config, name string) string {
	return filepath.Join(c.StatePath, "mirror", url.PathEscape(name))
}

// queueHost is the name of the service's backend: the cluster's or the host's.
func (v Volume) queueHost() string {
	if v.Cluster != "" {
		return v.Cluster
	}
	return v.Host
}
