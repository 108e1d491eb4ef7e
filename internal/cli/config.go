package cli

import (
	"fmt"

	"stoker/internal/cinder"
	"stoker/internal/config"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Say everything that is wrong with a configuration, and what of it is ignored."`
}

type configCheckCmd struct {
	configFlags
	For string `placeholder:"PROGRAM" enum:"all,api,volume,scheduler,backup" default:"all" help:"What the configuration is for: api, volume, scheduler or backup (default: all of them)."`
}

// Help is shown by --help.
func (configCheckCmd) Help() string {
	return `Reads the files and nothing else: no database and no bus is connected to. Faults are on standard error, a line each, and make the exit status 1; the options that Stoker ignores are on standard output. Passwords are in neither.

Examples:

  stoker config check --config-file /etc/cinder/cinder.conf
  stoker config check --config-file /etc/cinder/cinder.conf --for volume`
}

// Run runs it.
func (c *configCheckCmd) Run(p Process) error {
	use := config.ForAll
	if c.For != "all" {
		use = Program(c.For).use()
	}
	files, err := c.files()
	if err != nil {
		return err
	}
	conf, faults := config.Check(files, p.Env, use)
	ignored := conf.Unknown()
	for _, i := range ignored {
		if _, err := fmt.Fprintln(p.Stdout, oneLine("ignored: "+i.String())); err != nil {
			return cinder.Wrap(cinder.KindUnavailable, err, "standard output")
		}
	}
	if len(faults) > 0 {
		return faults
	}
	_, err = fmt.Fprintf(p.Stdout, "No faults; %d options ignored.\n", len(ignored))
	return err
}
