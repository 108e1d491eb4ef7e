package cli

import (
	"context"

	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type clusterShowCmd struct {
	clusterName
	clientFlags
}

// Help is shown by --help.
func (clusterShowCmd) Help() string {
	return `Example:

  stoker cluster show mycluster@alpha`
}

// Run runs it.
func (c *clusterShowCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		cluster, err := api.Cluster(ctx, c.Name, c.Binary)
		if err != nil {
			return err
		}
		r := append(clusterRecord(cluster), format.Record{
			{Name: "active_backend_id", Value: cluster.ActiveBackendID},
			{Name: "frozen", Value: cluster.Frozen},
			{Name: "num_hosts", Value: cluster.NumHosts},
			{Name: "num_down_hosts", Value: cluster.NumDownHosts},
			{Name: "last_heartbeat", Value: timeCell(cluster.LastHeartbeat)},
			{Name: "created_at", Value: timeCell(cluster.CreatedAt)},
			{Name: "updated_at", Value: timeCell(cluster.UpdatedAt)},
		}...)
		return c.print(p, cluster, r.Table())
	})
}
