package amqp_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
)

func ignore(context.Context, oslo.Message) {}

// everything is what a server and a client listen on.
func everything() []oslo.Destination {
	return append(oslo.Target{Topic: "topic", Server: "server"}.Destinations(), oslo.ToReplies("reply_1"))
}

// What one side of a bus declares, the other declares again: the broker refuses
// what differs in anything. So the arguments of the queues are told by
// declaring them as oslo.messaging does.
func TestQueuesAreDeclaredAsOsloMessagingDeclaresThem(t *testing.T) {
	const halfAnHour = int32(1800000)
	quorum := amqp091.Table{"x-queue-type": "quorum"}
	for _, tc := range []struct {
		name                string
		change              func(*amqp.Rabbit)
		durable, autoDelete bool // exchange, topic and server queues
		args                amqp091.Table
		transientDurable    bool // fanout and reply queues
		transientArgs       amqp091.Table
	}{
		{name: "by default", change: func(*amqp.Rabbit) {}, transientArgs: amqp091.Table{"x-expires": halfAnHour}},
		{name: "durable", change: func(r *amqp.Rabbit) { r.DurableQueues = true }, durable: true, transientArgs: amqp091.Table{"x-expires": halfAnHour}},
		{name: "auto-delete", change: func(r *amqp.Rabbit) { r.AutoDelete = true }, autoDelete: true, transientArgs: amqp091.Table{"x-expires": halfAnHour}},
		{
			name: "quorum", durable: true, args: quorum, transientArgs: amqp091.Table{"x-expires": halfAnHour},
			change: func(r *amqp.Rabbit) { r.QuorumQueue = true },
		},
		{
			name: "quorum with limits", durable: true, transientArgs: amqp091.Table{"x-expires": halfAnHour},
			args: amqp091.Table{"x-queue-type": "quorum", "x-delivery-limit": int32(3), "x-max-in-memory-length": int32(4), "x-max-in-memory-bytes": int32(5000)},
			change: func(r *amqp.Rabbit) {
				r.QuorumQueue, r.QuorumDeliveryLimit, r.QuorumMaxMemoryLength, r.QuorumMaxMemoryBytes = true, 3, 4, 5000
			},
		},
		{
			name: "quorum without a limit", durable: true, transientArgs: amqp091.Table{"x-expires": halfAnHour},
			args:   amqp091.Table{"x-queue-type": "quorum", "x-delivery-limit": int32(-1)},
			change: func(r *amqp.Rabbit) { r.QuorumQueue, r.QuorumDeliveryLimit = true, -1 },
		},
		{
			name: "transient quorum", transientDurable: true, transientArgs: amqp091.Table{"x-queue-type": "quorum", "x-expires": halfAnHour},
			change: func(r *amqp.Rabbit) { r.TransientQuorumQueue = true },
		},
		{
			name: "mirrored", args: amqp091.Table{"x-ha-policy": "all"},
			transientArgs: amqp091.Table{"x-ha-policy": "all", "x-expires": halfAnHour},
			change:        func(r *amqp.Rabbit) { r.HAQueues = true },
		},
		{name: "without expiry", change: func(r *amqp.Rabbit) { r.TransientQueuesTTL = 0 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // rabbitmqctl takes its time to start
			url := engines.RabbitMQ(t).URL(t)
			o := options(t, url)
			tc.change(&o.Rabbit)
			bus := open(t, o)
			if _, err := bus.Listen(t.Context(), everything(), ignore); err != nil {
				t.Fatal(err)
			}
			ch := raw(t, url)
			try(t,
				ch.ExchangeDeclare("openstack", "topic", tc.durable, tc.autoDelete, false, false, nil),
				ch.ExchangeDeclare("topic_fanout", "fanout", tc.transientDurable, true, false, false, nil),
				queueDeclare(ch, "topic", tc.durable, tc.autoDelete, tc.args),
				queueDeclare(ch, "topic.server", tc.durable, tc.autoDelete, tc.args),
				queueDeclare(ch, "reply_1", tc.transientDurable, false, tc.transientArgs),
			)
			fanout := fanoutQueue(t, url)
			if len(fanout) != len("topic_fanout_")+32 {
				t.Errorf("the fanout queue is %q, want topic_fanout_ and 32 hexadecimal digits", fanout)
			}
			try(t, queueDeclare(ch, fanout, tc.transientDurable, false, tc.transientArgs))
		})
	}
}

