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
	untilQueues(tb, transport, binary, services, "nobody listens to ", func(q amqp091.Queue) bool { return q.Consumers == 0 })
}

// Emptied waits until nothing waits in these queues. The counts that rabbitmqctl
// shows of a quorum queue are seconds old.
func Emptied(tb testing.TB, transport, binary string, services ...string) {
	tb.Helper()
	untilQueues(tb, transport, binary, services, "nothing waits in ", func(q amqp091.Queue) bool { return q.Messages == 0 })
}

// untilQueues waits until something holds of the queue of each service.
func untilQueues(tb testing.TB, transport, binary string, services []string, what string, holds func(amqp091.Queue) bool) {
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
		err := await(endWithin, what+queue, func() bool {
			var q amqp091.Queue
			q, failed = look(conn, queue)
			return holds(q)
		})
		if err = errors.Join(err, failed); err != nil {
			tb.Fatal(err)
		}
	}
}

// look asks for the counts of a queue: none, when there is no such queue.
func look(conn *amqp091.Connection, queue string) (amqp091.Queue, error) {
	ch, err := conn.Channel()
	if err != nil {
		return amqp091.Queue{}, err
	}
	q, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
	var refused *amqp091.Error
	if errors.As(err, &refused) && refused.Code == amqp091.NotFound {
		return amqp091.Queue{}, nil // which has cost the channel
	}
	return q, errors.Join(err, ch.Close())
}
