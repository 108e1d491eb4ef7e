package amqp_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
)

// python is a service of Cinder with rabbit_stream_fanout, as oslo.messaging 16.1
// and 18.3 declare, publish and consume.
type python struct {
	tb  testing.TB
	url string
}

// exchange is declared by whoever sends or listens.
func (p python) exchange(ch *amqp091.Channel) {
	p.tb.Helper()
	try(p.tb, ch.ExchangeDeclare("topic_fanout", "fanout", true, true, false, false, nil))
}

// listen declares the stream that all services share and reads it from its last
// chunk on.
func (p python) listen() <-chan amqp091.Delivery {
	p.tb.Helper()
	ch := raw(p.tb, p.url)
	p.exchange(ch)
	try(p.tb, queueDeclare(ch, "topic_fanout", true, false, amqp091.Table{"x-queue-type": "stream", "x-max-age": "1800s"}),
		ch.QueueBind("topic_fanout", "topic", "topic_fanout", false, nil), ch.Qos(1, 0, false))
	deliveries, err := ch.Consume("topic_fanout", "1", false, false, false, false, amqp091.Table{"x-stream-offset": "last"})
	try(p.tb, err)
	return deliveries
}

// send sends a fanout. It declares the exchange and no queue.
func (p python) send(text string) {
	p.tb.Helper()
	ch := raw(p.tb, p.url)
	try(p.tb, ch.Confirm(false))
	p.exchange(ch)
	confirm, err := ch.PublishWithDeferredConfirm("topic_fanout", "", false, false, amqp091.Publishing{Body: []byte(text), DeliveryMode: amqp091.Persistent})
	try(p.tb, err)
	if ok, err := confirm.WaitContext(within(p.tb, patience)); err != nil || !ok {
		p.tb.Fatalf("a fanout of a Python service was not confirmed: %t, %v", ok, err)
	}
}

// streams are the options of a bus whose Python services share streams.
func streams(tb testing.TB, url string) amqp.Options {
	tb.Helper()
	o := options(tb, url)
	o.Rabbit.QuorumQueue, o.Rabbit.TransientQuorumQueue, o.Rabbit.StreamFanout, o.Rabbit.Prefetch = true, true, true, 1
	return o
}

// Whoever listens when a fanout is sent is told of it, be it a Python service or
// one of ours, whoever sends it and whoever came first.
func TestStreamsAndOurQueuesGetEveryFanout(t *testing.T) {
	for _, tc := range []struct {
		name      string
		listeners []string
	}{
		{"nobody listens", nil},
		{"only ours listen", []string{"go", "go"}},
		{"only Python services listen", []string{"python"}},
		{"ours were first", []string{"go", "python"}},
		{"a Python service was first", []string{"python", "go"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // quorum queues and streams take their time to be made
			p := python{t, engines.RabbitMQ(t).URL(t)}
			sender := open(t, streams(t, p.url))
			send := map[string]func(string){
				"go": func(text string) {
					try(t, sender.Send(t.Context(), oslo.ToAll("topic"), oslo.Message{Body: []byte(text)}))
				},
				"python": p.send,
			}
			var heard []func() string
			for _, who := range tc.listeners {
				if who == "python" {
					deliveries := p.listen()
					heard = append(heard, func() string {
						d := next(t, deliveries)
						try(t, d.Ack(false)) // or no more come: the prefetch count is 1
						return string(d.Body)
					})
					continue
				}
				in := make(chan oslo.Message, 10)
				listen(t, open(t, streams(t, p.url)), func(m oslo.Message) { in <- m }, oslo.ToAll("topic"))
				heard = append(heard, func() string { return string(next(t, in).Body) })
			}
			var want []string
			for i := range 2 {
				for _, who := range []string{"go", "python"} {
					text := fmt.Sprint(who, i)
					send[who](text)
					want = append(want, text)
				}
			}
			for i, hear := range heard {
				var got []string
				for range want {
					got = append(got, hear())
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, listener %d of %d, heard %v, want %v", tc.listeners[i], i+1, len(heard), got, want)
				}
			}
		})
	}
}

// A stream gives a Python service that starts old fanouts, for which one of ours
// has no use: a set-log, say, that was for whoever ran at the time.
func TestNoOldFanoutIsHeardFromAStream(t *testing.T) {
	p := python{t, engines.RabbitMQ(t).URL(t)}
	first := p.listen()
	p.send("old")
	if got := string(next(t, first).Body); got != "old" {
		t.Fatalf("the stream has %q", got)
	}
	in := make(chan oslo.Message, 10)
	bus := open(t, streams(t, p.url))
	listen(t, bus, func(m oslo.Message) { in <- m }, oslo.ToAll("topic"))
	if got := string(next(t, p.listen()).Body); got != "old" {
		t.Fatalf("a Python service that starts hears %q, want the old fanout: this test sees nothing", got)
	}
	p.send("new")
	if got := string(next(t, in).Body); got != "new" {
		t.Errorf("ours hears %q first, want what was sent since it listens", got)
	}
}

// The exchange goes with its last queue, and a stream is a queue that stays.
func TestFanoutsAfterOursHaveLeft(t *testing.T) {
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("a stream is there %t", stream), func(t *testing.T) {
			t.Parallel()
			p := python{t, engines.RabbitMQ(t).URL(t)}
			sender := open(t, streams(t, p.url))
			if stream {
				p.listen()
			}
			for i := range 2 {
				text := fmt.Sprint(i)
				in := make(chan oslo.Message, 10)
				ours := listen(t, open(t, streams(t, p.url)), func(m oslo.Message) { in <- m }, oslo.ToAll("topic"))
				try(t, sender.Send(t.Context(), oslo.ToAll("topic"), oslo.Message{Body: []byte(text)}))
				if got := string(next(t, in).Body); got != text {
					t.Errorf("listener %d hears %q", i, got)
				}
				try(t, ours.Close(t.Context()),
					sender.Send(t.Context(), oslo.ToAll("topic"), oslo.Message{Body: []byte("to nobody of ours")}))
				p.send("to nobody of ours")
			}
		})
	}
}
