package amqp_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"stoker/internal/oslo"
)

// valve is a way to a broker on which what the client says can be held up, and
// what the broker says goes through.
type valve struct {
	address string
	held    sync.Mutex // while it is locked
}

func newValve(tb testing.TB, broker string) *valve {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	try(tb, err)
	v := &valve{address: l.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { v.join(client, broker) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return v
}

func (v *valve) join(client net.Conn, broker string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", broker) //nolint:noctx // On loopback.
	if err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(client, server)
		_, _ = client.Close(), server.Close()
	})
	both.Go(func() {
		defer func() { _, _ = client.Close(), server.Close() }()
		for buf := make([]byte, 32<<10); ; {
			n, err := client.Read(buf)
			v.held.Lock()
			_, werr := server.Write(buf[:n])
			v.held.Unlock()
			if err != nil || werr != nil {
				return
			}
		}
	})
	both.Wait()
}

// A process that was stopped, or whose network is slow, has a message that the
// broker gives to another when it gives the process up. It must not carry it out
// as well: it may have said that it has the message, but the broker has not
// heard it.
func TestNoMessageIsHandledTwice(t *testing.T) {
	broker := engines.RabbitMQ(t)
	direct := broker.URL(t)
	way := newValve(t, broker.Addr())
	slow := open(t, options(t, changed(t, direct, func(u *url.URL) { u.Host = way.address })))
	fast := open(t, options(t, direct))
	to, here, there := oslo.ToAny("topic"), make(chan string, 10), make(chan string, 10)
	arrived := make(chan struct{}, 10)
	sure := func(got chan<- string) func(oslo.Message) {
		return func(m oslo.Message) {
			arrived <- struct{}{}
			if m.Sure() == nil {
				got <- string(m.Body)
			}
		}
	}
	listen(t, slow, sure(here), to)

	way.held.Lock()
	try(t, fast.Send(t.Context(), to, oslo.Message{Body: []byte("once")}))
	next(t, arrived) // and is about to be handled
	broker.Control(t, "close_all_connections", "--vhost", options(t, direct).URL.VirtualHost, "given up")
	way.held.Unlock()

	// Whoever gets it now, it is one.
	listen(t, fast, sure(there), to)
	eventually(t, "the message is handled", func() bool { return len(here)+len(there) > 0 })
	eventually(t, "the bus is there again", func() bool {
		n, err := fast.Consumers(t.Context(), to)
		return err == nil && n == 2
	})
	if n := len(here) + len(there); n != 1 {
		t.Errorf("the message was handled %d times", n)
	}
}
