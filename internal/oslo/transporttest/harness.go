package transporttest

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// testTimeout bounds each test, generously for a busy machine.
const testTimeout = time.Minute

// Run runs the suite on the transports that open returns, whose bus others may use at
// the same time. It closes them after each test.
func Run(t *testing.T, open func(testing.TB) oslo.Transport) {
	t.Helper()
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			b := &bus{T: t, Transport: open(t), ctx: ctx, topic: "test-" + rand.Text()}
			defer b.end()
			c.run(b)
		})
	}
}

type contract struct {
	name string
	run  func(*bus)
}

// bus is a test of a transport, with a topic of its own.
type bus struct {
	*testing.T
	oslo.Transport
	ctx   context.Context //nolint:containedctx // The test's, which every call takes.
	topic string
}

func (b *bus) end() {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), testTimeout)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		b.Errorf("close the transport: %v", err)
	}
}

func (b *bus) send(to oslo.Destination, body string) {
	b.Helper()
	b.sendExpiring(to, body, 0)
}

func (b *bus) sendExpiring(to oslo.Destination, body string, expiry time.Duration) {
	b.Helper()
	if err := b.Send(b.ctx, to, oslo.Message{Body: []byte(body), Expiry: expiry}); err != nil {
		b.Fatalf("send to %s: %v", to, err)
	}
}

func (b *bus) consumers(at oslo.Destination, want int) {
	b.Helper()
	got, err := b.Consumers(b.ctx, at)
	if err != nil || got != want {
		b.Errorf("consumers of %s: got %d, %v; want %d", at, got, err, want)
	}
}

// inbox is a listener that collects messages.
type inbox struct {
	b *bus
	oslo.Listener
	got chan oslo.Message
}

func (b *bus) listen(on ...oslo.Destination) inbox {
	b.Helper()
	got := make(chan oslo.Message, 1000)
	return inbox{b, b.listenWith(func(_ context.Context, m oslo.Message) { got <- m }, on...), got}
}

func (b *bus) listenWith(handle func(context.Context, oslo.Message), on ...oslo.Destination) oslo.Listener {
	b.Helper()
	l, err := b.Listen(b.ctx, on, handle)
	if err != nil {
		b.Fatalf("listen on %v: %v", on, err)
	}
	return l
}

// receive waits for a value from a channel, or for it to be closed.
func receive[T any](b *bus, from <-chan T) T {
	b.Helper()
	select {
	case got := <-from:
		return got
	case <-b.ctx.Done():
		b.Fatal("nothing came")
		var none T
		return none
	}
}

// next waits for a message.
func (i inbox) next() oslo.Message {
	i.b.Helper()
	select {
	case m := <-i.got:
		return m
	case <-time.After(testTimeout):
		i.b.Fatal("no message came")
		return oslo.Message{}
	}
}

// gets checks the bodies of the next messages.
func (i inbox) gets(want ...string) {
	i.b.Helper()
	for _, w := range want {
		if got := string(i.next().Body); got != w {
			i.b.Fatalf("got message %q, want %q", got, w)
		}
	}
}

func (b *bus) close(l oslo.Listener) {
	b.Helper()
	if err := l.Close(b.ctx); err != nil {
		b.Fatalf("close a listener: %v", err)
	}
}

func (b *bus) wantKind(what string, err error, want cinder.Kind) {
	b.Helper()
	if err == nil || cinder.KindOf(err) != want {
		b.Errorf("%s: got error %v, want one of kind %s", what, err, want)
	}
}
