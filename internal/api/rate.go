package api

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// rates hold each caller to a number of requests a second. A caller is a moment:
// that until which he has used up what he may send.
type rates struct {
	every time.Duration // between two requests; 0 is no limit
	ahead time.Duration // how far the moment may be ahead of now

	mu    sync.Mutex           // guards what follows
	until map[string]time.Time // of the callers whose moment is not over
	sweep int                  // at how many of them the others are looked for
}

// sweepAt is how many callers are remembered before any is forgotten.
const sweepAt = 1024

func newRates(perSecond float64, burst int) *rates {
	r := &rates{until: map[string]time.Time{}, sweep: sweepAt}
	if perSecond > 0 {
		r.every = time.Duration(float64(time.Second) / perSecond)
		r.ahead = r.every * time.Duration(max(burst, 1)-1)
	}
	return r
}

// take counts a request. Without room for it, it is how long to wait.
func (r *rates) take(caller string) time.Duration {
	if r.every == 0 {
		return 0
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	until := r.until[caller]
	if until.Before(now) {
		until = now
	}
	if wait := until.Sub(now) - r.ahead; wait > 0 {
		return wait
	}
	if len(r.until) >= r.sweep {
		for who, t := range r.until {
			if t.Before(now) {
				delete(r.until, who)
			}
		}
		r.sweep = max(sweepAt, 2*len(r.until))
	}
	r.until[caller] = until.Add(r.every)
	return 0
}

// limitedError is a request too many.
type limitedError struct {
	text string
	wait time.Duration
}

func (e *limitedError) Error() string { return e.text }

// limit counts a request of a caller that is known.
func (s *Server) limit(rq *request) error {
	if wait := s.rates.take(rq.who()); wait > 0 {
		return &limitedError{textRateLimited, wait}
	}
	return nil
}

// who is the one whose requests, streams and keys are counted together: a user,
// with whatever token.
func (rq *request) who() string {
	if rq.caller.UserID == "" {
		return rq.caller.Address
	}
	return rq.caller.UserID
}

// limited is the answer to a request too many.
func (e *limitedError) answer() *answer {
	after := strconv.Itoa(max(1, int(math.Ceil(e.wait.Seconds()))))
	return &answer{
		status: http.StatusTooManyRequests, header: http.Header{"Retry-After": {after}},
		body: faultBodyAfter(http.StatusTooManyRequests, e.text, after),
	}
}
