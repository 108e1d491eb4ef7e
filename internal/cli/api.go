package cli

import "context"

type apiCmd struct{ daemonFlags }

// Help is shown by --help.
func (apiCmd) Help() string {
	return `A cinder.conf does: options that stoker has no use for are ignored, see stoker config check. The database must have its schema: see stoker db sync. doc/deployment.md tells how to run it beside Cinder.

A configuration that starts:

  [DEFAULT]
  auth_strategy = noauth
  [database]
  connection = sqlite:////var/lib/stoker/stoker.sqlite

Examples:

  stoker api --config-file /etc/cinder/cinder.conf
  stoker api --config-file cinder.conf --config-file site.conf --debug`
}

// Run runs it.
func (c *apiCmd) Run(ctx context.Context, p Process, d Deps) error {
	return c.run(ctx, p, d, ProgramAPI)
}
