package peers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Waits have bounds that a machine never comes to that has much else to do: they
// cost time only where something does not happen at all.
const (
	startWithin = 5 * time.Minute // until an engine answers, or a tool of its has done its work
	endWithin   = 2 * time.Minute // until a process has ended, or stopped, that was told to
)

// Engine is a server that tests can end, pause and start again at the same
// address and with the same data. Its methods fail the test when the engine
// does not do so in a bounded time.
type Engine struct {
	peer   string
	dir    string
	port   int
	launch command
	begin  func(context.Context) error // before it is launched, where there is something to do
	ready  func(context.Context) error // nil once it answers
	proc   *process
	others []*process // what it needs beside itself, ended with it
}

// newEngine returns an engine with a directory and a free port.
func newEngine(peer string) (*Engine, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "stoker-peer-")
	if err != nil {
		return nil, err
	}
	// Servers that run as another user have to get there.
	return &Engine{peer: peer, dir: dir, port: port}, os.Chmod(dir, 0o755)
}

// Addr returns where it listens: 127.0.0.1:PORT, the same for all its life.
func (e *Engine) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(e.port)) }

// Start starts it again after Stop or Kill, and waits until it answers.
func (e *Engine) Start(tb testing.TB) {
	tb.Helper()
	if err := e.start(); err != nil {
		tb.Fatal(err)
	}
}

// StartAll starts several at once, each as Start does.
func StartAll(tb testing.TB, engines ...*Engine) {
	tb.Helper()
	for _, e := range engines {
		if err := e.launchNow(); err != nil {
			tb.Fatal(err)
		}
	}
	for _, e := range engines {
		if err := e.await(); err != nil {
			tb.Fatal(err)
		}
	}
}

// Stop ends it as an operator does who restarts it.
func (e *Engine) Stop(tb testing.TB) {
	tb.Helper()
	if err := e.proc.stop(); err != nil {
		tb.Fatal(err)
	}
}

// Kill ends it as a power cut does.
func (e *Engine) Kill(tb testing.TB) {
	tb.Helper()
	if err := e.proc.kill(); err != nil {
		tb.Fatal(err)
	}
}

// Ended reports whether it has ended, by itself or as it was told.
func (e *Engine) Ended() bool { return e.proc.exited() }

// Pause freezes it (SIGSTOP): its connections stay open and nothing answers.
func (e *Engine) Pause(tb testing.TB) {
	tb.Helper()
	err := e.proc.signal(syscall.SIGSTOP)
	if err == nil { // its threads stop one after the other
		err = await(endWithin, e.peer+" is paused", func() bool { return stopped(e.proc.pid) })
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// Resume ends a Pause.
func (e *Engine) Resume(tb testing.TB) {
	tb.Helper()
	if err := e.proc.signal(syscall.SIGCONT); err != nil {
		tb.Fatal(err)
	}
}

// Resident returns how many bytes of memory it holds.
func (e *Engine) Resident(tb testing.TB) int64 {
	tb.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(e.proc.pid) + "/status")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		tb.Fatalf("%s: no VmRSS in its status", e.peer)
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return kib << 10
}

// Quit ends a Go program with SIGQUIT, and returns the stacks of its goroutines.
func (e *Engine) Quit(tb testing.TB) string {
	tb.Helper()
	before, err := os.ReadFile(e.launch.log())
	if err != nil {
		tb.Fatal(err)
	}
	if err := syscall.Kill(e.proc.pid, syscall.SIGQUIT); err != nil {
		tb.Fatal(err)
	}
	if err := await(endWithin, e.peer+" ends", e.proc.exited); err != nil {
		tb.Fatal(err)
	}
	after, err := os.ReadFile(e.launch.log())
	if err := errors.Join(err, e.proc.kill()); err != nil {
		tb.Fatal(err)
	}
	return string(after[len(before):])
}

func (e *Engine) start() error {
	if err := e.launchNow(); err != nil {
		return err
	}
	return e.await()
}

// launchNow starts the process.
func (e *Engine) launchNow() error {
	var err error
	if e.begin != nil {
		ctx, cancel := context.WithTimeout(context.Background(), startWithin)
		defer cancel()
		err = e.begin(ctx)
	}
	if err == nil {
		e.proc, err = start(e.launch)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", e.peer, err)
	}
	return nil
}

// await waits until it answers.
func (e *Engine) await() error {
	last := errors.New("it was not asked")
	err := await(startWithin, e.peer+" answers", func() bool {
		if e.proc.exited() {
			last = errors.New("it has ended")
			return true
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		last = e.ready(ctx)
		return last == nil
	})
	if err != nil || last != nil {
		return errors.Join(err, fmt.Errorf("start %s: %w\n%s", e.peer, last, e.launch.said()), e.proc.kill())
	}
	return nil
}

// close ends it for good and removes what it has kept.
func (e *Engine) close() error {
	var err error
	if e.proc != nil {
		err = e.proc.kill()
	}
	for _, p := range e.others {
		err = errors.Join(err, p.kill())
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}

// owned makes an engine a test's own: it ends with the test.
func (e *Engine) owned(tb testing.TB) {
	tb.Helper()
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("%s said:\n%s", e.peer, e.launch.said())
		}
		if err := e.close(); err != nil {
			tb.Error(err)
		}
	})
}

// freePort returns a port that nobody listens on, as listen finds it.
func freePort() (int, error) {
	l, port, err := listen()
	if err != nil {
		return 0, err
	}
	return port, l.Close()
}

// Nobody returns an address of this machine that refuses connections: nobody
// listens there as long as the test process lives.
func Nobody(tb testing.TB) string {
	tb.Helper()
	address, err := freeAddress()
	if err != nil {
		tb.Fatal(err)
	}
	return address
}

// listen listens on a port that was free, below those that the kernel gives to
// outgoing connections and to those who ask for any: one of these might take it
// while nobody listens. No other test process is given it as long as this one lives.
func listen() (net.Listener, int, error) {
	end := 32768
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if first, err := strconv.Atoi(strings.Fields(string(text))[0]); err == nil && first > 12000 {
			end = first
		}
	}
	var last error
	for range 100 {
		port := 10000 + rand.IntN(end-10000)
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			if err = reserve(port); err == nil {
				return l, port, nil
			}
			err = errors.Join(err, l.Close())
		}
		last = err
	}
	return nil, 0, fmt.Errorf("no free port: %w", last)
}

// reserve keeps a port from other test processes, also while its engine is
// stopped: a name that one process can have, until it ends. So the socket is
// never closed.
func reserve(port int) error {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: "@stoker-peer-port-" + strconv.Itoa(port)}); err != nil {
		return errors.Join(err, syscall.Close(fd))
	}
	return nil
}
