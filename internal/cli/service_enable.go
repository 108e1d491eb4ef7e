package cli

import (
	"context"

	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type serviceEnableCmd struct {
	service
	clientFlags
}

// Help is shown by --help.
func (serviceEnableCmd) Help() string {
	return `Ends what an administrator or a failover disabled. A frozen service is refused: thaw it.

Examples:

  stoker service enable stor1@alpha
  stoker service enable stor1 cinder-backup`
}

// Run runs it.
func (c *serviceEnableCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		change, err := api.Enable(ctx, c.Host, c.Binary)
		if err != nil {
			return err
		}
		return c.printChange(p, format.Record{
			{Name: "host", Value: c.Host}, {Name: "binary", Value: c.Binary}, {Name: "status", Value: "enabled"},
		}, change)
	})
}
