package metrics

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// look asks a question, one at a time: scrapes that come meanwhile share the
// answer, so that a question which hangs does not pile up.
type look[T any] struct {
	ask func(context.Context) (T, error)

	mu    sync.Mutex // guards what follows
	under *asked[T]  // nil when nothing is under way
}

// asked is one question. Its answer may be read once done is closed.
type asked[T any] struct {
	began  time.Time
	done   chan struct{}
	answer T
	err    error
}

// errLate is an answer that nobody waits for any more.
var errLate = errors.New("the answer is too old")

func newLook[T any](ask func(context.Context) (T, error)) *look[T] { return &look[T]{ask: ask} }

// get is the answer, if it comes before ctx ends and is no older than Bound.
func (l *look[T]) get(ctx context.Context) (none T, _ error) {
	q := l.begin(ctx)
	select {
	case <-q.done:
	case <-ctx.Done():
		return none, fmt.Errorf("wait for an answer: %w", context.Cause(ctx))
	}
	if time.Since(q.began) > Bound {
		return none, errLate
	}
	return q.answer, q.err
}

// begin asks, unless that is being done.
func (l *look[T]) begin(ctx context.Context) *asked[T] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.under != nil {
		return l.under
	}
	q := &asked[T]{began: time.Now(), done: make(chan struct{})}
	l.under = q
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Bound)
	go func() { // wait waits for it
		defer cancel()
		q.answer, q.err = l.ask(ctx)
		l.mu.Lock()
		l.under = nil
		l.mu.Unlock()
		close(q.done)
	}()
	return q
}

// wait waits until nothing is under way.
func (l *look[T]) wait(ctx context.Context) error {
	l.mu.Lock()
	q := l.under
	l.mu.Unlock()
	if q == nil {
		return nil
	}
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
