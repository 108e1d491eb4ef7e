package amqp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

const (
	// listenTimeout bounds the start of a listener.
	listenTimeout = 30 * time.Second
	// ownPrefetch is how many messages of a queue of its own, fanout or reply, the
	// broker hands to a listener ahead: nobody else could take them.
	ownPrefetch = 200
)

// listener takes messages from its queues. Two goroutines work for it: one owns
// the channel (run), the other calls handle (one message at a time).
type listener struct {
	t      *Transport
	link   *link
	on     []oslo.Destination
	id     string // of its fanout queues, also after a reconnect: what waits there is still ours
	log    *slog.Logger
	handle func(context.Context, oslo.Message)

	handling context.Context //nolint:containedctx // That of handle, which ends when the listener is closed.
	cancel   context.CancelFunc
	idle     chan struct{} // holds a token while handle is not running
	done     chan struct{} // closed when run has returned
}

// Listen implements oslo.Transport. It fails when a queue cannot be declared,
// saying which and what option it depends on. Once it listens, it goes on by
// itself after a connection was lost.
func (t *Transport) Listen(ctx context.Context, on []oslo.Destination, handle func(context.Context, oslo.Message)) (oslo.Listener, error) {
	if err := t.usable(ctx); err != nil {
		return nil, err
	}
	link, err := t.listenLink()
	if err != nil {
		return nil, err
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	names := make([]string, len(on))
	for i, d := range on {
		names[i] = d.String()
	}
	l := &listener{
		t: t, link: link, on: slices.Clone(on), id: hex.EncodeToString(id[:]), handle: handle,
		log:  link.log.With("queues", strings.Join(names, ", ")),
		idle: make(chan struct{}, 1), done: make(chan struct{}),
	}
	l.handling, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.idle <- struct{}{}

	if err := t.add(l); err != nil {
		return nil, err
	}
	began := make(chan error, 1)
	go l.run(began)
	if err := l.begun(ctx, began); err != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = l.Close(closing) // when it takes longer, Transport.Close waits for it
		return nil, err
	}
	return l, nil
}

// begun waits until the listener listens. When there is no connection it waits no
// longer than senders do: who makes a listener to be answered has a caller.
func (l *listener) begun(ctx context.Context, began <-chan error) error {
	bound, away := time.NewTimer(listenTimeout), time.NewTimer(patience)
	defer bound.Stop()
	defer away.Stop()
	for {
		select {
		case err := <-began:
			return err
		case <-away.C:
			if st := l.link.now(); st.session == nil && !errors.Is(st.err, errNotYet) {
				return st.away()
			}
		case <-bound.C:
			return cinder.Wrap(cinder.KindUnavailable, l.link.now().err, "The message bus cannot be listened to.")
		case <-ctx.Done():
			return cinder.Wrap(cinder.KindUnavailable, errors.Join(context.Cause(ctx), l.link.now().err), "The message bus cannot be listened to.")
		}
	}
}

// add makes a listener one that Close closes.
func (t *Transport) add(l *listener) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed()
	}
	t.listeners[l] = struct{}{}
	return nil
}

// run listens on one session after another. The first success, or the first
// refusal, goes to began.
func (l *listener) run(began chan<- error) {
	defer close(l.done)
	ctx := l.handling
	for tries := 1; ; tries++ {
		s := l.session(ctx)
		if s == nil {
			return
		}
		in, err := l.begin(s)
		if err == nil {
			select {
			case began <- nil:
			default:
			}
			tries = 0
			if err = l.receive(ctx, in); err == nil { // it is closed
				return
			}
		}
		if !s.ended() {
			select {
			case began <- cinder.Wrap(cinder.KindUnavailable, err, "The message bus cannot be listened to."):
			default:
			}
		}
		l.log.WarnContext(ctx, "listening was interrupted", "error", err)
		l.link.wait(ctx, max(l.t.o.Rabbit.ReconnectDelay, l.link.interval(max(tries, 1))))
	}
}