// fanoutQueue is the name of the one fanout queue in the virtual host of a URL.
func fanoutQueue(t *testing.T, url string) string {
	t.Helper()
	vhost := options(t, url).URL.VirtualHost
	for line := range strings.Lines(engines.RabbitMQ(t).Control(t, "list_queues", "--vhost", vhost, "--no-table-headers", "name")) {
		if strings.HasPrefix(line, "topic_fanout_") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatal("there is no fanout queue")
	return ""
}

func TestWhatIsDeclaredOtherwiseIsNamed(t *testing.T) {
	for _, tc := range []struct {
		name    string
		declare func(*amqp091.Channel) error
		on      oslo.Destination
		want    string
	}{
		{
			"a durable exchange", func(ch *amqp091.Channel) error {
				return ch.ExchangeDeclare("openstack", "topic", true, false, false, false, nil)
			}, oslo.ToAny("topic"), "The exchange openstack is already there with other properties. Set [oslo_messaging_rabbit] amqp_durable_queues",
		},
		{
			"an exchange of another type", func(ch *amqp091.Channel) error {
				return ch.ExchangeDeclare("openstack", "direct", false, false, false, false, nil)
			}, oslo.ToAny("topic"), "Set [DEFAULT] control_exchange as",
		},
		{
			"a durable queue", func(ch *amqp091.Channel) error { return queueDeclare(ch, "topic", true, false, nil) },
			oslo.ToAny("topic"), "The queue topic is already there with other properties. Set [oslo_messaging_rabbit] amqp_durable_queues",
		},
		{
			"an auto-delete queue", func(ch *amqp091.Channel) error { return queueDeclare(ch, "topic", false, true, nil) },
			oslo.ToAny("topic"), "Set [oslo_messaging_rabbit] amqp_auto_delete",
		},
		{
			"a reply queue that lives longer", func(ch *amqp091.Channel) error {
				return queueDeclare(ch, "reply_1", false, false, amqp091.Table{"x-expires": int32(3600000)})
			}, oslo.ToReplies("reply_1"), "Set [oslo_messaging_rabbit] rabbit_transient_queues_ttl",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url := engines.RabbitMQ(t).URL(t)
			try(t, tc.declare(raw(t, url)))
			bus := open(t, options(t, url))
			_, err := bus.Listen(t.Context(), []oslo.Destination{tc.on}, ignore)
			if cinder.KindOf(err) != cinder.KindUnavailable || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("listen: got error %v, want one of kind %s with %q", err, cinder.KindUnavailable, tc.want)
			}
			// That one listener cannot be had is no harm to the others.
			if _, err := bus.Listen(t.Context(), []oslo.Destination{oslo.ToReplies("reply_2")}, ignore); err != nil {
				t.Errorf("another listener: %v", err)
			}
			if !strings.Contains(tc.want, "exchange") {
				return
			}
			if err := bus.Send(t.Context(), tc.on, oslo.Message{}); !strings.Contains(cinder.Message(err), tc.want) {
				t.Errorf("send: got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// What a broker takes of nobody is no matter of what others declared.
func TestWhatTheBrokerTakesOfNobodyIsNamed(t *testing.T) {
	url := engines.RabbitMQ(t).URL(t)
	for _, tc := range []struct {
		name   string
		change func(*amqp.Rabbit)
		want   string
	}{
		{"quorum queues that go with their last consumer", func(r *amqp.Rabbit) { r.AutoDelete = true }, "The broker takes no queue as topic is to be. Change [oslo_messaging_rabbit] amqp_auto_delete, which excludes rabbit_quorum_queue,"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t, url)
			o.Rabbit.QuorumQueue, o.Exchange = true, "exchange of "+tc.name
			tc.change(&o.Rabbit)
			_, err := open(t, o).Listen(t.Context(), []oslo.Destination{oslo.ToAny("topic")}, ignore)
			if cinder.KindOf(err) != cinder.KindUnavailable || !strings.Contains(cinder.Message(err), tc.want) {
				t.Errorf("got error %v, want one of kind %s with %q", err, cinder.KindUnavailable, tc.want)
			}
		})
	}
}

// Services that knew nothing of quorum queues have left exchanges that go with the
// broker. oslo.messaging puts up with them, and so do we.
func TestTransientExchangesAreTakenAsTheyAre(t *testing.T) {
	url := engines.RabbitMQ(t).URL(t)
	ch := raw(t, url)
	try(t, ch.ExchangeDeclare("openstack", "topic", false, false, false, false, nil),
		ch.ExchangeDeclare("topic_fanout", "fanout", false, true, false, false, nil))
	bus := open(t, streams(t, url))
	in := make(chan oslo.Message, 10)
	listen(t, bus, func(m oslo.Message) { in <- m }, everything()...)
	for _, to := range append(everything(), oslo.ToAny("topic")) {
		try(t, bus.Send(t.Context(), to, oslo.Message{Body: []byte(to.String())}))
		if got := string(next(t, in).Body); got != to.String() {
			t.Errorf("got %q, want %q", got, to)
		}
	}
	if err := bus.Check(t.Context()); err != nil {
		t.Errorf("the bus does not find itself usable: %v", err)
	}
	found, err := amqp.Examine(t.Context(), streams(t, url), []string{"topic"}, nil)
	try(t, err)
	for _, x := range found.Exchanges {
		if !x.There || x.Err != nil {
			t.Errorf("the exchange %s: there %t, %v; want nothing wrong", x.Name, x.There, x.Err)
		}
	}
}

// A message is on the wire as Cinder's are (doc/cinder/wire.md#properties). The id is ours.
func TestProperties(t *testing.T) {
	url := engines.RabbitMQ(t).URL(t)
	ch := raw(t, url)
	try(t, ch.ExchangeDeclare("openstack", "topic", false, false, false, false, nil),
		queueDeclare(ch, "topic", false, false, nil), ch.QueueBind("topic", "topic", "openstack", false, nil))
	deliveries, err := ch.Consume("topic", "", true, false, false, false, nil)
	try(t, err)
	bus := open(t, options(t, url))
	try(t, bus.Send(t.Context(), oslo.ToAny("topic"), oslo.Message{Body: []byte("{}"), Expiry: 4999999999}))
	got := next(t, deliveries)
	want := amqp091.Delivery{
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: 2, Expiration: "4999", Body: []byte("{}"),
		Exchange: "openstack", RoutingKey: "topic",
	}
	got.Acknowledger, got.ConsumerTag, got.DeliveryTag, got.MessageId = nil, "", 0, ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the message (-want +got):\n%s", diff)
	}
}
