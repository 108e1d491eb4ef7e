package cli

import (
	"context"

	"stoker/internal/client"
)

type clusterEnableCmd struct {
	clusterName
	clientFlags
}

// Help is shown by --help.
func (clusterEnableCmd) Help() string {
	return `Example:

  stoker cluster enable mycluster@alpha`
}

// Run runs it.
func (c *clusterEnableCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		cluster, change, err := api.EnableCluster(ctx, c.Name, c.Binary)
		if err != nil {
			return err
		}
		return c.printChange(p, clusterRecord(cluster), change)
	})
}
