package api

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRates(2, 3)
		want := func(who string, wait time.Duration) {
			t.Helper()
			if got := r.take(who); got != wait {
				t.Errorf("%s has to wait %v, want %v", who, got, wait)
			}
		}
		for range 3 {
			want("a", 0)
		}
		want("a", 500*time.Millisecond)
		want("b", 0)
		time.Sleep(500 * time.Millisecond) //nolint:forbidigo // the bubble's clock
		want("a", 0)
		want("a", 500*time.Millisecond)
		time.Sleep(time.Hour) //nolint:forbidigo // the bubble's clock
		for range 3 {
			want("a", 0)
		}
		want("a", 500*time.Millisecond)
	})
}

// Callers who have been quiet are forgotten.
func TestRatesForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRates(1, 1)
		for i := range 10 * sweepAt {
			r.take(strconv.Itoa(i))
			if i%sweepAt == 0 {
				time.Sleep(2 * time.Second) //nolint:forbidigo // the bubble's clock
			}
		}
		if len(r.until) > 3*sweepAt {
			t.Errorf("%d callers are remembered", len(r.until))
		}
	})
}
