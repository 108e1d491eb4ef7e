package amqp_test

import (
	"context"
	"testing"
	"time"

	"stoker/internal/oslo"
)

// patience is how long something that must happen may take on a machine that has
// much else to do.
const patience = 2 * time.Minute

// listen listens until the test ends, with a handler that needs no context.
func listen(tb testing.TB, bus oslo.Transport, handle func(oslo.Message), on ...oslo.Destination) oslo.Listener {
	tb.Helper()
	l, err := bus.Listen(tb.Context(), on, func(_ context.Context, m oslo.Message) { handle(m) })
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// next waits for a message, or whatever else a channel brings.
func next[T any](tb testing.TB, from <-chan T) T {
	tb.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		tb.Fatal("nothing came")
		var none T
		return none
	}
}

// within is a context that ends after a while.
func within(tb testing.TB, d time.Duration) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), d)
	tb.Cleanup(cancel)
	return ctx
}

// eventually waits for something to become true.
func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			tb.Fatalf("not in time: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}
