package cli

import "context"

type backupCmd struct{ daemonFlags }

// Help is shown by --help.
func (backupCmd) Help() string {
	return `Runs a backup service that registers, beats and takes log levels. It makes no backups.

Example:

  stoker backup --config-file /etc/cinder/cinder.conf`
}

// Run runs it.
func (c *backupCmd) Run(ctx context.Context, p Process, d Deps) error {
	return c.run(ctx, p, d, ProgramBackup)
}
