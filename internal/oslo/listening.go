package oslo

import (
	"context"
	"errors"
	"fmt"
)

// Ready checks everything that a call needs, without sending one: it listens for
// replies and checks the transport. KindUnavailable when any of it fails.
func (c *Client) Ready(ctx context.Context) error {
	if err := c.listen(ctx); err != nil {
		return errors.Join(err, c.o.Transport.Check(ctx))
	}
	return c.o.Transport.Check(ctx)
}

// Listening reports whether a queue has a consumer. It fails with KindUnavailable when
// the bus is away, and when ctx ends.
func (c *Client) Listening(ctx context.Context, to Destination) (bool, error) {
	n, err := c.o.Transport.Consumers(ctx, to)
	if err != nil {
		return false, fmt.Errorf("look for listeners of %s: %w", to, err)
	}
	return n > 0, nil
}
