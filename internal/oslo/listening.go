package oslo

import (
	"context"
	"errors"
	"fmt"
)

// Ready does what a call needs but for sending it: it listens for replies. It
// fails with KindUnavailable as long as that, or anything else that the transport
// needs, is not to be had.
func (c *Client) Ready(ctx context.Context) error {
	if err := c.listen(ctx); err != nil {
		return errors.Join(err, c.o.Transport.Check(ctx))
	}
	return c.o.Transport.Check(ctx)
}

// Listening says whether anybody consumes a queue. It fails with KindUnavailable
// when the bus is away, and as ctx ends.
func (c *Client) Listening(ctx context.Context, to Destination) (bool, error) {
	n, err := c.o.Transport.Consumers(ctx, to)
	if err != nil {
		return false, fmt.Errorf("look for listeners of %s: %w", to, err)
	}
	return n > 0, nil
}
