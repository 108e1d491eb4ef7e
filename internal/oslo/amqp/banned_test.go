package amqp

import (
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/cinder"
)

// A broker that an operator has changed is asked again.
func TestABanIsNotBelievedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &ban{reason: "transient_nonexcl_queues", since: time.Now()}
		transient, lasting := &queue{name: "q", own: true}, &queue{name: "q", durable: true}
		<-time.After(banned)
		if err := b.on(transient); cinder.KindOf(err) != cinder.KindUnavailable {
			t.Errorf("after %s: got error %v, want one of kind %s", banned, err, cinder.KindUnavailable)
		}
		if err := b.on(lasting); err != nil {
			t.Errorf("a durable queue: %v", err)
		}
		<-time.After(time.Second)
		if err := b.on(transient); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}
