package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"unicode/utf8"

	"stoker/internal/cinder"
)

type standaloneCmd struct {
	Dir    string `placeholder:"DIR" default:"${data_dir}" help:"Where the database and the backends' directories are kept (default: ${data_dir})."`
	Listen string `placeholder:"HOST:PORT" default:"127.0.0.1:8776" help:"Where the API listens (default: 127.0.0.1:8776). Loopback only: callers are believed."`
	Fleet  int    `placeholder:"N" help:"Add N simulated volume services that beat like real ones."`
	logFlags
}

// Help is shown by --help.
func (standaloneCmd) Help() string {
	return `Runs the API, a scheduler, a backup service and three volume backends over a bus inside the process, with a SQLite database in DIR. Ctrl-C stops it; started again in the same DIR it is where it was.

Examples:

  stoker standalone
  stoker standalone --dir /tmp/demo --listen 127.0.0.1:9000
  stoker standalone --fleet 1000`
}

// maxFleet is how many simulated services one process may be asked for.
const maxFleet = 100_000

// Run runs it.
func (c *standaloneCmd) Run(ctx context.Context, p Process, d Deps) error {
	switch {
	case c.Dir == "":
		return usageError{"--dir is needed: neither XDG_DATA_HOME nor HOME is set"}
	case c.Fleet < 0 || c.Fleet > maxFleet:
		return usageError{fmt.Sprintf("--fleet must be from 0 to %d", maxFleet)}
	case d.Standalone == nil:
		return cinder.Errorf(cinder.KindNotSupported, "this build has no standalone server")
	}
	return d.Standalone(ctx, StandaloneOptions{Dir: c.Dir, Listen: c.Listen, Fleet: c.Fleet, Server: c.server(p)})
}

// dataDir is where programs keep their data by the XDG base directory rules; ""
// when the environment does not say whose program it is, in UTF-8.
func dataDir(env []string) string {
	p := Process{Env: env}
	if dir := p.env("XDG_DATA_HOME"); filepath.IsAbs(dir) && utf8.ValidString(dir) {
		return filepath.Join(dir, "stoker")
	}
	if home := p.env("HOME"); home != "" && utf8.ValidString(home) {
		return filepath.Join(home, ".local", "share", "stoker")
	}
	return ""
}
