package rpc_test

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/oslo"
	"stoker/internal/oslo/memory"
	"stoker/internal/rpc"
)

// rpc.Client implements the ports of package control.
var (
	_ control.Fleet = (*rpc.Client)(nil)
	_ control.Logs  = (*rpc.Client)(nil)
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bus is an in-process bus and a client on it.
type bus struct {
	*memory.Transport
	*rpc.Client
	log *slog.Logger
}

func newBus(t *testing.T) bus {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	transport := memory.New()
	client := oslo.NewClient(oslo.ClientOptions{Transport: transport, ResponseTimeout: 5 * time.Second, Log: log})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := client.Close(ctx); err != nil {
			t.Errorf("close the client: %v", err)
		}
		if err := transport.Close(ctx); err != nil {
			t.Errorf("close the bus: %v", err)
		}
	})
	return bus{transport, rpc.New(client, rpc.Options{FailoverExpiry: 30 * time.Second, Log: log}), log}
}

// closed closes a server when the test ends.
func closed(t *testing.T, s *oslo.Server, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("serve: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close the server: %v", err)
		}
	})
}

// command is a command that reached a service.
type command struct {
	Name   string
	Arg    any
	Caller cinder.Caller
}

// recorder is a service of every kind that records its commands.
type recorder struct {
	fails error         // the error of commands
	hangs chan struct{} // commands wait for it, when set

	came chan command

	mu     sync.Mutex // guards levels
	levels map[string]cinder.LogLevel
}

func newRecorder() *recorder {
	return &recorder{
		came:   make(chan command, 100),
		levels: map[string]cinder.LogLevel{"stoker.agent": cinder.LogInfo, "stoker.backend": cinder.LogWarning},
	}
}

func (r *recorder) note(ctx context.Context, name string, arg any) error {
	r.came <- command{name, arg, cinder.CallerFrom(ctx)}
	if r.hangs != nil {
		<-r.hangs
	}
	return r.fails
}

func (r *recorder) FreezeHost(ctx context.Context) error { return r.note(ctx, "freeze", nil) }
func (r *recorder) ThawHost(ctx context.Context) error   { return r.note(ctx, "thaw", nil) }

func (r *recorder) Failover(ctx context.Context, target *string) error {
	return r.note(ctx, "failover", target)
}

func (r *recorder) FailoverCompleted(ctx context.Context, o cinder.FailoverOutcome) error {
	return r.note(ctx, "failover completed", o)
}

func (r *recorder) PublishCapabilities(ctx context.Context) error {
	return r.note(ctx, "publish", nil)
}

func (r *recorder) UpdateServiceCapabilities(ctx context.Context, c cinder.Capabilities) error {
	return r.note(ctx, "update", c)
}

func (r *recorder) NotifyServiceCapabilities(ctx context.Context, c cinder.Capabilities) error {
	return r.note(ctx, "notify", c)
}

func (r *recorder) GetPools(ctx context.Context) ([]rpc.Pool, error) {
	return []rpc.Pool{
		{Name: "host1@alpha#alpha", Values: map[string]any{"backend_state": "up", "tags": []any{"a"}}},
		{Name: "host1@beta#beta", Values: map[string]any{"backend_state": "down"}},
		{Name: "host1@gamma#gamma", Values: map[string]any{"backend_state": true}},
	}, r.note(ctx, "pools", nil)
}

func (r *recorder) Capabilities(ctx context.Context) (map[string]any, error) {
	return map[string]any{"vendor_name": "test"}, r.note(ctx, "capabilities", nil)
}

func (r *recorder) Cleanup(ctx context.Context, request cinder.CleanupRequest) error {
	return r.note(ctx, "cleanup", request)
}

func (r *recorder) WorkCleanup(ctx context.Context, request cinder.CleanupRequest) (cleaning, unavailable []cinder.Service, err error) {
	return []cinder.Service{{ID: 3, Host: "host1@alpha", Binary: cinder.BinaryVolume}}, nil, r.note(ctx, "work cleanup", request)
}

func (r *recorder) LogLevels(prefix string) map[string]cinder.LogLevel {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := maps.Clone(r.levels)
	maps.DeleteFunc(found, func(name string, _ cinder.LogLevel) bool { return !strings.HasPrefix(name, prefix) })
	return found
}

func (r *recorder) SetLogLevel(prefix string, level cinder.LogLevel) {
	r.mu.Lock()
	for name := range r.levels {
		if strings.HasPrefix(name, prefix) {
			r.levels[name] = level
		}
	}
	r.mu.Unlock()
	r.came <- command{Name: "set " + prefix, Arg: level}
}

// next returns the next command; it fails the test when none comes.
func (r *recorder) next(t *testing.T) command {
	t.Helper()
	select {
	case c := <-r.came:
		return c
	case <-time.After(time.Minute):
		t.Fatal("no command came")
		return command{}
	}
}
