package amqp_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/internal/dsn"
	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
	"stoker/internal/oslo/transporttest"
	"stoker/test/peers"
)

var engines peers.Shared

func TestMain(m *testing.M) {
	code := engines.Run(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestContract(t *testing.T) {
	url := engines.RabbitMQ(t).URL(t)
	transporttest.Run(t, func(tb testing.TB) oslo.Transport {
		tb.Helper()
		return open(tb, options(tb, url))
	})
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
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := bus.Close(ctx); err != nil {
			tb.Errorf("close the bus: %v", err)
		}
	})
	return bus
}
