package memory_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/internal/oslo/memory"
	"stoker/internal/oslo/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	transporttest.Run(t, func(testing.TB) oslo.Transport { return memory.New() })
}

func send(ctx context.Context, bus oslo.Transport, to oslo.Destination, body string, expiry time.Duration) error {
	return bus.Send(ctx, to, oslo.Message{Body: []byte(body), Expiry: expiry})
}

// abandoned is a queue without listeners.
func abandoned(t *testing.T, bus oslo.Transport, topic string) oslo.Destination {
	t.Helper()
	to := oslo.ToAny(topic)
	l, err := bus.Listen(t.Context(), []oslo.Destination{to}, func(context.Context, oslo.Message) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := memory.New()
		to := abandoned(t, bus, "topic")
		for i := range memory.Capacity {
			expiry := time.Duration(0)
			if i%2 == 0 {
				expiry = time.Minute
			}
			if err := send(t.Context(), bus, to, fmt.Sprint(i), expiry); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		if got := cinder.KindOf(send(t.Context(), bus, to, "too much", 0)); got != cinder.KindUnavailable {
			t.Errorf("a message for a full queue: got kind %s, want %s", got, cinder.KindUnavailable)
		}
		<-time.After(time.Minute)
		if err := send(t.Context(), bus, to, "fits", 0); err != nil {
			t.Errorf("half of the queue has expired, and yet: %v", err)
		}

		got := make(chan string, memory.Capacity)
		if _, err := bus.Listen(t.Context(), []oslo.Destination{to}, func(_ context.Context, m oslo.Message) { got <- string(m.Body) }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(got); n != memory.Capacity/2+1 {
			t.Errorf("%d messages came, want %d", n, memory.Capacity/2+1)
		}
		if first := <-got; first != "1" {
			t.Errorf("the first message is %s, want the first that has not expired", first)
		}
		if err := bus.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAListenerThatLagsMissesFanoutsAlone(t *testing.T) {
	bus := memory.New()
	stuck, counted := make(chan struct{}), make(chan struct{}, 2*memory.Capacity)
	for _, handle := range []func(context.Context, oslo.Message){
		func(context.Context, oslo.Message) { <-stuck },
		func(context.Context, oslo.Message) { counted <- struct{}{} },
	} {
		if _, err := bus.Listen(t.Context(), []oslo.Destination{oslo.ToAll("topic")}, handle); err != nil {
			t.Fatal(err)
		}
	}
	for range memory.Capacity + 10 {
		if err := send(t.Context(), bus, oslo.ToAll("topic"), "news", 0); err != nil {
			t.Fatal(err)
		}
		<-counted
	}
	close(stuck)
	if err := bus.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestIdleListenersCostNoGoroutines(t *testing.T) {
	bus := memory.New()
	before := runtime.NumGoroutine()
	for i := range 3000 {
		target := oslo.Target{Topic: "cinder-volume", Server: fmt.Sprintf("host%d@mirror", i)}
		if _, err := bus.Listen(t.Context(), target.Destinations(), func(context.Context, oslo.Message) {}); err != nil {
			t.Fatal(err)
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("3000 listeners run %d goroutines, want none", after-before)
	}
	if err := bus.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// BenchmarkSend sends a message through a server's queue to its listener.
func BenchmarkSend(b *testing.B) {
	bus := memory.New()
	got := make(chan struct{}, 1)
	to := oslo.ToServer("topic", "server")
	if _, err := bus.Listen(b.Context(), []oslo.Destination{to}, func(context.Context, oslo.Message) { got <- struct{}{} }); err != nil {
		b.Fatal(err)
	}
	m := oslo.Message{Body: make([]byte, 1000), Expiry: time.Minute}
	for b.Loop() {
		if err := bus.Send(b.Context(), to, m); err != nil {
			b.Fatal(err)
		}
		<-got
	}
	if err := bus.Close(context.WithoutCancel(b.Context())); err != nil {
		b.Error(err)
	}
}
