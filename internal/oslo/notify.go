package oslo

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	"stoker/internal/cinder"
)

// Notification is an oslo.messaging notification.
type Notification struct {
	Publisher string // for instance service.HOST
	Event     string // for instance volume.create.end
	Priority  string // INFO or ERROR
	Payload   any    // encoded as JSON
}

// Notify sends a notification like oslo.messaging's messagingv2 driver: to the queue
// TOPIC.priority of each topic, with the caller as context. Without such a queue the
// notification is lost, which is no error. KindUnavailable when the bus is away.
func (c *Client) Notify(ctx context.Context, topics []string, n Notification) error {
	now := time.Now()
	inner := contextOf(cinder.CallerFrom(ctx), now)
	maps.Copy(inner, map[string]any{
		"message_id": uuid.NewString(), "publisher_id": n.Publisher, "event_type": n.Event, "priority": n.Priority,
		"payload": n.Payload, "timestamp": now.UTC().Format("2006-01-02 15:04:05.000000"), "_unique_id": newID(),
	})
	body, err := seal(inner)
	if err != nil {
		return fmt.Errorf("notification %s: %w", n.Event, err)
	}
	for _, topic := range topics {
		to := ToAny(topic + "." + strings.ToLower(n.Priority))
		if err := c.o.Transport.Send(ctx, to, Message{Body: body}); err != nil && cinder.KindOf(err) != cinder.KindUndeliverable {
			return fmt.Errorf("notification %s to %s: %w", n.Event, to, err)
		}
	}
	return nil
}
