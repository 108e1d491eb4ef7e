package cli

import (
	"errors"
	"fmt"
	"io"

	"stoker/internal/cinder"
	"stoker/internal/config"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Say everything that is wrong with a configuration, and what of it is ignored."`
}

type configCheckCmd struct {
	configFlags
	All bool   `help:"List the ignored options that are harmless as well."`
	For string `placeholder:"PROGRAM" enum:"all,api,volume,scheduler,backup" default:"all" help:"What the configuration is for: api, volume, scheduler or backup (default: all of them)."`
}

// Help is shown by --help.
func (configCheckCmd) Help() string {
	return `Reads the files and nothing else: no database and no bus is connected to. Faults come first, on standard error, a line each, and make the exit status 1. Then, on standard output, warnings of what is allowed and unlikely to be meant, what has to stand beside the API, and the options that Stoker ignores although it behaves otherwise than they ask, a line each, and how many others it ignores; --all lists those too. Passwords are in neither.

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
	if len(faults) > 0 {
		reportFaults(p.Stderr, faults)
	}
	for _, w := range conf.Warnings(use) {
		if _, err := fmt.Fprintln(p.Stdout, oneLine("warning: "+w.String())); err != nil {
			return cinder.Wrap(cinder.KindUnavailable, err, "standard output")
		}
	}
	if note := conf.Alone(use); note != "" && len(faults) == 0 {
		if _, err := fmt.Fprintln(p.Stdout, "note: "+note); err != nil {
			return cinder.Wrap(cinder.KindUnavailable, err, "standard output")
		}
	}
	if err := c.ignored(p.Stdout, conf.Unknown(use)); err != nil {
		return cinder.Wrap(cinder.KindUnavailable, err, "standard output")
	}
	switch len(faults) {
	case 0:
		_, err = fmt.Fprintln(p.Stdout, "No faults.")
		return err
	case 1:
		return errors.New("1 fault")
	default:
		return fmt.Errorf("%d faults", len(faults))
	}
}

// ignored lists the options that matter, or all of them, and says how many there are.
func (c *configCheckCmd) ignored(w io.Writer, options []config.Ignored) error {
	matter := 0
	for _, i := range options {
		line := "ignored, harmless: "
		if i.Matters {
			line = "ignored: "
			matter++
		}
		if !i.Matters && !c.All {
			continue
		}
		if _, err := fmt.Fprintln(w, oneLine(line+i.String())); err != nil {
			return err
		}
	}
	if len(options) == 0 {
		return nil
	}
	more := ""
	if harmless := len(options) - matter; harmless > 0 && !c.All {
		more = " (--all lists them)"
	}
	_, err := fmt.Fprintf(w, "Ignored options that matter: %d; harmless ones: %d%s.\n", matter, len(options)-matter, more)
	return err
}
