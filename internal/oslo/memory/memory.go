package memory

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// Capacity is how many messages a queue holds.
const Capacity = 10_000

// Transport is a message bus within the process.
type Transport struct {
	mu        sync.Mutex // guards the fields below, and all queues and listeners
	queues    map[oslo.Destination]*queue
	fanouts   map[string][]*queue // by topic: one queue per listener
	listeners map[*listener]struct{}
	closed    bool
}

var _ oslo.Transport = (*Transport)(nil)

// New returns a bus without queues.
func New() *Transport {
	return &Transport{
		queues:    map[oslo.Destination]*queue{},
		fanouts:   map[string][]*queue{},
		listeners: map[*listener]struct{}{},
	}
}

// Send implements oslo.Transport. A full queue is KindUnavailable. A listener that far
// behind misses fanouts, so as not to affect the others.
func (t *Transport) Send(ctx context.Context, to oslo.Destination, m oslo.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(ctx); err != nil {
		return err
	}
	now := time.Now()
	if to.Route == oslo.RouteFanout {
		for _, q := range t.fanouts[to.Name] {
			if q.push(m, now) {
				t.deliver(q, now)
			}
		}
		return nil
	}
	q, ok := t.queues[to]
	if !ok {
		return cinder.Errorf(cinder.KindUndeliverable, "There is no queue %s.", to)
	}
	if !q.push(m, now) {
		return cinder.Errorf(cinder.KindUnavailable, "The queue %s is full.", to)
	}
	t.deliver(q, now)
	return nil
}

// Consumers implements oslo.Transport.
func (t *Transport) Consumers(ctx context.Context, to oslo.Destination) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(ctx); err != nil {
		return 0, err
	}
	if q, ok := t.queues[to]; ok {
		return len(q.consumers), nil
	}
	return 0, nil
}

// Check implements oslo.Transport.
func (t *Transport) Check(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.usable(ctx)
}

// Listen implements oslo.Transport.
func (t *Transport) Listen(ctx context.Context, on []oslo.Destination, handle func(context.Context, oslo.Message)) (oslo.Listener, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(ctx); err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &listener{bus: t, cancel: cancel, idle: make(chan struct{})}
	l.handle = func(m oslo.Message) { handle(run, m) }
	for _, d := range on {
		q := t.queue(d)
		q.consumers = append(q.consumers, l)
		l.queues = append(l.queues, q)
	}
	t.listeners[l] = struct{}{}
	for _, q := range l.queues { // messages that waited there
		t.deliver(q, time.Now())
	}
	return l, nil
}

// Close implements oslo.Transport.
func (t *Transport) Close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	listeners := make([]*listener, 0, len(t.listeners))
	for l := range t.listeners {
		listeners = append(listeners, l)
	}
	t.mu.Unlock()
	for _, l := range listeners {
		l.stop()
	}
	var errs error
	for _, l := range listeners {
		errs = errors.Join(errs, l.Close(ctx))
	}
	return errs
}

func (t *Transport) usable(ctx context.Context) error {
	if t.closed {
		return cinder.Errorf(cinder.KindUnavailable, "The message bus is closed.")
	}
	if ctx.Err() != nil {
		return cinder.Wrap(cinder.KindUnavailable, context.Cause(ctx), "The message bus was not used in time.")
	}
	return nil
}

// queue returns a listener's queue for a destination. It creates missing ones, and
// always for a fanout.
func (t *Transport) queue(d oslo.Destination) *queue {
	q, ok := t.queues[d]
	if ok && d.Route != oslo.RouteFanout {
		return q
	}
	q = &queue{of: d}
	if d.Route == oslo.RouteFanout {
		t.fanouts[d.Name] = append(t.fanouts[d.Name], q)
	} else {
		t.queues[d] = q
	}
	return q
}

// drop removes a listener from its queues, and deletes its own queues.
func (t *Transport) drop(l *listener) {
	delete(t.listeners, l)
	for _, q := range l.queues {
		q.consumers = slices.DeleteFunc(q.consumers, func(o *listener) bool { return o == l })
		switch {
		case q.of.Route == oslo.RouteFanout:
			rest := slices.DeleteFunc(t.fanouts[q.of.Name], func(o *queue) bool { return o == q })
			t.fanouts[q.of.Name] = rest
			if len(rest) == 0 {
				delete(t.fanouts, q.of.Name)
			}
		case q.of.Route == oslo.RouteReply && len(q.consumers) == 0:
			delete(t.queues, q.of)
		}
	}
}

// deliver hands messages of a queue to its idle listeners.
func (t *Transport) deliver(q *queue, now time.Time) {
	for {
		i := slices.IndexFunc(q.consumers, func(l *listener) bool { return !l.busy })
		if i < 0 {
			return
		}
		m, ok := q.pop(now)
		if !ok {
			return
		}
		l := q.consumers[i]
		q.rotate(l)
		l.busy = true
		go l.work(m)
	}
}
