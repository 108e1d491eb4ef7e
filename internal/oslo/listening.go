package oslo

import (
	"context"
	"fmt"
)

// Listening says whether anybody consumes a queue. It fails with KindUnavailable
// when the bus is away, and as ctx ends.
func (c *Client) Listening(ctx context.Context, to Destination) (bool, error) {
	n, err := c.o.Transport.Consumers(ctx, to)
	if err != nil {
		return false, fmt.Errorf("look for listeners of %s: %w", to, err)
	}
	return n > 0, nil
}
