package cli

import (
	"context"

	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type clusterListCmd struct {
	Name     string `placeholder:"NAME" help:"Only the cluster CLUSTER@BACKEND."`
	Binary   string `placeholder:"BINARY" help:"Only clusters of this service."`
	Up       bool   `xor:"up" help:"Only clusters that are up."`
	Down     bool   `xor:"up" help:"Only clusters that are down."`
	Enabled  bool   `xor:"enabled" help:"Only enabled ones."`
	Disabled bool   `xor:"enabled" help:"Only disabled ones."`
	Long     bool   `help:"Show everything there is to know."`
	clientFlags
}

// Help is shown by --help.
func (clusterListCmd) Help() string {
	return `Examples:

  stoker cluster list
  stoker cluster list --down --long`
}

// Run runs it.
func (c *clusterListCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		filter := client.ClusterFilter{Name: c.Name, Binary: c.Binary, Up: either(c.Up, c.Down), Disabled: either(c.Disabled, c.Enabled)}
		clusters, err := api.Clusters(ctx, filter, c.Long)
		if err != nil {
			return err
		}
		return c.print(p, clusters, clusterTable(clusters, c.Long))
	})
}

// either is which of two flags that exclude each other is set, nil when none is.
func either(yes, no bool) *bool {
	if yes == no {
		return nil
	}
	return &yes
}

func clusterTable(clusters []client.Cluster, long bool) format.Table {
	t := format.Table{Header: []string{"Name", "Binary", "State", "Status", "Replication Status"}}
	if long {
		t.Header = append(t.Header, "Hosts", "Down Hosts", "Last Heartbeat", "Disabled Reason", "Active Backend ID", "Frozen")
		t.Right = []int{5, 6}
	}
	for _, c := range clusters {
		row := []string{c.Name, c.Binary, c.State, c.Status, format.Cell(c.ReplicationStatus)}
		if long {
			row = append(row, format.Cell(c.NumHosts), format.Cell(c.NumDownHosts), timeCell(c.LastHeartbeat),
				format.Cell(c.DisabledReason), format.Cell(c.ActiveBackendID), format.Cell(c.Frozen))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
