package amqp

import (
	"errors"
	"strings"
	"sync"
	"time"

	"stoker/internal/cinder"
)

// banned is how long a ban is believed before the broker is asked again. The
// question costs a connection that others listen on.
const banned = 30 * time.Second

// ban is what a broker says that takes no transient queues: those that are neither
// durable nor exclusive. RabbitMQ 4 can be told to be so. It answers the
// declaration of one by closing the connection.
type ban struct {
	mu     sync.Mutex // guards what follows
	reason string     // the broker's; "" when there is none
	since  time.Time
}

// banned is the error of a queue that a broker refuses for such a reason; nil of a
// durable one, and when the reason is another.
func (q *queue) banned(reason string) error {
	if q.durable || !strings.Contains(reason, "transient_nonexcl_queues") {
		return nil
	}
	// The names of a process's own queues are random: with them, each error would
	// be news.
	kind, option := "topics", "rabbit_quorum_queue or amqp_durable_queues"
	if q.own {
		kind, option = "fanouts and replies", "rabbit_transient_quorum_queue"
	}
	return cinder.Wrap(cinder.KindUnavailable, errors.New(oneLine(reason)),
		"The broker takes no transient queues, and those of %s are. Set [oslo_messaging_rabbit] %s = true, here and for the other services on this bus, "+
			"or have the broker take them (deprecated_features.permit.transient_nonexcl_queues = true).", kind, option)
}

// on is the error of declaring a queue that the broker has lately refused the like
// of; nil of a queue that it takes, or may take.
func (b *ban) on(q *queue) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.since) > banned {
		return nil
	}
	return q.banned(b.reason)
}

// judge returns the error that declaring a queue on a session ended with: when the
// broker closed the connection with a ban, the queue's. Not every call that was
// under way is told why by the library, so the session is asked. A durable queue
// that was being declared meanwhile is not banned.
func (b *ban) judge(q *queue, s *session, err error) error {
	if !s.conn.IsClosed() {
		return err
	}
	<-s.lost // which is about to be
	if reason := s.why().Error(); strings.Contains(reason, "transient_nonexcl_queues") {
		b.mu.Lock()
		b.reason, b.since = reason, time.Now()
		b.mu.Unlock()
	}
	if banned := b.on(q); banned != nil {
		return banned
	}
	return err
}
