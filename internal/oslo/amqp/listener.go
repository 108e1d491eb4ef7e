package amqp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

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
	name   string // of all of them
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
	if err := link.refused(); err != nil {
		return nil, err
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	names := make([]string, len(on))
	for i, d := range on {
		names[i] = d.String()
	}
	l := &listener{
		t: t, link: link, on: slices.Clone(on), name: strings.Join(names, ", "), id: hex.EncodeToString(id[:]), handle: handle,
		idle: make(chan struct{}, 1), done: make(chan struct{}),
	}
	l.log = link.log.With("queues", l.name)
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
			if err != nil && cinder.KindOf(err) != cinder.KindUnavailable {
				return cinder.Wrap(cinder.KindUnavailable, err, "The message bus cannot be listened to.")
			}
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
		l.t.refusals.note(ctx, l.name, err)
		if err == nil {
			report(began, nil)
			began, tries = nil, 0
			if err = l.receive(ctx, in); err == nil { // it is closed
				return
			}
		}
		final := cinder.KindOf(err) == cinder.KindUnavailable // another connection does no better
		if (final || !s.ended()) && report(began, err) {
			return // and so does Listen
		}
		if ctx.Err() == nil && !s.ended() && len(Refusals(err)) == 0 { // which the link, or refusals, have logged
			l.log.WarnContext(ctx, "listening was interrupted", "error", err)
		}
		l.link.wait(ctx, max(l.t.o.Rabbit.ReconnectDelay, l.link.interval(max(tries, 1))))
	}
}

// report tells Listen what it waits for, when it still does.
func report(began chan<- error, err error) bool {
	select {
	case began <- err:
		return true
	default:
		return false
	}
}

// session waits for a connection; nil when the listener is closed.
func (l *listener) session(ctx context.Context) *session {
	for ctx.Err() == nil {
		st := l.link.now()
		if st.session != nil {
			return st.session
		}
		select {
		case <-st.changed:
		case <-ctx.Done():
		}
	}
	return nil
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
