package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/oslo"
	"stoker/internal/oslo/memory"
	"stoker/internal/rpc"
	"stoker/internal/store"
)

// slowService answers what its log levels are after a while, as a service does
// that is busy or far away. It takes no commands.
type slowService struct {
	rpc.VolumeService
	after time.Duration
}

func (s slowService) LogLevels(string) map[string]cinder.LogLevel {
	<-time.After(s.after)
	return map[string]cinder.LogLevel{"stoker.agent": cinder.LogInfo, "stoker.backend.mirror": cinder.LogDebug}
}

// BenchmarkGetLog asks 50 services for their log levels that take between 20 ms
// and 50 ms to answer, and compares with the slowest of them asked alone.
func BenchmarkGetLog(b *testing.B) {
	const services = 50
	log := slog.New(slog.DiscardHandler)
	db, err := store.Open(b.Context(), store.Options{URL: "sqlite:///" + filepath.Join(b.TempDir(), "x.db"), Log: log})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := db.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	bus := memory.New()
	wire := oslo.NewClient(oslo.ClientOptions{Transport: bus, ResponseTimeout: time.Minute, Log: log})
	fleet := rpc.New(wire, rpc.Options{FailoverExpiry: time.Minute, Log: log})
	ends := []func(context.Context) error{wire.Close, bus.Close, func(context.Context) error { return db.Close() }}
	for i := range services {
		host := fmt.Sprintf("stor%02d@lvm", i)
		row, err := db.Register(b.Context(), cinder.Service{
			Host: host, Binary: cinder.BinaryVolume, Topic: cinder.BinaryVolume, RPCVersion: "3.18", ObjectVersion: "1.39",
		})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := db.Beat(b.Context(), row.ID); err != nil {
			b.Fatal(err)
		}
		after := 20*time.Millisecond + rand.N(30*time.Millisecond)
		server, err := rpc.ServeVolume(b.Context(), bus, host, "", slowService{after: after}, log)
		if err != nil {
			b.Fatal(err)
		}
		ends = append([]func(context.Context) error{server.Close}, ends...)
	}
	b.Cleanup(func() {
		for _, end := range ends {
			if err := end(context.WithoutCancel(b.Context())); err != nil {
				b.Error(err)
			}
		}
	})
	c := control.New(control.Options{
		Store: app.Store(db), Fleet: fleet, Logs: fleet, Log: log, Host: "ctl1", Owner: "ctl1",
		DownTime: time.Hour, LogTimeout: time.Minute,
	})
	ask := func(server string, want int) time.Duration {
		began := time.Now()
		a, err := c.LogLevels(b.Context(), control.LogQuery{Binary: cinder.BinaryVolume, Server: server})
		if err != nil || len(a.Levels) != want {
			b.Fatalf("%d answered, %v, want %d", len(a.Levels), err, want)
		}
		return time.Since(began)
	}
	var slowest time.Duration
	for i := range services {
		slowest = max(slowest, ask(fmt.Sprintf("stor%02d@lvm", i), 1))
	}
	var all []time.Duration
	for b.Loop() {
		all = append(all, ask("", services))
	}
	slices.Sort(all)
	median := all[len(all)/2]
	b.ReportMetric(float64(slowest.Microseconds())/1000, "ms/slowest-alone")
	b.ReportMetric(float64(median.Microseconds())/1000, "ms/all-50-median")
	b.ReportMetric(float64(median)/float64(slowest), "ratio")
}