// session waits for a connection; nil when the listener is closed.
func (l *listener) session(ctx context.Context) *session {
	for {
		st := l.link.now()
		if st.session != nil {
			return st.session
		}
		select {
		case <-st.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

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
}

// begin declares the queues and consumes them.
func (l *listener) begin(s *session) (*intake, error) {
	in := &intake{s: s, prefetch: max(l.t.o.Rabbit.Prefetch, 1)}
	room := 0
	var consumers []func(wg *sync.WaitGroup)
	// One call for each step: many listeners that start at the same time, or a
	// slow quorum, are no dead broker.
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
		err := s.call("listen on "+q.name, func() (err error) {
			deliveries, err = l.consume(in.ch, &q, tag, prefetch)
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
func (l *listener) consume(ch *amqp091.Channel, q *queue, tag string, prefetch int) (<-chan amqp091.Delivery, error) {
	if err := q.declare(ch); err != nil {
		return nil, err
	}
	if err := ch.Qos(prefetch, 0, false); err != nil { // of the consumers that follow
		return nil, fmt.Errorf("limit what comes ahead: %w", err)
	}
	deliveries, err := ch.Consume(q.name, tag, false, false, false, false, l.t.topology.consumerArgs())
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

// receive hands messages to handle until the listener is closed, when it returns
// nil, or the messages end.
func (l *listener) receive(ctx context.Context, in *intake) error {
	defer in.end()
	for {
		select {
		case <-l.idle:
		case <-in.cancelled:
			return errCancelled
		case <-ctx.Done():
			in.leave(l)
			return nil
		}
		m, err := l.next(ctx, in)
		if err != nil {
			l.idle <- struct{}{}
			if ctx.Err() == nil {
				return err
			}
			in.leave(l)
			return nil
		}
		go func() { // Close waits for the token
			defer func() { l.idle <- struct{}{} }()
			l.handle(l.handling, m)
		}()
	}
}

// errCancelled ends an intake: its queue was deleted or has moved, or the channel
// was closed.
var errCancelled = errors.New("the broker ended it")

// next waits for a message that is still to be handled, and takes it.
func (l *listener) next(ctx context.Context, in *intake) (oslo.Message, error) {
	for {
		select {
		case m, ok := <-in.arrivals:
			if !ok {
				return oslo.Message{}, errCancelled
			}
			taken, live, err := in.take(m)
			if err != nil {
				return oslo.Message{}, fmt.Errorf("take a message: %w", err)
			}
			if live {
				return taken, nil
			}
		case <-in.cancelled:
			return oslo.Message{}, errCancelled
		case <-ctx.Done():
			return oslo.Message{}, context.Cause(ctx)
		}
	}
}

// take acknowledges a message, before anything is done on its account: nothing
// is carried out twice. The broker does not say that it has an acknowledgement.
// For work that others could be given instead, a question to the broker makes
// sure: its answer says that all before it was read. Otherwise a process that
// was stopped for a while would carry out what was given to another long since.
// A message that has expired while it waited here is not live.
func (in *intake) take(m arrival) (taken oslo.Message, live bool, err error) {
	err = in.s.call("acknowledge a message", func() error {
		if err := m.Ack(false); err != nil || m.route != oslo.RouteQueue {
			return err
		}
		return in.ch.Qos(in.prefetch, 0, false) // of consumers that never come
	})
	if err != nil {
		return oslo.Message{}, false, err
	}
	expiry, expires := expiration(m.Expiration)
	if !expires {
		return oslo.Message{Body: m.Body}, true, nil
	}
	left := expiry - time.Since(m.at)
	return oslo.Message{Body: m.Body, Expiry: left}, left > 0, nil
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
	_ = in.s.call("stop listening", func() error {
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
func (in *intake) end() { _ = in.s.call("close a channel", in.ch.Close) }

// stop takes no more messages.
func (l *listener) stop() { l.cancel() }

// Close implements oslo.Listener.
func (l *listener) Close(ctx context.Context) error {
	l.stop()
	select {
	case <-l.done:
	case <-ctx.Done():
		return cinder.Wrap(cinder.KindTimeout, context.Cause(ctx), "The message bus is still being left.")
	}
	select {
	case <-l.idle:
		l.idle <- struct{}{}
	case <-ctx.Done():
		return cinder.Wrap(cinder.KindTimeout, context.Cause(ctx), "A message is still being handled.")
	}
	l.t.mu.Lock()
	delete(l.t.listeners, l)
	l.t.mu.Unlock()
	return nil
}
