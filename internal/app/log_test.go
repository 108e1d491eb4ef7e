package app_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/keystone/keystonetest"
)

// flood is how often each thing is done that may not write a line each time, and
// few how many lines it may write all in all: one a second and kind, on a machine
// on which a flood takes ten seconds.
const (
	flood = 100
	few   = 40
)

// atOnce does something that often.
func atOnce(do func()) {
	var all sync.WaitGroup
	for range flood {
		all.Go(do)
	}
	all.Wait()
}

// grown fails when the log has grown by more than few lines, or by more than they
// hold. What services say of themselves does not count.
func (s *site) grown(t *testing.T, before, what string) {
	t.Helper()
	n, size := 0, 0
	for line := range strings.Lines(strings.TrimPrefix(s.logs.String(), before)) {
		if !strings.Contains(line, "logger=stoker.agent") {
			n, size = n+1, size+len(line)
		}
	}
	if n > few || size > few*10_000 {
		t.Errorf("%s, %d times, wrote %d lines, %d bytes", what, flood, n, size)
	}
}

// Nobody who is not allowed anything can fill the disk with what is logged.
func TestRefusalsDoNotFloodTheLog(t *testing.T) {
	s, fake, _ := guarded(t, `{"volume_extension:services:index": "nonsense and more"}`)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	ask := func(path, token string, want int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr().String()+path, http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("X-Auth-Token", token)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if err := resp.Body.Close(); err != nil || resp.StatusCode != want {
			t.Errorf("%.40s: %d, %v, want %d", path, resp.StatusCode, err, want)
		}
	}
	long := "/v3/" + strings.Repeat("%ff", 2<<10)
	for _, tt := range []struct {
		name, path, token string
		status            int
	}{
		{"long paths without a token", long, "", 401},
		{"wrong tokens", "/v3/os-services", "wrong", 401},
		{"paths that lead nowhere", long[len("/v3"):], "", 404},
		{"a rule without a verdict", "/v3/os-services", keystonetest.Token("root-admin"), 403},
	} {
		before := s.logs.String()
		atOnce(func() { ask(tt.path, tt.token, tt.status) })
		s.grown(t, before, tt.name)
	}
	for end := time.Now().Add(30 * time.Second); !strings.Contains(s.logs.String(), " more like it\""); { // after a second
		if time.Now().After(end) {
			t.Fatal("the log does not say how many lines it leaves out")
		}
		<-time.After(10 * time.Millisecond)
	}
	if !strings.Contains(s.logs.String(), " bytes more)") {
		t.Error("the log does not say what it cuts")
	}
	fake.Down()
	before := s.logs.String()
	atOnce(func() { ask("/v3/os-services", "unseen", 503) })
	s.grown(t, before, "tokens that nobody can judge")
}

// Nor can who does not even speak HTTP, at any level.
func TestBrokenConnectionsDoNotFloodTheLog(t *testing.T) {
	ca := newAuthority(t)
	ca.issue(t, "api")
	o := standalone(t, t.TempDir())
	o.LogLevel = cinder.LogDebug
	o.Config.Edge.UseSSL, o.Config.Edge.CertFile, o.Config.Edge.KeyFile = true, ca.path("api"), ca.path("api")
	s := start(t, o)
	dial := func() net.Conn {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr().String())
		if err == nil {
			err = c.SetDeadline(time.Now().Add(20 * time.Second)) // none is needed
		}
		if err != nil {
			t.Error(err)
		}
		return c
	}
	// All that the server has to say on a connection has been said when it is closed.
	say := func(c net.Conn, text string) {
		_, _ = io.WriteString(c, text)
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
	h2 := func(text string) func() {
		return func() {
			c := tls.Client(dial(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // It is about what is sent.
			say(c, text)
		}
	}
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for _, tt := range []struct {
		name string
		do   func()
	}{
		{"no TLS", func() { say(dial(), "GET / HTTP/1.1\r\n\r\n") }},
		{"garbage", func() { say(dial(), strings.Repeat("\x1b\xff", 100)) }},
		{"an alert", func() { say(dial(), "\x15\x03\x01\x00\x02\x02\x28") }},
		{"HTTP/2 without its preface", h2(strings.Repeat("\xff", 24))},
		{"HTTP/2 frames that are none", h2(preface + strings.Repeat("\xff", 100))},
		{"HTTP/2 headers that are none", h2(preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x04\x01\x05\x00\x00\x00\x01\xff\xff\xff\xff")},
	} {
		before := s.logs.String()
		atOnce(tt.do)
		s.grown(t, before, tt.name)
	}
	if log := s.logs.String(); !strings.Contains(log, "TLS handshake error") {
		t.Errorf("nothing was said of any of them:\n%.1000s", log)
	}
}
