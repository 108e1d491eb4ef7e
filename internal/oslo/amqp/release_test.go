package amqp_test

import (
	"strings"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/test/peers"
)

// What TestTransientQueuesAreBanned has a broker say, RabbitMQ 4 says when it is
// told to.
func TestRabbitMQBansTransientQueues(t *testing.T) {
	for _, r := range peers.Releases() {
		if r == peers.Bookworm {
			continue // its RabbitMQ is 3.10
		}
		t.Run(string(r), func(t *testing.T) {
			broker := r.StartRabbitMQ(t)
			broker.Control(t, "eval", "application:set_env(rabbit, permit_deprecated_features, #{transient_nonexcl_queues => false}), "+
				"rabbit_feature_flags:enable(transient_nonexcl_queues).") // as rabbitmq.conf does at a start
			url := broker.URL(t)
			_, err := open(t, options(t, url)).Listen(t.Context(), []oslo.Destination{oslo.ToReplies("reply_1")}, ignore)
			if cinder.KindOf(err) != cinder.KindUnavailable || !strings.Contains(cinder.Message(err), "rabbit_transient_quorum_queue = true") {
				t.Errorf("listen to replies: got error %v, want one of kind %s with the option", err, cinder.KindUnavailable)
			}
			if want := strings.Join(strings.Fields(banText), " "); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("listen to replies: got error\n%v\nwant one with\n%s", err, want)
			}
			listen(t, open(t, streams(t, url)), func(oslo.Message) {}, everything()...)
		})
	}
}
