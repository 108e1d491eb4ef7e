package amqp_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"stoker/internal/dsn"
	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
	"stoker/internal/oslo/transporttest"
	"stoker/test/peers"
)

// engines has the broker that all tests share, victims that of the tests that do
// things to it, one after another.
var engines, victims peers.Shared

func TestMain(m *testing.M) {
	code := engines.Run(m)
	if err := victims.Close(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestContract(t *testing.T) {
	for _, quorum := range []bool{false, true} {
		t.Run(fmt.Sprintf("quorum queues %t", quorum), func(t *testing.T) {
			o := options(t, engines.RabbitMQ(t).URL(t))
			o.Rabbit.QuorumQueue, o.Rabbit.TransientQuorumQueue = quorum, quorum
			transporttest.Run(t, func(tb testing.TB) oslo.Transport {
				tb.Helper()
				o.Log = slog.New(slog.NewTextHandler(tb.Output(), nil))
				return open(tb, o)
			})
		})
	}
}

// options are those of a bus at a URL.
func options(tb testing.TB, url string) amqp.Options {
	tb.Helper()
	parsed, err := dsn.ParseTransport(url)
	if err != nil {
		tb.Fatal(err)
	}
	return amqp.Options{URL: parsed, Rabbit: amqp.DefaultRabbit(), Log: slog.New(slog.NewTextHandler(tb.Output(), nil))}
}

// open connects. The transport is closed when the test ends.
func open(tb testing.TB, o amqp.Options) *amqp.Transport {
	tb.Helper()
	bus, err := amqp.New(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := bus.Close(ctx); err != nil {
			tb.Errorf("close the bus: %v", err)
		}
	})
	return bus
}
