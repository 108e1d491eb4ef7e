package cli

import (
	"context"

	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type operationListCmd struct {
	Host    string `placeholder:"HOST" help:"Only what was done to HOST, its backends included."`
	Cluster string `placeholder:"NAME" help:"Only what was done to the cluster CLUSTER@BACKEND."`
	Kind    string `placeholder:"KIND" help:"Only these: enable, disable, freeze, thaw, failover, enable-cluster, disable-cluster, set-log, restore-disable, reconcile or failover-completed."`
	State   string `placeholder:"STATE" help:"Only those that are open, monitoring, done, rolled-back or failed."`
	User    string `placeholder:"ID" help:"Only what this user has asked for."`
	Since   string `placeholder:"TIME" help:"Only what was begun then or later: YYYY-MM-DDTHH:MM:SS, UTC."`
	Before  string `placeholder:"TIME" help:"Only what was begun before then."`
	Limit   int    `placeholder:"N" default:"50" help:"At most N (default: 50)."`
	clientFlags
}

// Help is shown by --help.
func (operationListCmd) Help() string {
	return `An operation is open until its outcome is known. One that nobody answered is rolled back, and monitored: should a process that hung carry it out late, that is undone.

Examples:

  stoker operation list
  stoker operation list --host stor1@alpha --limit 5
  stoker operation list --kind failover --state open`
}

// Run runs it.
func (c *operationListCmd) Run(ctx context.Context, p Process) error {
	if c.Limit < 1 {
		return usageError{"--limit must be at least 1"}
	}
	return c.call(ctx, p, func(api *client.Client) error {
		ops, err := api.Operations(ctx, client.OperationFilter{
			Host: c.Host, Cluster: c.Cluster, Kind: c.Kind, State: c.State, UserID: c.User, Since: c.Since, Before: c.Before, Limit: c.Limit,
		})
		if err != nil {
			return err
		}
		t := format.Table{Header: []string{"ID", "Started At", "Kind", "Target", "State", "User", "Detail", "Outcome"}}
		for _, op := range ops {
			t.Rows = append(t.Rows, []string{
				op.ID, timeCell(op.StartedAt), op.Kind, targetCell(op), stateCell(op), op.Caller.UserID, op.Detail, op.Outcome,
			})
		}
		return c.print(p, ops, t)
	})
}
