package cli

import (
	"context"

	"stoker/internal/client"
)

type clusterDisableCmd struct {
	clusterName
	Reason string `placeholder:"TEXT" help:"Why, for others to read: at most 255 characters."`
	clientFlags
}

// Help is shown by --help.
func (clusterDisableCmd) Help() string {
	return `Example:

  stoker cluster disable mycluster@alpha --reason "new firmware"`
}

// Run runs it.
func (c *clusterDisableCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		cluster, change, err := api.DisableCluster(ctx, c.Name, c.Binary, c.Reason)
		if err != nil {
			return err
		}
		return c.printChange(p, clusterRecord(cluster), change)
	})
}
