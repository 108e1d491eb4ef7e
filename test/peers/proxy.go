package peers

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Proxy is a way to a server that tests can cut. Its address stays the same.
type Proxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{}         // guarded by mu; closed and replaced when what stands below changes
	conns   map[net.Conn]struct{} // guarded by mu; both sides of each connection
	cut     bool                  // guarded by mu
	stalled bool                  // guarded by mu
	delay   time.Duration         // guarded by mu
	closed  bool                  // guarded by mu
}

// NewProxy returns a proxy before a server, until the test ends.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	l, _, err := listen()
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{target: target, listener: l, changed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	tb.Cleanup(func() {
		_ = l.Close()
		p.set(func() { p.closed = true; p.hangUp() })
		p.running.Wait()
	})
	return p
}

// Addr returns where it listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// In returns a URL with the proxy in place of the server.
func (p *Proxy) In(tb testing.TB, server string) string {
	tb.Helper()
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatal(err)
	}
	u.Host = p.Addr()
	return u.String()
}

// Cut closes every connection, and each new one at once.
func (p *Proxy) Cut() { p.set(func() { p.cut = true; p.hangUp() }) }

// Stall keeps every connection open and passes nothing on.
func (p *Proxy) Stall() { p.set(func() { p.stalled = true }) }

// Delay passes everything on that much later, each way; zero ends that.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

// Restore ends Cut, Stall and Delay. What was held is passed on.
func (p *Proxy) Restore() { p.set(func() { p.cut, p.stalled, p.delay = false, false, 0 }) }

// Connections returns how many clients are connected.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns) / 2
}

// set changes the state under the lock and wakes whoever waits for a change.
func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

// hangUp closes every connection. The lock is held.
func (p *Proxy) hangUp() {
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		} else if err != nil {
			continue
		}
		p.running.Go(func() { p.join(client) })
	}
}

// join connects a client to the server until either hangs up.
func (p *Proxy) join(client net.Conn) {
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !p.enter(client, server) {
		return
	}
	defer p.leave(client, server)
	var both sync.WaitGroup
	both.Go(func() { p.pass(client, server) })
	both.Go(func() { p.pass(server, client) })
	both.Wait()
}

func (p *Proxy) enter(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut || p.closed {
		return false
	}
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return true
}

func (p *Proxy) leave(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// chunk is what was read at a time.
type chunk struct {
	text []byte
	at   time.Time
}

// pass copies one direction, and ends both when it ends. It goes on reading
// while what it has read waits, so that all of it is delayed alike.
func (p *Proxy) pass(from, to net.Conn) {
	chunks := make(chan chunk, 64)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(chunks)
		for {
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			if n > 0 {
				chunks <- chunk{buf[:n], time.Now()}
			}
			if err != nil {
				return
			}
		}
	})
	for c := range chunks {
		if !p.open(c.at) {
			break
		}
		if _, err := to.Write(c.text); err != nil {
			break
		}
	}
	_, _ = from.Close(), to.Close()
	for range chunks {
		continue // the reader may be about to hand over one more
	}
	reading.Wait()
}

// open waits until data that came at a time may pass, and reports whether it
// still may.
func (p *Proxy) open(at time.Time) bool {
	for {
		p.mu.Lock()
		changed, rest, stalled, over := p.changed, time.Until(at.Add(p.delay)), p.stalled, p.closed || p.cut
		p.mu.Unlock()
		if over {
			return false
		}
		if !stalled && rest <= 0 {
			return true
		}
		var later <-chan time.Time
		if !stalled {
			later = time.After(rest)
		}
		select {
		case <-changed:
		case <-later:
		}
	}
}
