package amqp_test

import (
	"strings"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
	"stoker/test/peers"
)

// A message that the broker does not let through was not sent: nobody has to wait
// for what may come of it.
func TestAMessageThatIsRefusedWasNotSent(t *testing.T) {
	broker := engines.RabbitMQ(t)
	for _, tc := range []struct {
		name   string
		to     oslo.Destination
		denied string
		want   string
	}{
		{"by the exchange", oslo.ToAny("topic"), "openstack", "The broker does not let us send to the exchange openstack: the user needs permission to write to the exchange."},
		{"by a fanout exchange", oslo.ToAll("topic"), "topic_fanout", "The broker does not let us send to the exchange topic_fanout: the user needs permission to write to the exchange."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			full := broker.URL(t)
			listen(t, open(t, options(t, full)), func(oslo.Message) { t.Error("the message came") }, tc.to)
			limited := broker.Account(t, full)
			broker.Permit(t, limited, peers.Permissions{Configure: ".*", Write: "^(?!" + tc.denied + ")", Read: ".*"})
			bus := open(t, options(t, limited))
			for range 3 { // each costs a channel
				err := bus.Send(t.Context(), tc.to, oslo.Message{Body: []byte("{}")})
				if cinder.KindOf(err) != cinder.KindUnavailable || cinder.Message(err) != tc.want {
					t.Fatalf("got error %v of kind %s, want %q of kind %s", err, cinder.KindOf(err), tc.want, cinder.KindUnavailable)
				}
			}
			broker.Permit(t, limited, peers.All())
			if err := open(t, options(t, limited)).Send(t.Context(), oslo.ToReplies("nowhere"), oslo.Message{}); cinder.KindOf(err) != cinder.KindUndeliverable {
				t.Errorf("once it is permitted: %v", err)
			}
		})
	}
}

// Every refusal is told once, by whomever it was met.
func TestRefusalsAreTold(t *testing.T) {
	url := engines.RabbitMQ(t).URL(t)
	try(t, raw(t, url).ExchangeDeclare("openstack", "topic", true, false, false, false, nil),
		queueDeclare(raw(t, url), "reply_1", true, false, nil))
	bus := open(t, options(t, url))
	_ = bus.Send(t.Context(), oslo.ToAny("topic"), oslo.Message{})
	_, _ = bus.Listen(t.Context(), []oslo.Destination{oslo.ToAny("topic")}, ignore)
	_, _ = bus.Listen(t.Context(), []oslo.Destination{oslo.ToReplies("reply_1")}, ignore)
	got := amqp.Refusals(bus.Check(t.Context()))
	if len(got) != 2 || !strings.Contains(got[0], "exchange openstack") || !strings.Contains(got[1], "queue reply_1") {
		t.Errorf("told: %q", got)
	}
	_, err := raw(t, url).QueueDelete("reply_1", false, false, false)
	try(t, err, raw(t, url).ExchangeDelete("openstack", false, false))
	for _, to := range []oslo.Destination{oslo.ToAny("topic"), oslo.ToReplies("reply_1")} {
		listen(t, bus, func(oslo.Message) {}, to)
	}
	if err := bus.Check(t.Context()); err != nil {
		t.Errorf("once all is mended: %v", err)
	}
}
