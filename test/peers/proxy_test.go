package peers

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"time"
)

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// echo is a server that says what it is told.
func echo(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer func() { _ = c.Close() }(); _, _ = io.Copy(c, c) }()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// say sends a letter and waits for it to come back.
func say(c net.Conn, within time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("a")); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

func TestProxy(t *testing.T) {
	p := NewProxy(t, echo(t))
	if got, want := p.In(t, "rabbit://a:b@10.0.0.1:5672/v"), "rabbit://a:b@"+p.Addr()+"/v"; got != want {
		t.Errorf("In: %s, want %s", got, want)
	}
	c := dial(t, p.Addr())
	if err := say(c, patience); err != nil {
		t.Fatalf("it passes nothing on: %v", err)
	}
	if n := p.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}

	p.Stall()
	if err := say(c, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("stalled: %v, want no answer and an open connection", err)
	}
	p.Restore()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Errorf("what was held is not passed on: %v", err)
	}

	p.Cut()
	if err := say(c, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("cut: %v, want a closed connection", err)
	}
	if err := say(dial(t, p.Addr()), patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a new connection while cut: %v, want a closed one", err)
	}
	p.Restore()
	if err := say(dial(t, p.Addr()), patience); err != nil {
		t.Errorf("a new connection after the cut: %v", err)
	}
}

func TestProxyDelays(t *testing.T) {
	p := NewProxy(t, echo(t))
	c := dial(t, p.Addr())
	p.Delay(time.Hour)
	if err := say(c, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("delayed by an hour: %v, want no answer yet", err)
	}
	p.Delay(time.Millisecond)
	if err := say(c, patience); err != nil {
		t.Errorf("delayed by a millisecond: %v", err)
	}
}

// What comes while other things wait is delayed like them, and comes behind them.
func TestProxyDelaysEachWay(t *testing.T) {
	const delay, text = 200 * time.Millisecond, "abcdefghij"
	p := NewProxy(t, echo(t))
	p.Delay(delay)
	c := dial(t, p.Addr())
	began := time.Now()
	if err := c.SetDeadline(began.Add(patience)); err != nil {
		t.Fatal(err)
	}
	for i := range text {
		if _, err := c.Write([]byte(text[i : i+1])); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Millisecond) // each is read by itself
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Errorf("%q came back, want %q: %v", got, text, err)
	}
	if took := time.Since(began); took < 2*delay {
		t.Errorf("it took %v there and back, want two delays of %v", took, delay)
	}
}

func TestProxyEndsWithItsTest(t *testing.T) {
	var addr string
	t.Run("proxy", func(t *testing.T) {
		p := NewProxy(t, echo(t))
		p.Stall()
		addr = p.Addr()
		_ = dial(t, addr)
	})
	if _, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", addr); err == nil {
		t.Error("it still listens")
	}
}
