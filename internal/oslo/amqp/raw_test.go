package amqp_test

import (
	"net/url"
	"testing"

	"github.com/rabbitmq/amqp091-go"
)

// raw is a channel of a client that knows nothing of oslo.messaging.
func raw(tb testing.TB, transport string) *amqp091.Channel {
	tb.Helper()
	conn, err := amqp091.Dial(changed(tb, transport, func(u *url.URL) { u.Scheme = "amqp" }))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		tb.Fatal(err)
	}
	return ch
}

// try makes calls of a raw client, each of which must go well.
func try(tb testing.TB, errs ...error) {
	tb.Helper()
	for _, err := range errs {
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// queueDeclare is QueueDeclare without the queue.
func queueDeclare(ch *amqp091.Channel, name string, durable, autoDelete bool, args amqp091.Table) error {
	_, err := ch.QueueDeclare(name, durable, autoDelete, false, false, args)
	return err
}
