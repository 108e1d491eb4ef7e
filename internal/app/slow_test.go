package app

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are inside the process, and so follow a
// bubble's clock.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// serving runs a server in a bubble. Its handler reads the body and answers with
// a megabyte.
func serving(t *testing.T, limit int, attack func(p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		s := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if r.URL.Path == "/long" {
				_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
			}
		}), time.Minute, limit)
		ended := make(chan error)
		go func() { ended <- s.Serve(p) }()
		attack(p)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// closedAfter is how long the server bears with a connection into which a byte is
// written every second, or none; an hour when it does so for ever.
func closedAfter(c net.Conn, drip bool) time.Duration {
	began := time.Now()
	gone := make(chan struct{})
	go func() { defer close(gone); _, _ = io.Copy(io.Discard, c) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if time.Since(began) > time.Hour {
			_ = c.Close()
		}
		select {
		case <-gone:
			return time.Since(began)
		case <-tick.C:
			if drip {
				_ = c.SetWriteDeadline(time.Now().Add(time.Second))
				_, _ = io.WriteString(c, "x")
			}
		}
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: x\r\n"
	for _, tt := range []struct {
		name, sent string
		drip       bool
		within     time.Duration
	}{
		{"nothing is sent", "", false, readHeaderTimeout},
		{"a header in drops", head + "X: ", true, readHeaderTimeout},
		{"a body in drops", head + "Content-Length: 1000000\r\n\r\n", true, readTimeout},
		{"a chunked body in drops", head + "Transfer-Encoding: chunked\r\n\r\nfffff\r\n", true, readTimeout},
		{"a body that does not come", head + "Content-Length: 10\r\n\r\n", false, readTimeout},
		{"nothing after an answer", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", false, idleTimeout},
		{"a second header in drops", "GET / HTTP/1.1\r\nHost: x\r\n\r\nG", true, readHeaderTimeout + 4*time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			serving(t, 10, func(p *pipes) {
				c := p.dial()
				if _, err := io.WriteString(c, tt.sent); err != nil {
					t.Error(err)
				}
				if took := closedAfter(c, tt.drip); took > tt.within+2*time.Second {
					t.Errorf("cut off after %v, want within %v", took, tt.within)
				}
			})
		})
	}
}

// An answer that is not read does not wait for its reader for ever.
func TestAnswersThatAreNotRead(t *testing.T) {
	serving(t, 10, func(p *pipes) {
		c := p.dial()
		if _, err := io.WriteString(c, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute) //nolint:forbidigo // the bubble's clock
		n, err := io.Copy(io.Discard, c)
		if n > 1<<20 || err != nil {
			t.Errorf("%d bytes were waited with, %v", n, err)
		}
	})
}

// Connections that do nothing make room for others; one with a request under way
// is kept.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	serving(t, 3, func(p *pipes) {
		busy := p.dial()
		if _, err := io.WriteString(busy, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		idle := make([]net.Conn, 5)
		for i := range idle {
			idle[i] = p.dial()
			synctest.Wait()
		}
		for i, c := range idle {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := c.Read(make([]byte, 1))
			if closed := errors.Is(err, io.EOF); closed != (i < 3) {
				t.Errorf("connection %d: %v, want the oldest three closed", i, err)
			}
		}
		if _, err := io.WriteString(busy, "x"); err != nil {
			t.Errorf("the busy one was cut off: %v", err)
		}
		answer := make([]byte, 12)
		if _, err := io.ReadFull(busy, answer); err != nil || string(answer) != "HTTP/1.1 200" {
			t.Errorf("the busy one got %q, %v", answer, err)
		}
		for _, c := range append(idle, busy) {
			_ = c.Close()
		}
	})
}
