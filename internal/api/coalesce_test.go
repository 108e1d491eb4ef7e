package api

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/cinder"
)

// worker is work that takes a second and counts how often it was begun.
type worker struct{ begun atomic.Int64 }

func (w *worker) work(ctx context.Context, _ string) (int64, error) {
	n := w.begun.Add(1)
	select {
	case <-time.After(time.Second):
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func TestCoalesceSharesRunsThatBeginLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker
		c := newCoalescer(time.Minute, w.work)
		start := time.Now()
		var wg sync.WaitGroup
		ask := func(after time.Duration, key string, want int64, done time.Duration) {
			wg.Go(func() {
				<-time.After(after)
				got, err := c.get(t.Context(), key)
				if err != nil || got != want || time.Since(start) != done {
					t.Errorf("asked after %v: got run %d, %v after %v, want run %d after %v", after, got, err, time.Since(start), want, done)
				}
			})
		}
		ask(0, "a", 1, time.Second)
		ask(100*time.Millisecond, "a", 2, 2*time.Second) // the first run began before
		ask(200*time.Millisecond, "a", 2, 2*time.Second)
		ask(900*time.Millisecond, "a", 2, 2*time.Second)
		ask(1100*time.Millisecond, "a", 3, 3*time.Second)
		ask(5*time.Second, "a", 4, 6*time.Second) // nobody worked meanwhile
		wg.Wait()
		if got := w.begun.Load(); got != 4 {
			t.Errorf("%d runs, want 4", got)
		}
		c.close()
		if len(c.lanes) != 0 {
			t.Errorf("%d keys are still worked on", len(c.lanes))
		}
	})
}

// Who asks a moment later shares the run too, when it waits for others: the first,
// and the one after it, also with those who were answered by the first.
func TestCoalesceGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker
		c := newCoalescer(time.Minute, w.work)
		c.gather = 10 * time.Millisecond
		start := time.Now()
		var wg sync.WaitGroup
		for after, want := range map[time.Duration]int64{0: 1, 5 * time.Millisecond: 1, 50 * time.Millisecond: 2, 60 * time.Millisecond: 2, 1015 * time.Millisecond: 2} {
			wg.Go(func() {
				<-time.After(after)
				got, err := c.get(t.Context(), "a")
				if done := time.Duration(want) * 1010 * time.Millisecond; err != nil || got != want || time.Since(start) != done {
					t.Errorf("asked after %v: got run %d, %v after %v, want run %d after %v", after, got, err, time.Since(start), want, done)
				}
			})
		}
		wg.Wait()
		c.close()
		if len(c.lanes) != 0 {
			t.Errorf("%d keys are still worked on", len(c.lanes))
		}
	})
}

func TestCoalesceKeepsKeysApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoalescer(time.Minute, func(_ context.Context, key string) (string, error) {
			<-time.After(time.Second)
			return "of " + key, nil
		})
		defer c.close()
		start := time.Now()
		var wg sync.WaitGroup
		for _, key := range []string{"a", "b"} {
			wg.Go(func() {
				if got, err := c.get(t.Context(), key); err != nil || got != "of "+key {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want 1s: one key waited for another", took)
		}
	})
}

func TestCoalesceOutlivesWhoGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker
		c := newCoalescer(time.Minute, w.work)
		defer c.close()
		gone, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.get(t.Context(), "a") })
		synctest.Wait()
		wg.Go(func() { // begins the second run, and does not wait for it
			if _, err := c.get(gone, "a"); cinder.KindOf(err) != cinder.KindUnavailable {
				t.Errorf("who went away got %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if got, err := c.get(t.Context(), "a"); err != nil || got != 2 {
				t.Errorf("who stayed got run %d, %v, want run 2", got, err)
			}
		})
		synctest.Wait()
		leave()
		wg.Wait()
	})
}

func TestCoalesceEndsWhatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker
		c := newCoalescer(time.Minute, w.work)
		defer c.close()
		gone, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 2 { // one for the run, one for the next
			wg.Go(func() { _, _ = c.get(gone, "a") })
			synctest.Wait()
		}
		leave()
		wg.Wait()
		start := time.Now()
		got, err := c.get(t.Context(), "a")
		if took := time.Since(start); err != nil || took != time.Second {
			t.Errorf("got run %d, %v after %v: what nobody waited for went on", got, err, took)
		}
	})
}

func TestCoalesceRunsHaveABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoalescer(3*time.Second, func(ctx context.Context, _ string) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		defer c.close()
		start := time.Now()
		_, err := c.get(t.Context(), "a")
		if cinder.KindOf(err) != cinder.KindUnavailable || time.Since(start) != 3*time.Second {
			t.Errorf("got %v after %v, want an error after 3s", err, time.Since(start))
		}
	})
}

func TestCoalescePassesErrorsAndPanicsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		c := newCoalescer(time.Minute, func(_ context.Context, key string) (int, error) {
			if key == "panic" {
				panic("oh")
			}
			return 0, broken
		})
		defer c.close()
		if _, err := c.get(t.Context(), "a"); !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
		if _, err := c.get(t.Context(), "panic"); err == nil || cinder.KindOf(err) != cinder.KindInternal {
			t.Errorf("got %v, want an internal error", err)
		}
	})
}

func TestCoalesceCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w worker
		c := newCoalescer(time.Minute, w.work)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := c.get(t.Context(), "a"); err == nil {
					t.Error("a run that was ended gave a result")
				}
			})
			synctest.Wait()
		}
		start := time.Now()
		c.close()
		if took := time.Since(start); took != 0 {
			t.Errorf("closing took %v", took)
		}
		if _, err := c.get(t.Context(), "a"); !errors.Is(err, errClosed) {
			t.Errorf("after closing: got %v, want %v", err, errClosed)
		}
		wg.Wait()
	})
}

// Whatever was acknowledged before a request arrives, its answer shows (G1).
func TestCoalesceShowsWhatWasAcknowledged(t *testing.T) {
	var state atomic.Int64
	c := newCoalescer(time.Minute, func(context.Context, string) (int64, error) { return state.Load(), nil })
	defer c.close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				acknowledged := state.Add(1)
				got, err := c.get(t.Context(), "a")
				if err != nil || got < acknowledged {
					t.Errorf("got %d, %v, after %d was acknowledged", got, err, acknowledged)
					return
				}
			}
		})
	}
	wg.Wait()
}
