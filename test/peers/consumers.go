package peers

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/rabbitmq/amqp091-go"
)

// Deserted waits until a broker counts nobody any more at the queues that the
// commands of services go to: a process that was killed is counted until the broker
// has read the ends of its connections, which takes it a moment. The broker is asked
// as the program asks it, by a passive declaration. A service is a host, a
// host@backend, or a cluster@backend.
func Deserted(tb testing.TB, transport, binary string, services ...string) {
	tb.Helper()
	u, err := url.Parse(transport)
	if err != nil {
		tb.Fatal(err)
	}
	u.Scheme = "amqp"
	conn, err := amqp091.Dial(u.String())
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, s := range services {
		queue := binary + "." + s
		if server, _, volume := strings.Cut(s, "@"); volume {
			queue += "." + server
		}
		var failed error
		err := await(endWithin, "nobody listens to "+queue, func() bool {
			var n int
			n, failed = consumers(conn, queue)
			return n == 0
		})
		if err = errors.Join(err, failed); err != nil {
			tb.Fatal(err)
		}
	}
}

// consumers counts who consumes a queue: none, when there is no such queue.
func consumers(conn *amqp091.Connection, queue string) (int, error) {
	ch, err := conn.Channel()
	if err != nil {
		return 0, err
	}
	q, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
	var refused *amqp091.Error
	if errors.As(err, &refused) && refused.Code == amqp091.NotFound {
		return 0, nil // which has cost the channel
	}
	return q.Consumers, errors.Join(err, ch.Close())
}
