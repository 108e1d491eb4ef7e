package cli

import (
	"context"
	"strings"

	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type serviceTargetsCmd struct {
	Host    string `arg:"" optional:"" help:"Only services on HOST, or the one on HOST@BACKEND."`
	Cluster string `placeholder:"NAME" help:"Only the members of this cluster."`
	clientFlags
}

// Help is shown by --help.
func (serviceTargetsCmd) Help() string {
	return `Shows the sites that each volume service announced, and whether it takes no other: drivers of Cinder may announce other names than they accept. default, the way back, is always one.

Examples:

  stoker service targets
  stoker service targets stor1@alpha -o json`
}

// Run runs it.
func (c *serviceTargetsCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		all, err := api.Destinations(ctx, client.Target{Host: c.Host, Cluster: c.Cluster})
		if err != nil {
			return err
		}
		t := format.Table{Header: []string{"Host", "Cluster", "Replication Status", "Active Backend ID", "Targets", "Complete"}}
		for _, d := range all {
			t.Rows = append(t.Rows, []string{
				d.Host, format.Cell(d.Cluster), d.ReplicationStatus, format.Cell(d.ActiveBackendID),
				strings.Join(d.Targets, ", "), format.Cell(&d.Complete),
			})
		}
		return c.print(p, all, t)
	})
}
