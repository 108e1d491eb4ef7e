package amqp

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/oslo"
)

// arrival is a message that the broker has handed over.
type arrival struct {
	amqp091.Delivery
	at    time.Time
	route oslo.Route
}

// intake is what a listener has on one session.
type intake struct {
	s        *session
	ch       *amqp091.Channel
	tags     []string
	prefetch int
	arrivals chan arrival // closed when all consumers have ended
	// cancelled hears, or is closed, when one of them has ended.
	cancelled chan string
	replies   bool // nothing but replies comes
	unsaid    int  // how many replies were taken that the broker has not been told of

	asking sync.Mutex // held while something is asked on the channel, which takes one question at a time
}

// begin declares the queues and consumes them.
func (l *listener) begin(s *session) (*intake, error) {
	in := &intake{
		s: s, prefetch: max(l.t.o.Rabbit.Prefetch, 1),
		replies: !slices.ContainsFunc(l.on, func(d oslo.Destination) bool { return d.Route != oslo.RouteReply }),
	}
	room := 0
	var consumers []func(wg *sync.WaitGroup)
	err := s.call("open a channel to listen on", func() (err error) {
		in.ch, err = s.conn.Channel()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open a channel: %w", err)
	}
	in.cancelled = in.ch.NotifyCancel(make(chan string, len(l.on)))
	for i, d := range l.on {
		q, tag, prefetch := l.t.topology.queue(d, l.id), strconv.Itoa(i+1), in.prefetch
		if d.Route != oslo.RouteQueue {
			prefetch = ownPrefetch
		}
		var deliveries <-chan amqp091.Delivery
		err := s.setUp(func() (err error) {
			deliveries, err = l.consume(s, in.ch, &q, tag, prefetch)
			return err
		})
		if err != nil {
			_ = s.call("close a channel", in.ch.Close)
			return nil, err
		}
		in.tags, room = append(in.tags, tag), room+prefetch
		consumers = append(consumers, func(wg *sync.WaitGroup) {
			wg.Go(func() {
				for m := range deliveries {
					in.arrivals <- arrival{m, time.Now(), d.Route} // there is room for all the broker may send
				}
			})
		})
	}
	in.arrivals = make(chan arrival, room)
	s.begin(func() { in.forward(consumers) })
	return in, nil
}

// consume declares a queue and begins to consume it.
func (l *listener) consume(s *session, ch *amqp091.Channel, q *queue, tag string, prefetch int) (<-chan amqp091.Delivery, error) {
	if err := l.t.ban.on(q); err != nil {
		return nil, refused(err)
	}
	if q.exchange != nil {
		if err := s.declareExchange(*q.exchange); err != nil {
			return nil, refused(err)
		}
	}
	if err := q.declare(ch); err != nil {
		return nil, refused(l.t.ban.judge(q, s, err))
	}
	if err := ch.Qos(prefetch, 0, false); err != nil { // of the consumers that follow
		return nil, fmt.Errorf("limit what comes ahead: %w", err)
	}
	deliveries, err := ch.Consume(q.name, tag, false, false, false, false, l.t.topology.consumerArgs())
	if f := forbidden(err, "listen to the queue "+q.name, "read", "queue"); f != nil {
		return nil, f
	}
	if err != nil {
		return nil, fmt.Errorf("consume %s: %w", q.name, err)
	}
	return deliveries, nil
}

// forward brings the messages of all consumers together until one of them ends,
// which the broker does when its queue goes.
func (in *intake) forward(consumers []func(*sync.WaitGroup)) {
	var all sync.WaitGroup
	for _, c := range consumers {
		c(&all)
	}
	all.Wait()
	close(in.arrivals)
}

// take acknowledges a message, before anything is done on its account: nothing
// is carried out twice. The broker does not say that it has an acknowledgement.
// For work that others could be given instead, Sure asks the broker something: its
// answer says that all before it was read. Otherwise a process that was stopped
// for a while would carry out what was given to another long since. A message
// that has expired while it waited here is not live.
func (in *intake) take(m arrival) (taken oslo.Message, live bool, err error) {
	if err := in.acknowledge(m); err != nil {
		return oslo.Message{}, false, err
	}
	taken.Body = m.Body
	if m.route == oslo.RouteQueue {
		taken.Sure = in.sure
	}
	expiry, expires := expiration(m.Expiration)
	if !expires {
		return taken, true, nil
	}
	taken.Expiry = expiry - time.Since(m.at)
	return taken, taken.Expiry > 0, nil
}

// acknowledge tells the broker that a message was taken. Of replies, which come in
// crowds and to nobody else, it is told at the last of those that are here.
func (in *intake) acknowledge(m arrival) error {
	in.unsaid++
	if in.replies && len(in.arrivals) > 0 && in.unsaid < ownPrefetch/2 {
		return nil
	}
	in.unsaid = 0
	return in.s.call("acknowledge a message", func() error { return m.Ack(in.replies) })
}

// sure returns when the broker has read all that was said before.
func (in *intake) sure() error {
	return in.ask("make sure of a message", func() error {
		return in.ch.Qos(in.prefetch, 0, false) // of consumers that never come
	})
}

// ask asks the broker something on the channel.
func (in *intake) ask(what string, f func() error) error {
	in.asking.Lock()
	defer in.asking.Unlock()
	return in.s.call(what, f)
}

// expiration reads the property of that name: milliseconds. The broker does not
// say how much of it was spent in the queue.
func expiration(text string) (d time.Duration, ok bool) {
	ms, err := strconv.ParseUint(text, 10, 32) // the broker takes no more
	if err != nil {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}

// leave takes no more messages, gives back those that came ahead, and deletes
// what was the listener's alone. A reply queue stays until it expires, as
// Cinder's do: a Python service that still has a reply for it would try for a
// minute.
func (in *intake) leave(l *listener) {
	_ = in.ask("stop listening", func() error {
		for _, tag := range in.tags { // a quorum queue hears late of a channel that is closed
			if err := in.ch.Cancel(tag, false); err != nil {
				return err
			}
		}
		for _, d := range l.on {
			if d.Route != oslo.RouteFanout {
				continue
			}
			q := l.t.topology.queue(d, l.id)
			if _, err := in.ch.QueueDelete(q.name, false, false, false); err != nil {
				return err
			}
		}
		return nil
	})
}

// end closes the channel: the broker gives what was not acknowledged to others.
func (in *intake) end() { _ = in.ask("close a channel", in.ch.Close) }
