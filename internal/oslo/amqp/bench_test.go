package amqp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"stoker/internal/oslo"
)

func echo(_ context.Context, raw json.RawMessage) (any, error) { return raw, nil }

// servers are services that answer at once, over a bus of their own, and a client
// over another.
func servers(b *testing.B, n int) *oslo.Client {
	b.Helper()
	url := engines.RabbitMQ(b).URL(b)
	client, server := open(b, options(b, url)), open(b, options(b, url))
	quiet := slog.New(slog.DiscardHandler)
	for i := range n {
		s, err := oslo.Serve(b.Context(), oslo.ServerOptions{
			Transport: server, Targets: []oslo.Target{{Topic: "topic", Server: fmt.Sprint(i)}}, Log: quiet,
			Endpoint: oslo.Endpoint{
				Version: "1.0", Methods: map[string]oslo.Handler{"echo": echo, "ask": echo}, Questions: map[string]bool{"ask": true},
			},
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = s.Close(context.Background()) })
	}
	c := oslo.NewClient(oslo.ClientOptions{Transport: client, ResponseTimeout: time.Minute, Log: quiet})
	b.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func ask(b *testing.B, c *oslo.Client, server int) {
	b.Helper()
	if _, err := c.Ask(b.Context(), oslo.ToServer("topic", fmt.Sprint(server)), "ask", "1.0", map[string]string{"a": "b"}); err != nil {
		b.Error(err)
	}
}

func call(b *testing.B, c *oslo.Client, server int) {
	b.Helper()
	if _, _, err := c.Call(b.Context(), oslo.ToServer("topic", fmt.Sprint(server)), "echo", "1.0", map[string]string{"a": "b"}); err != nil {
		b.Error(err)
	}
}

// BenchmarkCall is a call of one of ten services, by one caller and by many.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			c := servers(b, 10)
			call(b, c, 0)
			b.SetParallelism(callers / 2) // of two processors
			if callers == 1 {
				for i := 0; b.Loop(); i++ {
					call(b, c, i%10)
				}
			} else {
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						call(b, c, i%10)
					}
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkAll is a question to a hundred services at the same time, as get-log
// asks it, and a command to as many.
func BenchmarkAll(b *testing.B) {
	for name, send := range map[string]func(*testing.B, *oslo.Client, int){"ask": ask, "call": call} {
		b.Run(name, func(b *testing.B) {
			const all = 100
			c := servers(b, all)
			send(b, c, 0)
			for b.Loop() {
				var calling sync.WaitGroup
				for i := range all {
					calling.Go(func() { send(b, c, i) })
				}
				calling.Wait()
			}
		})
	}
}
