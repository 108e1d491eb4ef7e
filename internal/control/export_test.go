package control

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// Look is one look of recovery, with what it began brought to its end.
func (c *Control) Look(ctx context.Context) error {
	var calls errgroup.Group
	calls.SetLimit(callsAtOnce)
	err := c.recover(ctx, &calls)
	return errors.Join(err, calls.Wait())
}
