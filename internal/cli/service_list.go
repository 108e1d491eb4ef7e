package cli

import (
	"context"

	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type serviceListCmd struct {
	Host   string `placeholder:"HOST" help:"Only services on HOST, or the one on HOST@BACKEND."`
	Binary string `placeholder:"BINARY" help:"Only these: cinder-volume, cinder-backup or cinder-scheduler."`
	Long   bool   `help:"Show replication too."`
	clientFlags
}

// Help is shown by --help.
func (serviceListCmd) Help() string {
	return `Examples:

  stoker service list
  stoker service list --binary cinder-volume --long
  stoker service list --host stor1@alpha -o json`
}

// Run runs it.
func (c *serviceListCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		services, err := api.Services(ctx, client.ServiceFilter{Host: c.Host, Binary: c.Binary})
		if err != nil {
			return err
		}
		return c.print(p, services, serviceTable(services, c.Long))
	})
}

func serviceTable(services []client.Service, long bool) format.Table {
	t := format.Table{Header: []string{"Binary", "Host", "Zone", "Status", "State", "Updated At", "Cluster", "Disabled Reason", "Backend State"}}
	if long {
		t.Header = append(t.Header, "Replication Status", "Active Backend ID", "Frozen")
	}
	for _, s := range services {
		row := []string{
			s.Binary, s.Host, s.Zone, s.Status, s.State, timeCell(s.UpdatedAt),
			format.Cell(s.Cluster), format.Cell(s.DisabledReason), format.Cell(s.BackendState),
		}
		if long {
			row = append(row, format.Cell(s.ReplicationStatus), format.Cell(s.ActiveBackendID), format.Cell(s.Frozen))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func timeCell(t *client.Time) string {
	if t == nil {
		return "-"
	}
	return t.String()
}
