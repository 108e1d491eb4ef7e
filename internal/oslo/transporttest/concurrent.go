package transporttest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

func oneAtATime(b *bus) {
	var busy atomic.Bool
	done := make(chan struct{}, 100)
	b.listenWith(func(context.Context, oslo.Message) {
		if busy.Swap(true) {
			b.Error("two messages are handled at the same time")
		}
		<-time.After(time.Millisecond)
		busy.Store(false)
		done <- struct{}{}
	}, oslo.Target{Topic: b.topic, Server: "one"}.Destinations()...)
	for _, to := range []oslo.Destination{oslo.ToAny(b.topic), oslo.ToServer(b.topic, "one"), oslo.ToAll(b.topic)} {
		for range 10 {
			b.send(to, "x")
		}
	}
	for range 30 {
		receive(b, done)
	}
}

// busy has a listener that hangs. One message may be waiting for it: the sender cannot
// tell which listener gets it.
func busy(b *bus) {
	const messages = 10
	to := oslo.ToAny(b.topic)
	release, all := make(chan struct{}), make(chan string, messages)
	stuck := make(chan struct{})
	b.listenWith(func(_ context.Context, m oslo.Message) {
		if string(m.Body) == "stuck" {
			close(stuck)
			<-release
			return
		}
		all <- string(m.Body)
	}, to)
	b.send(to, "stuck")
	receive(b, stuck)
	others := b.listen(to)
	for i := range messages {
		b.send(to, fmt.Sprint(i))
	}
	for range messages - 1 {
		all <- string(others.next().Body)
	}
	close(release)
	seen := map[string]bool{}
	for range messages {
		select {
		case m := <-all:
			seen[m] = true
		case m := <-others.got:
			seen[string(m.Body)] = true
		case <-b.ctx.Done():
			b.Fatalf("of %d messages %v came", messages, seen)
		}
	}
	if len(seen) != messages {
		b.Errorf("of %d messages %v came", messages, seen)
	}
}

func once(b *bus) {
	const senders, each = 8, 50
	got := make(chan string, 2*senders*each)
	for i := range 4 {
		b.listenWith(func(_ context.Context, m oslo.Message) { got <- string(m.Body) },
			oslo.Target{Topic: b.topic, Server: fmt.Sprint(i)}.Destinations()...)
	}
	var sending sync.WaitGroup
	for s := range senders {
		sending.Go(func() {
			for i := range each {
				if err := b.Send(b.ctx, oslo.ToAny(b.topic), oslo.Message{Body: fmt.Appendf(nil, "%d-%d", s, i)}); err != nil {
					b.Errorf("send: %v", err)
				}
			}
		})
	}
	sending.Wait()
	seen := map[string]bool{}
	for range senders * each {
		select {
		case body := <-got:
			if seen[body] {
				b.Errorf("message %s came twice", body)
			}
			seen[body] = true
		case <-b.ctx.Done():
			b.Fatalf("%d of %d messages came", len(seen), senders*each)
		}
	}
}

func outcomes(b *bus) {
	in := b.listen(oslo.ToAny(b.topic))
	var sending sync.WaitGroup
	const each = 50
	for range each {
		sending.Go(func() {
			if err := b.Send(b.ctx, oslo.ToAny(b.topic), oslo.Message{Body: []byte("x")}); err != nil {
				b.Errorf("send to a queue: %v", err)
			}
		})
		for _, nowhere := range []oslo.Destination{oslo.ToAny(b.topic + "-gone"), oslo.ToReplies("reply_" + b.topic)} {
			sending.Go(func() {
				b.wantKind("send to "+nowhere.String(), b.Send(b.ctx, nowhere, oslo.Message{Body: []byte("x")}), cinder.KindUndeliverable)
			})
		}
		sending.Go(func() { b.consumers(oslo.ToAny(b.topic+"-gone"), 0) })
		sending.Go(func() {
			if err := b.Send(b.ctx, oslo.ToAll(b.topic), oslo.Message{Body: []byte("x")}); err != nil {
				b.Errorf("fanout: %v", err)
			}
		})
	}
	sending.Wait()
	for range each {
		in.next()
	}
	if len(in.got) > 0 {
		b.Errorf("%d messages came that were sent elsewhere", len(in.got))
	}
}

// closedUnderLoad checks that every call returns with a kind that tells the sender what
// it can know.
func closedUnderLoad(b *bus) {
	to := oslo.ToAny(b.topic)
	b.listenWith(func(context.Context, oslo.Message) {}, to)
	var sending sync.WaitGroup
	began := make(chan struct{}, 8)
	for range cap(began) {
		sending.Go(func() {
			for i := 0; ; i++ {
				err := b.Send(b.ctx, to, oslo.Message{Body: []byte("x")})
				if i == 0 {
					began <- struct{}{}
				}
				switch kind := cinder.KindOf(err); {
				case err == nil:
				case kind == cinder.KindUnavailable:
					return
				case kind != cinder.KindTimeout:
					b.Errorf("send while the transport closes: %v", err)
				}
			}
		})
	}
	for range cap(began) {
		receive(b, began)
	}
	b.end()
	sending.Wait()
}
