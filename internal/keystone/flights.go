package keystone

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"stoker/internal/cinder"
)

// flights do a piece of work once for all who ask for it while it is under way.
// The work is nobody's in particular: who gives up harms no other.
type flights[V any] struct {
	limit time.Duration // of one piece of work

	stop context.Context //nolint:containedctx // ends when the flights do, as the work must
	end  context.CancelFunc

	group   singleflight.Group
	mu      sync.Mutex // guards closed, and running against a late arrival
	closed  bool
	running sync.WaitGroup
}

func newFlights[V any](limit time.Duration) *flights[V] {
	f := &flights[V]{limit: limit}
	f.stop, f.end = context.WithCancel(context.Background())
	return f
}

type landed[V any] struct {
	value V
	err   error
}

// do does the work of that key, or shares it. It fails as the work does, and
// with KindUnavailable when ctx or the flights end first.
func (f *flights[V]) do(ctx context.Context, key string, work func(context.Context) (V, error)) (V, error) {
	result := make(chan landed[V], 1)
	f.mu.Lock()
	closed := f.closed
	if !closed {
		f.running.Go(func() {
			v, err, _ := f.group.Do(key, func() (any, error) { return f.carryOut(work) })
			value, _ := v.(V)
			result <- landed[V]{value, err}
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

// carryOut is the work within its limit. A panic, which would end the process
// here, is an error like another.
func (f *flights[V]) carryOut(work func(context.Context) (V, error)) (value V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(f.stop, f.limit)
	defer cancel()
	return work(ctx)
}

// close ends all work and waits for it.
func (f *flights[V]) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.end()
	f.running.Wait()
}
