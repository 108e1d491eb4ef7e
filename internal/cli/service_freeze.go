package cli

import (
	"context"

	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type serviceFreezeCmd struct {
	target
	clientFlags
}

// Help is shown by --help.
func (serviceFreezeCmd) Help() string {
	return `The backend is told to change nothing that it holds, and the service is disabled until it is thawed. Waits until the backend has answered.

Examples:

  stoker service freeze stor1@alpha
  stoker service freeze --cluster mycluster@alpha`
}

// Run runs it.
func (c *serviceFreezeCmd) Run(ctx context.Context, p Process) error {
	t, err := c.target.target()
	if err != nil {
		return err
	}
	return c.call(ctx, p, func(api *client.Client) error {
		change, err := api.Freeze(ctx, t)
		if err != nil {
			return err
		}
		return c.printChange(p, append(c.record(), format.Field{Name: "frozen", Value: true}), change)
	})
}
