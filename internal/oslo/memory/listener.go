package memory

import (
	"context"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// listener takes messages out of its queues, one after another. It has a
// goroutine only while there are any.
type listener struct {
	bus    *Transport
	handle func(oslo.Message)
	cancel context.CancelFunc // ends the context of handle

	// The transport's mutex guards what follows.
	queues []*queue
	next   int  // the queue whose turn it is
	busy   bool // a goroutine is at work
	closed bool
	idle   chan struct{} // closed when the listener is, and nothing is at work
}

// work handles a message, and then what else there is.
func (l *listener) work(m oslo.Message) {
	for more := true; more; {
		l.handle(m)
		m, more = l.take()
	}
}

// take is the next message, from each queue in turn. When there is none, the
// goroutine must end.
func (l *listener) take() (oslo.Message, bool) {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	now := time.Now()
	for range l.queues {
		if l.closed {
			break
		}
		q := l.queues[l.next]
		l.next = (l.next + 1) % len(l.queues)
		if m, ok := q.pop(now); ok {
			q.served(l)
			return m, true
		}
	}
	l.busy = false
	if l.closed {
		close(l.idle)
	}
	return oslo.Message{}, false
}

// stop takes no more messages.
func (l *listener) stop() {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	l.bus.drop(l)
	l.cancel()
	if !l.busy {
		close(l.idle)
	}
}

// Close implements oslo.Listener.
func (l *listener) Close(ctx context.Context) error {
	l.stop()
	select {
	case <-l.idle:
		return nil
	case <-ctx.Done():
		return cinder.Wrap(cinder.KindTimeout, context.Cause(ctx), "A message is still being handled.")
	}
}
