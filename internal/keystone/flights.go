package keystone

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"stoker/internal/cinder"
)

// flights shares work among all callers who ask for it while it runs. A caller that
// gives up does not cancel it for the others.
type flights[V any] struct {
	limit time.Duration // timeout of the work

	stop context.Context //nolint:containedctx // cancelled by close, as the work must be
	end  context.CancelFunc

	group   singleflight.Group
	mu      sync.Mutex // guards closed, and running against a late Go
	closed  bool
	running sync.WaitGroup
}

func newFlights[V any](limit time.Duration) *flights[V] {
	f := &flights[V]{limit: limit}
	f.stop, f.end = context.WithCancel(context.Background())
	return f
}

type outcome[V any] struct {
	value V
	err   error
}

// do runs the work for the key, or joins it when it is running. It returns the work's
// error, or KindUnavailable when ctx or the flights end first.
func (f *flights[V]) do(ctx context.Context, key string, work func(context.Context) (V, error)) (V, error) {
	result := make(chan outcome[V], 1)
	f.mu.Lock()
	closed := f.closed
	if !closed {
		f.running.Go(func() {
			v, err, _ := f.group.Do(key, func() (any, error) { return f.run(work) })
			value, _ := v.(V)
			result <- outcome[V]{value, err}
		})
	}
	f.mu.Unlock()
	var none V
	if closed {
		return none, cinder.Errorf(cinder.KindUnavailable, "The service is stopping.")
	}
	select {
	case r := <-result:
		return r.value, r.err
	case <-ctx.Done():
		return none, cinder.Wrap(cinder.KindUnavailable, context.Cause(ctx), "The request was given up.")
	}
}

// run runs the work within the limit. A panic, which would end the process here,
// becomes an error.
func (f *flights[V]) run(work func(context.Context) (V, error)) (value V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(f.stop, f.limit)
	defer cancel()
	return work(ctx)
}

// close cancels all work and waits for it.
func (f *flights[V]) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.end()
	f.running.Wait()
}
