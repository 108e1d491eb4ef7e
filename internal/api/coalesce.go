package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"stoker/internal/cinder"
)

// errClosed is what a request gets that arrives while the process stops.
var errClosed = cinder.Errorf(cinder.KindUnavailable, "The service is stopping.")

// coalescer lets requests that wait at the same moment share one run of the same
// work. Whoever asks gets a result of a run that began after he asked: a run
// that is under way when a request arrives may not show what was acknowledged
// just before, so the request waits for the next one (G1).
//
//	arrivals    a      b c    d
//	runs        [--a--][--b,c--][--d--]
//
// A run goes on as long as anybody waits for it, at most for limit.
type coalescer[K comparable, V any] struct {
	work  func(context.Context, K) (V, error)
	limit time.Duration
	// gather is how long a run waits for others who ask the same, 0 is not at all.
	// Not the first alone: those who were answered together ask again together, and
	// would otherwise take turns with those who asked meanwhile.
	gather time.Duration

	stop context.Context //nolint:containedctx // ends when the coalescer does, as the runs must
	end  context.CancelFunc

	mu      sync.Mutex     // guards what follows
	lanes   map[K]*lane[V] // of the keys that are worked on
	running sync.WaitGroup // one for each lane
	closed  bool
}

// lane is the work on one key: while a run is under way, the one after it.
type lane[V any] struct{ next *run[V] }

// run is one piece of work and those who wait for it.
type run[V any] struct {
	values  context.Context //nolint:containedctx // of the first request: whom the log says it is for
	cancel  context.CancelFunc
	waiting int // guarded by the coalescer's mu
	done    chan struct{}
	value   V // value and err are written before done is closed
	err     error
}

func newCoalescer[K comparable, V any](limit time.Duration, work func(context.Context, K) (V, error)) *coalescer[K, V] {
	c := &coalescer[K, V]{work: work, limit: limit, lanes: map[K]*lane[V]{}}
	c.stop, c.end = context.WithCancel(context.Background())
	return c
}

// get does the work for key, or shares it. It fails as the work does, and with
// ctx's cause when that ends first, which harms nobody else. The value is shared
// and must not be written to.
func (c *coalescer[K, V]) get(ctx context.Context, key K) (V, error) {
	r, err := c.join(ctx, key)
	if err != nil {
		var none V
		return none, err
	}
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		c.leave(r)
		var none V
		return none, cinder.Wrap(cinder.KindUnavailable, context.Cause(ctx), "The request was given up.")
	}
}

// join finds a run that has not begun.
func (c *coalescer[K, V]) join(ctx context.Context, key K) (*run[V], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	l := c.lanes[key]
	switch {
	case l == nil:
		r := newRun[V](ctx)
		l = &lane[V]{next: r}
		c.lanes[key] = l
		c.running.Add(1)
		go c.drive(key, l)
		return r, nil
	case l.next == nil || l.next.waiting == 0: // who waited for it has gone
		l.next = newRun[V](ctx)
	default:
		l.next.waiting++
	}
	return l.next, nil
}

// wait waits, but not longer than the coalescer lives.
func (c *coalescer[K, V]) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.stop.Done():
	}
}

func newRun[V any](ctx context.Context) *run[V] {
	r := &run[V]{waiting: 1, done: make(chan struct{})}
	r.values, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return r
}

// leave says that somebody waits no more; the last one ends the run.
func (c *coalescer[K, V]) leave(r *run[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.waiting--; r.waiting == 0 {
		r.cancel()
	}
}

// drive works on one key until nobody waits for it.
func (c *coalescer[K, V]) drive(key K, l *lane[V]) {
	defer c.running.Done()
	for {
		if c.gather > 0 {
			c.wait(c.gather)
		}
		r := c.advance(key, l)
		if r == nil {
			return
		}
		c.carryOut(key, r)
	}
}

func (c *coalescer[K, V]) carryOut(key K, r *run[V]) {
	defer close(r.done)
	defer r.cancel()
	ctx, cancel := context.WithTimeout(r.values, c.limit)
	defer cancel()
	defer context.AfterFunc(c.stop, cancel)()
	defer func() {
		if p := recover(); p != nil {
			r.err = panicked(p)
		}
	}()
	r.value, r.err = c.work(ctx, key)
	if r.err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		r.err = cinder.Wrap(cinder.KindUnavailable, r.err, "The list could not be read in time.")
	}
}

// advance makes the next run the one under way: who arrives from now on waits
// for the one after it.
func (c *coalescer[K, V]) advance(key K, l *lane[V]) *run[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := l.next
	l.next = nil
	if r == nil {
		delete(c.lanes, key)
	}
	return r
}

// close ends all runs and waits for them.
func (c *coalescer[K, V]) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end()
	c.running.Wait()
}
