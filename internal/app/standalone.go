package app

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"stoker/internal/cinder"
	"stoker/internal/config"
	"stoker/internal/dsn"
)

// standaloneHost is the host of the services of a standalone process. It is not
// the machine's, so that a directory can be moved to another one.
const standaloneHost = "stoker"

// Standalone are the options of a whole control plane in one process: its
// database and the directories of its backends are in dir, which is made when
// it is not there, and its API listens at listen, a loopback address with a port.
// KindInvalid when that is none.
func Standalone(dir, listen string, fleet int) (Options, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Options{}, fmt.Errorf("directory %s: %w", dir, err)
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return Options{}, cinder.Errorf(cinder.KindInvalid, "listen on %s: want HOST:PORT", listen)
	}
	c := config.Default()
	if c.ListenPort, err = strconv.Atoi(port); err != nil {
		return Options{}, cinder.Errorf(cinder.KindInvalid, "listen on %s: %q is no port", listen, port)
	}
	c.Host, c.Listen, c.AuthStrategy = standaloneHost, host, config.AuthNoauthProject
	c.StatePath = dir
	c.Policy.File, c.Policy.Dirs = "", nil // whatever Cinder's directory on this machine holds
	file, err := dsn.FileURL(filepath.Join(dir, "stoker.db"))
	if err != nil {
		return Options{}, err
	}
	c.Database = config.URL(file)
	if err := c.Validate(); err != nil {
		return Options{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Options{}, fmt.Errorf("the data directory cannot be made: %w", err)
	}
	volume := func(name string, targets ...string) Volume {
		return Volume{
			Host: standaloneHost + "@" + name, Name: name, Targets: targets, Root: filepath.Join(dir, "backends", name),
		}
	}
	gamma := volume("gamma", "site-z")
	gamma.RefuseThaw = "The array is rebuilding: remove the file refuse-thaw from the directory of the backend to let it thaw."
	return Options{
		Config: c, Locks: []string{filepath.Join(dir, "lock")}, Alone: true, Sync: true, API: true, Scheduler: true, Backup: true, Fleet: fleet,
		Volumes: []Volume{volume("alpha", "site-b", "site-c"), volume("beta"), gamma},
	}, nil
}
