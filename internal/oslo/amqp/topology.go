package amqp

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// topology is how exchanges and queues are named and declared: as oslo.messaging
// does with the same options.
type topology struct {
	exchange string
	r        Rabbit
}

// queue is a queue, and what it hangs on.
type queue struct {
	name                string
	durable, autoDelete bool
	own                 bool // of one process: a fanout or reply queue
	args                amqp091.Table
	exchange            *exchange // nil: the default one
	key                 string
}

type exchange struct {
	name, kind          string
	durable, autoDelete bool
}

// control is the exchange of topic and server queues.
func (t *topology) control() *exchange {
	return &exchange{t.exchange, amqp091.ExchangeTopic, t.r.DurableQueues || t.r.QuorumQueue, t.r.AutoDelete}
}

// fanoutExchange is the name of the exchange of a topic's fanouts.
func fanoutExchange(topic string) string { return topic + "_fanout" }

// queue is the queue of a destination; id tells the fanout queues of one topic
// apart. With rabbit_stream_fanout Python services read the fanouts of a topic
// from one stream, named as the exchange is. Our queue hangs on the same exchange
// and gets every fanout too. The stream would give us old ones as well: it is read
// from its last chunk on, however old that is.
func (t *topology) queue(d oslo.Destination, id string) queue {
	switch d.Route {
	case oslo.RouteFanout:
		return queue{
			name: fanoutExchange(d.Name) + "_" + id, durable: t.r.TransientQuorumQueue, own: true,
			args:     t.args(t.r.TransientQuorumQueue, t.r.TransientQueuesTTL),
			exchange: &exchange{fanoutExchange(d.Name), amqp091.ExchangeFanout, t.r.TransientQuorumQueue, true},
			key:      d.Name,
		}
	case oslo.RouteReply:
		return queue{
			name: d.Name, durable: t.r.TransientQuorumQueue, own: true,
			args: t.args(t.r.TransientQuorumQueue, t.r.TransientQueuesTTL),
		}
	default:
		return queue{
			name: d.Name, durable: t.r.DurableQueues || t.r.QuorumQueue, autoDelete: t.r.AutoDelete,
			args: t.args(t.r.QuorumQueue, 0), exchange: t.control(), key: d.Name,
		}
	}
}

// args are a queue's arguments. Numbers are of 32 bits where they fit, as from
// Python: the broker compares types, too.
func (t *topology) args(quorum bool, ttl time.Duration) amqp091.Table {
	args := amqp091.Table{}
	number := func(name string, n int64) {
		switch {
		case n == 0:
		case n == int64(int32(n)):
			args[name] = int32(n)
		default:
			args[name] = n
		}
	}
	if t.r.HAQueues {
		args["x-ha-policy"] = "all"
	}
	if quorum {
		args["x-queue-type"] = "quorum"
		number("x-delivery-limit", int64(t.r.QuorumDeliveryLimit))
		number("x-max-in-memory-length", int64(t.r.QuorumMaxMemoryLength))
		number("x-max-in-memory-bytes", int64(t.r.QuorumMaxMemoryBytes))
	}
	number("x-expires", ttl.Milliseconds())
	return args
}

// consumerArgs are the arguments of a listener's consumers.
func (t *topology) consumerArgs() amqp091.Table {
	if !t.r.CancelOnFailover {
		return nil
	}
	return amqp091.Table{"x-cancel-on-ha-failover": true}
}

func (e *exchange) declare(ch *amqp091.Channel) error {
	if err := ch.ExchangeDeclare(e.name, e.kind, e.durable, e.autoDelete, false, false, nil); err != nil {
		return declareError("exchange", e.name, err)
	}
	return nil
}

// yields makes a durable exchange transient, and reports so, when it was refused
// because it is there as a transient one: left by a service that knew nothing of
// quorum queues. oslo.messaging takes it as it is, too.
func (e *exchange) yields(err error) bool {
	if err == nil || !e.durable || !strings.Contains(err.Error(), "inequivalent arg 'durable'") {
		return false
	}
	e.durable = false
	return true
}

// declareExchange makes an exchange, on a channel of its own: one that is refused
// loses its channel.
func (s *session) declareExchange(e exchange) error {
	declare := func() error {
		ch, err := s.conn.Channel()
		if err != nil {
			return fmt.Errorf("open a channel: %w", err)
		}
		defer func() { _ = ch.Close() }()
		return e.declare(ch)
	}
	err := declare()
	if e.yields(err) {
		err = declare()
	}
	return err
}

// declare makes a queue and binds it to its exchange, which is there.
func (q *queue) declare(ch *amqp091.Channel) error {
	if _, err := ch.QueueDeclare(q.name, q.durable, q.autoDelete, false, false, q.args); err != nil {
		return declareError("queue", q.name, err)
	}
	if q.exchange == nil {
		return nil
	}
	if err := ch.QueueBind(q.name, q.key, q.exchange.name, false, nil); err != nil {
		return declareError("queue", q.name, err)
	}
	return nil
}

// oneLine is a text of the broker's without its line breaks.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// declareError says what stands in the way of a declaration. What is there with
// other properties has to be named, and the option that asks for them: the two
// sides of a bus have to agree on it.
func declareError(what, name string, err error) error {
	var e *amqp091.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("declare the %s %s: %w", what, name, err)
	}
	switch {
	case e.Code == amqp091.PreconditionFailed && strings.Contains(e.Reason, " invalid "):
		return cinder.Wrap(cinder.KindUnavailable, errors.New(e.Reason), "The broker takes no %s as %s is to be. Change %s, here and for the other services on this bus.",
			what, name, optionOf(e.Reason))
	case e.Code == amqp091.PreconditionFailed:
		return cinder.Wrap(cinder.KindUnavailable, errors.New(e.Reason),
			"The %s %s is already there with other properties. Set %s as the other services on this bus have it, or delete the %s while nobody uses it.",
			what, name, optionOf(e.Reason), what)
	case e.Code == amqp091.AccessRefused:
		return cinder.Wrap(cinder.KindUnavailable, errors.New(e.Reason), "The broker lets us not declare the %s %s: the user needs permission to configure, write and read it.", what, name)
	default:
		return fmt.Errorf("declare the %s %s: %s", what, name, oneLine(e.Reason))
	}
}

// optionOf is the option behind the property that a refusal names.
func optionOf(reason string) string {
	for _, o := range []struct{ property, option string }{
		{"'durable'", "amqp_durable_queues (and rabbit_quorum_queue, for fanout and reply queues rabbit_transient_quorum_queue)"},
		{"'auto_delete'", "amqp_auto_delete"},
		{"'auto-delete'", "amqp_auto_delete, which excludes rabbit_quorum_queue"},
		{"'x-queue-type'", "rabbit_quorum_queue (for fanout and reply queues rabbit_transient_quorum_queue)"},
		{"'x-expires'", "rabbit_transient_queues_ttl"},
		{"'x-delivery-limit'", "rabbit_quorum_delivery_limit"},
		{"'x-max-in-memory-length'", "rabbit_quorum_max_memory_length"},
		{"'x-max-in-memory-bytes'", "rabbit_quorum_max_memory_bytes"},
		{"'x-ha-policy'", "rabbit_ha_queues"},
		{"'type'", "[DEFAULT] control_exchange"},
	} {
		if strings.Contains(reason, o.property) {
			if strings.HasPrefix(o.option, "[") {
				return o.option
			}
			return "[oslo_messaging_rabbit] " + o.option
		}
	}
	return "[oslo_messaging_rabbit] amqp_durable_queues, amqp_auto_delete and rabbit_quorum_queue"
}
