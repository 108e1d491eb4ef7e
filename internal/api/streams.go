package api

import (
	"fmt"
	"net/http"
	"sync"
)

// maxStreams is how many streams of events one caller may have at a process. A
// process has 256 of them: it takes sixteen such callers to leave none for others.
const maxStreams = 16

// streams are the streams of events that callers have.
type streams struct {
	mu   sync.Mutex // guards open
	open map[string]int
}

// take gives a caller one more stream, until leave is called. It fails when he
// has as many as one may have.
func (s *streams) take(caller string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.open[caller]; n >= maxStreams {
		return nil, &statusError{
			http.StatusTooManyRequests,
			fmt.Sprintf("You have %d streams of events open already, and may have %d at a time.", n, maxStreams),
		}
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.open[caller]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[caller]--; s.open[caller] == 0 {
			delete(s.open, caller)
		}
	}, nil
}
