package transporttest

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

func cases() []contract {
	return []contract{
		{"a body arrives as it was sent", intact},
		{"one of the listeners gets what is for any", turns},
		{"a server gets what is for it alone", named},
		{"every listener gets what is for all", fanout},
		{"a server's queue is also that of a topic", shared},
		{"messages keep their order", order},
		{"a queue outlives its listeners", outlives},
		{"an expired message is not delivered", expiry},
		{"a message that expires behind another is not delivered", behind},
		{"a message that is in time says how long it has left", left},
		{"there must be a queue", undeliverable},
		{"replies go to one client", replies},
		{"a listener takes one message at a time", oneAtATime},
		{"who is busy leaves work to others", busy},
		{"every message is delivered once", once},
		{"every message has its own outcome", outcomes},
		{"a listener that closes waits for what it handles", waits},
		{"a listener that closes waits only so long", waitsNoLonger},
		{"a transport closes while messages are sent", closedUnderLoad},
		{"a closed transport does nothing", closedTransport},
		{"a context that has ended sends nothing", ended},
	}
}

func intact(b *bus) {
	in := b.listen(oslo.ToAny(b.topic))
	for _, body := range [][]byte{{}, []byte(`{"a": "ü\u0000"}`), bytes.Repeat([]byte("0123456789abcdef"), 1<<16)} {
		if err := b.Send(b.ctx, oslo.ToAny(b.topic), oslo.Message{Body: body}); err != nil {
			b.Fatal(err)
		}
		if got := in.next(); !bytes.Equal(got.Body, body) || got.Expiry != 0 {
			b.Errorf("got %d bytes that expire in %s, want %d that do not", len(got.Body), got.Expiry, len(body))
		}
	}
}

func turns(b *bus) {
	got := make(chan int, 100)
	for i := range 2 {
		b.listenWith(func(context.Context, oslo.Message) { got <- i }, oslo.Target{Topic: b.topic, Server: fmt.Sprint(i)}.Destinations()...)
	}
	count := map[int]int{}
	for range 20 {
		b.send(oslo.ToAny(b.topic), "x")
		select {
		case i := <-got:
			count[i]++
		case <-b.ctx.Done():
			b.Fatal("no message came")
		}
	}
	if count[0] == 0 || count[1] == 0 { // a busy listener may miss turns, but not all of them
		b.Errorf("of 20 messages the listeners got %v, want some for each", count)
	}
}

func named(b *bus) {
	one := b.listen(oslo.Target{Topic: b.topic, Server: "one"}.Destinations()...)
	two := b.listen(oslo.Target{Topic: b.topic, Server: "two"}.Destinations()...)
	b.send(oslo.ToServer(b.topic, "one"), "for one")
	b.send(oslo.ToServer(b.topic, "two"), "for two")
	one.gets("for one")
	two.gets("for two")
}

func fanout(b *bus) {
	one := b.listen(oslo.Target{Topic: b.topic, Server: "one"}.Destinations()...)
	two := b.listen(oslo.Target{Topic: b.topic, Server: "two"}.Destinations()...)
	hearer := b.listen(oslo.Target{Topic: b.topic}.Destinations()...)
	other := b.listen(oslo.ToAll(b.topic + "-other"))
	b.consumers(oslo.ToAny(b.topic), 2)

	// If hearer consumed the topic's queue, it would get one of these.
	for range 3 {
		b.send(oslo.ToAny(b.topic), "work")
	}
	work := 0
	for work < 3 {
		select {
		case <-one.got:
		case <-two.got:
		case <-b.ctx.Done():
			b.Fatal("no message came")
		}
		work++
	}
	b.send(oslo.ToAll(b.topic), "news")
	b.send(oslo.ToAll(b.topic+"-other"), "other news")
	for _, in := range []inbox{one, two, hearer} {
		in.gets("news")
	}
	other.gets("other news")

	b.close(two)
	b.send(oslo.ToAll(b.topic), "more news")
	one.gets("more news")
	hearer.gets("more news")
}

// shared listens like a volume service: its server queue of the shared topic is the
// queue of its own topic (doc/cinder/wire.md#listeners).
func shared(b *bus) {
	got := make(chan string, 10)
	for _, target := range []oslo.Target{{Topic: b.topic, Server: "host1@alpha"}, {Topic: b.topic + ".host1@alpha", Server: "host1"}} {
		b.listenWith(func(context.Context, oslo.Message) { got <- target.Topic }, target.Destinations()...)
	}
	at := oslo.ToServer(b.topic, "host1@alpha")
	if at != oslo.ToAny(b.topic+".host1@alpha") {
		b.Fatalf("%s is not the topic's queue", at)
	}
	b.consumers(at, 2)
	seen := map[string]bool{}
	for range 2 {
		b.send(at, "x")
		seen[receive(b, got)] = true
	}
	if len(seen) != 2 {
		b.Errorf("two messages went to %v, want one to each listener", seen)
	}
}

func order(b *bus) {
	in := b.listen(oslo.ToAny(b.topic))
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint(i))
		b.send(oslo.ToAny(b.topic), fmt.Sprint(i))
	}
	in.gets(want...)
}

