package upstream_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/upstream"
)

// patient is a bound that no test is meant to reach.
const patient = time.Minute

// versions is what a cinder-api says of itself.
const versions = `{"versions": [{"id": "v3.0", "status": "CURRENT", "version": "3.70", "min_version": "3.0"}]}`

// logs are what an Upstream writes.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// newUpstream makes one that is patient, unless change says otherwise.
func newUpstream(tb testing.TB, change func(*upstream.Options), urls ...string) (*upstream.Upstream, *logs) {
	tb.Helper()
	l := &logs{}
	log := slog.New(slog.NewTextHandler(l, nil))
	o := upstream.Options{URLs: urls, Connect: patient, Answer: patient, Stall: patient, Interval: time.Hour, Log: log, Answers: log}
	if change != nil {
		change(&o)
	}
	u, err := upstream.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan struct{})
	go func() { defer close(done); u.Run(ctx) }()
	tb.Cleanup(func() { cancel(); <-done })
	return u, l
}

// front passes every request on.
func front(tb testing.TB, u *upstream.Upstream, change func(*httptest.Server)) *httptest.Server {
	tb.Helper()
	s := httptest.NewUnstartedServer(passing(u))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	if change != nil {
		change(s)
	}
	if s.EnableHTTP2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	tb.Cleanup(s.Close)
	return s
}

// passing is an API that serves nothing itself.
func passing(u *upstream.Upstream) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := u.Pass(w, r, http.Header{"X-Openstack-Request-Id": {"req-ours"}})
		switch {
		case err == nil:
		case cinder.KindOf(err) == cinder.KindUnavailable:
			http.Error(w, cinder.Message(err), http.StatusServiceUnavailable)
		case cinder.KindOf(err) == cinder.KindRemote:
			http.Error(w, cinder.Message(err), http.StatusBadGateway)
		case cinder.KindOf(err) == cinder.KindInvalid:
			http.Error(w, cinder.Message(err), http.StatusBadRequest)
		default:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// serve is a cinder-api.
func serve(tb testing.TB, h http.HandlerFunc) *httptest.Server {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s
}

// rude is somebody who listens where a cinder-api should be, and does with each
// connection, upon its first line, what he likes.
func rude(tb testing.TB, does func(net.Conn)) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var all sync.WaitGroup
	tb.Cleanup(func() { check(tb, l.Close()); all.Wait() })
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = conn.Close() }()
				if _, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
					does(conn)
				}
			})
		}
	})
	return "http://" + l.Addr().String()
}

// untilClosed waits for the other end to close a connection.
func untilClosed(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// nobody is an address where nobody listens.
func nobody(tb testing.TB) string {
	tb.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

func check(tb testing.TB, errs ...error) {
	tb.Helper()
	for _, err := range errs {
		if err != nil {
			tb.Error(err)
		}
	}
}

// ask sends a request and reads the answer.
func ask(tb testing.TB, c *http.Client, method, url string, body io.Reader) (int, string) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, url, body)
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	check(tb, err, resp.Body.Close())
	return resp.StatusCode, string(text)
}

// raw sends text as it is and reads the answer to a request of that method, and
// all of its body that comes.
func raw(tb testing.TB, address, method, text string) (reply, string) {
	tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { check(tb, conn.Close()) }()
	check(tb, conn.SetDeadline(time.Now().Add(patient)))
	if _, err := io.WriteString(conn, text); err != nil {
		tb.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		tb.Fatalf("%.300q: %v", text, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatalf("%.300q: %v", text, err)
	}
	check(tb, resp.Body.Close())
	return reply{resp.StatusCode, resp.Header, resp.Trailer, resp.ContentLength, resp.TransferEncoding}, string(body)
}

// reply is an answer whose body was read.
type reply struct {
	StatusCode       int
	Header, Trailer  http.Header
	ContentLength    int64
	TransferEncoding []string
}

// switchable is a handler that can be changed.
type switchable struct {
	mu sync.Mutex
	h  http.HandlerFunc
}

func (s *switchable) set(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.h = h
}

// ServeHTTP implements http.Handler.
func (s *switchable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	h := s.h
	s.mu.Unlock()
	h(w, r)
}
