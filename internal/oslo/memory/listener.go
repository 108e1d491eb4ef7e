package memory

import (
	"context"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// listener consumes its queues, one message at a time. It runs a goroutine only while
// there are messages.
type listener struct {
	bus    *Transport
	handle func(oslo.Message)
	cancel context.CancelFunc // cancels the context of handle

	// The transport's mutex guards the fields below.
	queues []*queue
	next   int  // index of the next queue to read
	busy   bool // the goroutine is running
	closed bool
	idle   chan struct{} // closed when the listener is closed and not busy
}

// work handles a message, and then all further ones.
func (l *listener) work(m oslo.Message) {
	for more := true; more; {
		l.handle(m)
		m, more = l.take()
	}
}

// take returns the next message, from each queue in turn. When there is none, the
// goroutine must return.
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
			q.rotate(l)
			return m, true
		}
	}
	l.busy = false
	if l.closed {
		close(l.idle)
	}
	return oslo.Message{}, false
}

// stop stops taking messages.
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
