package cli

import (
	"context"

	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type serviceThawCmd struct {
	target
	clientFlags
}

// Help is shown by --help.
func (serviceThawCmd) Help() string {
	return `Ends a freeze and nothing else: a service that was disabled or failed over besides stays so. Waits until the backend has answered; one that refuses stays frozen.

Examples:

  stoker service thaw stor1@alpha
  stoker service thaw --cluster mycluster@alpha`
}

// Run runs it.
func (c *serviceThawCmd) Run(ctx context.Context, p Process) error {
	t, err := c.target.target()
	if err != nil {
		return err
	}
	return c.call(ctx, p, func(api *client.Client) error {
		change, err := api.Thaw(ctx, t)
		if err != nil {
			return err
		}
		return c.printChange(p, append(c.record(), format.Field{Name: "frozen", Value: false}), change)
	})
}
