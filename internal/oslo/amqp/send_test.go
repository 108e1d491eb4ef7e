package amqp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

func TestARefusedMessageHasAnUnknownFate(t *testing.T) {
	url := engines.RabbitMQ(t).URL(t)
	ch := raw(t, url)
	full := amqp091.Table{"x-max-length": int32(1), "x-overflow": "reject-publish"}
	try(t, ch.ExchangeDeclare("openstack", "topic", false, false, false, false, nil),
		queueDeclare(ch, "topic", false, false, full), ch.QueueBind("topic", "topic", "openstack", false, nil))
	bus := open(t, options(t, url))
	try(t, bus.Send(t.Context(), oslo.ToAny("topic"), oslo.Message{}))
	if err := bus.Send(t.Context(), oslo.ToAny("topic"), oslo.Message{}); cinder.KindOf(err) != cinder.KindTimeout {
		t.Errorf("got error %v, want one of kind %s", err, cinder.KindTimeout)
	}
}

// The exchange of a topic's fanouts comes and goes with its listeners.
func TestFanoutsGoOnWhenTheirExchangeIsGone(t *testing.T) {
	bus := open(t, options(t, engines.RabbitMQ(t).URL(t)))
	for i := range 3 {
		try(t, bus.Send(t.Context(), oslo.ToAll("topic"), oslo.Message{Body: []byte("to nobody")}))
		in := make(chan oslo.Message, 10)
		l := listen(t, bus, func(m oslo.Message) { in <- m }, oslo.ToAll("topic"))
		want := fmt.Sprint(i)
		try(t, bus.Send(t.Context(), oslo.ToAll("topic"), oslo.Message{Body: []byte(want)}))
		if got := string(next(t, in).Body); got != want {
			t.Errorf("got message %q, want %q", got, want)
		}
		try(t, l.Close(t.Context()))
	}
}

// With auto-delete, the exchange of all topics does so as well.
func TestAutoDelete(t *testing.T) {
	o := options(t, engines.RabbitMQ(t).URL(t))
	o.Rabbit.AutoDelete = true
	bus := open(t, o)
	for range 3 {
		in := make(chan oslo.Message, 10)
		l := listen(t, bus, func(m oslo.Message) { in <- m }, oslo.ToAny("topic"))
		try(t, bus.Send(t.Context(), oslo.ToAny("topic"), oslo.Message{}))
		next(t, in)
		try(t, l.Close(t.Context()))
		if err := bus.Send(t.Context(), oslo.ToAny("topic"), oslo.Message{}); cinder.KindOf(err) != cinder.KindUndeliverable {
			t.Errorf("after its listener: got error %v, want one of kind %s", err, cinder.KindUndeliverable)
		}
	}
}

// A broker that runs out of memory takes no messages, and says so to whoever has
// sent one.
func TestABlockedBroker(t *testing.T) {
	broker := victims.RabbitMQ(t)
	bus := open(t, options(t, broker.URL(t)))
	in := make(chan oslo.Message, 10)
	listen(t, bus, func(m oslo.Message) { in <- m }, oslo.ToAny("topic"))
	limit := func(fraction string) { broker.Control(t, "set_vm_memory_high_watermark", fraction) }

	limit("0.00000001")
	// The broker tells those who send. What was on its way by then waits there,
	// and nobody knows.
	sent := 0
	eventually(t, "messages are refused", func() bool {
		err := bus.Send(within(t, time.Second), oslo.ToAny("topic"), oslo.Message{})
		switch cinder.KindOf(err) {
		case cinder.KindUnavailable:
			return true
		case cinder.KindTimeout:
		default:
			try(t, err)
		}
		sent++
		return false
	})
	began := time.Now()
	if _, err := bus.Consumers(t.Context(), oslo.ToAny("topic")); cinder.KindOf(err) != cinder.KindUnavailable {
		t.Errorf("consumers: got error %v, want one of kind %s", err, cinder.KindUnavailable)
	}
	if waited := time.Since(began); waited > 10*time.Second {
		t.Errorf("refusals took %s", waited)
	}
	limit("0.6")
	eventually(t, "the broker takes messages", func() bool {
		return bus.Send(t.Context(), oslo.ToAny("topic"), oslo.Message{}) == nil
	})
	for range sent + 1 {
		next(t, in)
	}
}