func outlives(b *bus) {
	for _, to := range []oslo.Destination{oslo.ToAny(b.topic), oslo.ToServer(b.topic, "one")} {
		b.consumers(to, 0)
		first := b.listen(to)
		b.consumers(to, 1)
		b.close(first)
		b.consumers(to, 0)
		b.send(to, "while nobody listened")
		second := b.listen(to)
		second.gets("while nobody listened")
		if len(first.got) > 0 {
			b.Errorf("%s: a closed listener got a message", to)
		}
	}
}

func expiry(b *bus) {
	to := oslo.ToAny(b.topic)
	b.close(b.listen(to))
	b.sendExpiring(to, "early", time.Hour)
	b.sendExpiring(to, "expired", 20*time.Millisecond)
	b.send(to, "late")
	<-time.After(100 * time.Millisecond)
	b.listen(to).gets("early", "late")
}

// behind checks a message that a listener may have prefetched while it was busy, and
// that expires meanwhile.
func behind(b *bus) {
	to := oslo.ToAny(b.topic)
	got, release := make(chan string, 10), make(chan struct{})
	b.listenWith(func(_ context.Context, m oslo.Message) {
		got <- string(m.Body)
		<-release
	}, to)
	b.send(to, "slow")
	if first := receive(b, got); first != "slow" {
		b.Fatalf("got %q first", first)
	}
	b.sendExpiring(to, "expired", 50*time.Millisecond)
	b.send(to, "late")
	<-time.After(200 * time.Millisecond)
	close(release)
	if second := receive(b, got); second != "late" {
		b.Errorf("got %q second, want late", second)
	}
}

func left(b *bus) {
	in := b.listen(oslo.ToAny(b.topic))
	b.sendExpiring(oslo.ToAny(b.topic), "x", time.Hour)
	if m := in.next(); m.Expiry <= time.Hour-testTimeout || m.Expiry > time.Hour {
		b.Errorf("a message that expires in an hour says it has %s left", m.Expiry)
	}
}

func undeliverable(b *bus) {
	for _, to := range []oslo.Destination{oslo.ToAny(b.topic), oslo.ToServer(b.topic, "one"), oslo.ToReplies("reply_" + b.topic)} {
		b.wantKind("send to "+to.String(), b.Send(b.ctx, to, oslo.Message{}), cinder.KindUndeliverable)
		b.consumers(to, 0)
	}
	b.send(oslo.ToAll(b.topic), "to nobody")
	in := b.listen(oslo.ToAny(b.topic), oslo.ToAll(b.topic))
	b.send(oslo.ToAny(b.topic), "to somebody, after a failure")
	in.gets("to somebody, after a failure")
}

func replies(b *bus) {
	mine := b.listen(oslo.ToReplies("reply_" + b.topic))
	yours := b.listen(oslo.ToReplies("reply_" + b.topic + "2"))
	b.send(oslo.ToReplies("reply_"+b.topic+"2"), "yours")
	b.send(oslo.ToReplies("reply_"+b.topic), "mine")
	mine.gets("mine")
	yours.gets("yours")
}

func waits(b *bus) {
	to := oslo.ToAny(b.topic)
	began, finished := make(chan struct{}), make(chan struct{})
	var handled atomic.Int32
	l := b.listenWith(func(ctx context.Context, _ oslo.Message) {
		handled.Add(1)
		close(began)
		<-ctx.Done() // closing ends it
		close(finished)
	}, to)
	b.send(to, "first")
	receive(b, began)
	b.close(l)
	select {
	case <-finished:
	default:
		b.Error("the listener closed while it handled a message")
	}
	b.close(l) // a second close succeeds
	b.send(to, "second")
	b.listen(to).gets("second")
	if n := handled.Load(); n != 1 {
		b.Errorf("a closed listener handled %d messages, want 1", n)
	}
}

func waitsNoLonger(b *bus) {
	began, release := make(chan struct{}), make(chan struct{})
	l := b.listenWith(func(context.Context, oslo.Message) {
		close(began)
		<-release
	}, oslo.ToAny(b.topic))
	b.send(oslo.ToAny(b.topic), "x")
	receive(b, began)
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Millisecond)
	defer cancel()
	b.wantKind("close a listener that is at work", l.Close(ctx), cinder.KindTimeout)
	close(release)
	b.close(l)
}

func closedTransport(b *bus) {
	to := oslo.ToAny(b.topic)
	in := b.listen(to)
	b.end()
	b.end() // a second close succeeds
	b.wantKind("send", b.Send(b.ctx, to, oslo.Message{}), cinder.KindUnavailable)
	b.wantKind("fanout", b.Send(b.ctx, oslo.ToAll(b.topic), oslo.Message{}), cinder.KindUnavailable)
	_, err := b.Consumers(b.ctx, to)
	b.wantKind("consumers", err, cinder.KindUnavailable)
	_, err = b.Listen(b.ctx, []oslo.Destination{to}, func(context.Context, oslo.Message) {})
	b.wantKind("listen", err, cinder.KindUnavailable)
	b.close(in)
}

func ended(b *bus) {
	to := oslo.ToAny(b.topic)
	in := b.listen(to)
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	if err := b.Send(ctx, to, oslo.Message{Body: []byte("x")}); err == nil {
		b.Error("a message was sent although the context had ended")
	}
	b.send(to, "y")
	in.gets("y")
}
