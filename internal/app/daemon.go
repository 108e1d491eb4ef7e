package app

import (
	"net/url"
	"path/filepath"

	"stoker/internal/config"
)

// VolumeServices are those that c describes: one for each of enabled_backends.
func VolumeServices(c config.Config) []Volume {
	services := make([]Volume, len(c.Backends))
	for i, b := range c.Backends {
		v := Volume{Host: c.Host + "@" + b.Section, Name: b.Name, Root: b.MirrorRoot}
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

// VolumeLock is the file that keeps a second process with the volume services of
// c away: both would take every other command.
func VolumeLock(c config.Config) string { return mirrorDir(c, c.Host+".lock") }

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
