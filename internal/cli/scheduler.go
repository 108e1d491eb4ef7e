package cli

import "context"

type schedulerCmd struct{ daemonFlags }

// Help is shown by --help.
func (schedulerCmd) Help() string {
	return `Runs a scheduler: it hears what volume services tell of themselves and answers get_pools. It places no volumes: keep a cinder-scheduler where volumes are made.

Example:

  stoker scheduler --config-file /etc/cinder/cinder.conf`
}

// Run runs it.
func (c *schedulerCmd) Run(ctx context.Context, p Process, d Deps) error {
	return c.run(ctx, p, d, ProgramScheduler)
}
