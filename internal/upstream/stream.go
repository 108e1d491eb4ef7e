package upstream

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// watch calls a function when what it watches takes too long.
type watch struct {
	mu    sync.Mutex // guards over
	timer *time.Timer
	over  bool
}

func newWatch(limit time.Duration, late func()) *watch {
	return &watch{timer: time.AfterFunc(limit, late)}
}

// within gives what is watched so much time from now.
func (w *watch) within(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.timer.Reset(limit)
	}
}

// rest holds the watch until it is told how long again: it is another's turn.
func (w *watch) rest() { w.timer.Stop() }

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
}

// sent is the body of a request, as the transport reads it: the client has the
// stall time for each part, and then cinder-api to take it.
type sent struct {
	io.ReadCloser
	x     *exchange
	out   *http.ResponseController
	ended bool
}

// Read implements io.Reader.
func (s *sent) Read(p []byte) (int, error) {
	if s.ended {
		return 0, io.EOF
	}
	s.x.sending.rest()
	// Where it is not supported nobody is connected: a test.
	_ = s.out.SetReadDeadline(time.Now().Add(s.x.u.o.Stall))
	n, err := s.ReadCloser.Read(p)
	switch {
	case err == nil:
		s.x.sending.within(s.x.u.o.Stall)
	case errors.Is(err, io.EOF):
		s.ended = true
		s.x.sending.within(s.x.u.o.Answer)
	default:
		s.x.mu.Lock()
		s.x.body = err
		s.x.mu.Unlock()
	}
	return n, err
}

// received is the body of an answer.
type received struct {
	io.ReadCloser
	x     *exchange
	watch *watch
}

// Read implements io.Reader.
func (r *received) Read(p []byte) (int, error) {
	r.watch.within(r.x.u.o.Stall)
	n, err := r.ReadCloser.Read(p)
	r.watch.rest()
	if err != nil && !errors.Is(err, io.EOF) && r.x.client.Err() == nil {
		r.x.u.o.Answers.Warn("cinder-api cut an answer off", "upstream", r.x.to.host, "error", err)
	}
	return n, err
}

// Close implements io.Closer.
func (r *received) Close() error {
	r.watch.end()
	return r.ReadCloser.Close()
}

// answered is where an answer goes: the client has the stall time for each part.
type answered struct {
	http.ResponseWriter
	out   *http.ResponseController
	limit time.Duration
}

// Unwrap is what http.ResponseController looks for.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Write implements http.ResponseWriter.
func (a *answered) Write(p []byte) (int, error) {
	_ = a.out.SetWriteDeadline(time.Now().Add(a.limit))
	return a.ResponseWriter.Write(p)
}
