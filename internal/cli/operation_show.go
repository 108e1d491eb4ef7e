package cli

import (
	"context"

	"stoker/internal/client"
)

type operationShowCmd struct {
	ID string `arg:"" help:"The operation."`
	clientFlags
}

// Help is shown by --help.
func (operationShowCmd) Help() string {
	return `Every change prints the id of its operation; the API sends it in the header X-Stoker-Operation.

Example:

  stoker operation show 01a20f57-21b6-724d-92b9-2ea12d257a10`
}

// Run runs it.
func (c *operationShowCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		op, err := api.Operation(ctx, c.ID)
		if err != nil {
			return err
		}
		return c.print(p, op, operationRecord(op).Table())
	})
}
