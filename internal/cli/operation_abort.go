package cli

import (
	"context"

	"stoker/internal/client"
)

type operationAbortCmd struct {
	ID string `arg:"" help:"The operation."`
	clientFlags
}

// Help is shown by --help.
func (operationAbortCmd) Help() string {
	return `A failover is aborted, and the status put back, only when the service that may have it in hand is gone: else the answer says what to do. A service that starts ends by itself what it was at. A freeze or thaw is given up, and monitored, when the process that waited for its answer is gone.

Example:

  stoker operation abort 01a20f57-21b6-724d-92b9-2ea12d257a10`
}

// Run runs it.
func (c *operationAbortCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		op, err := api.AbortOperation(ctx, c.ID)
		if err != nil {
			return err
		}
		return c.print(p, op, operationRecord(op).Table())
	})
}
