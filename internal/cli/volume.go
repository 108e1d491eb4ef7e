package cli

import "context"

type volumeCmd struct{ daemonFlags }

// Help is shown by --help.
func (volumeCmd) Help() string {
	return `Runs one volume service for each of enabled_backends, HOST@BACKEND, each with a mirror backend: directories under state_path that are replicated to those of its replication_device lines. volume_driver is not looked at. With cluster, they are members of CLUSTER@BACKEND. Any cinder-api, Stoker's or Cinder's, commands them over the bus of transport_url.

Example:

  stoker volume --config-file /etc/cinder/cinder.conf`
}

// Run runs it.
func (c *volumeCmd) Run(ctx context.Context, p Process, d Deps) error {
	return c.run(ctx, p, d, ProgramVolume)
}
