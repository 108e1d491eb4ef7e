package upstream_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stoker/internal/upstream"
)

// A look finds who is there and which versions there are, and the log has a line
// for each change of that.
func TestLook(t *testing.T) {
	list := func(version string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusMultipleChoices)
			_, _ = io.WriteString(w, `{"versions": [{"id": "v2.0", "version": ""}, {"id": "v3.0", "version": "`+version+`"}]}`)
		}
	}
	away := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	one, two := httptest.NewUnstartedServer(away), httptest.NewUnstartedServer(away)
	var first, second switchable
	one.Config.Handler, two.Config.Handler = &first, &second
	one.Start()
	two.Start()
	t.Cleanup(one.Close)
	t.Cleanup(two.Close)
	u, l := newUpstream(t, nil, one.URL, two.URL)

	for _, tt := range []struct {
		name          string
		first, second http.HandlerFunc
		newest        int
		known         bool
		trouble       string
		lines         int // more in the log
	}{
		{"none has ever answered", away, away, 0, false, "away: only what this process serves itself is answered", 2},
		{"and still", away, away, 0, false, "away: only what this process serves itself is answered", 0},
		{"the second", away, list("3.71"), 71, true, "1 of 2 away", 1},
		{"both", list("3.70"), list("3.71"), 70, true, "", 1},
		{"and still", list("3.70"), list("3.71"), 70, true, "", 0},
		{"the first away", away, list("3.71"), 70, true, "1 of 2 away", 1},
		{"both away: what they said last", away, away, 70, true, "away: only what this process serves itself is answered", 1},
		{"upgraded", list("3.72"), list("3.71"), 71, true, "", 2},
		{"no list of versions", list("4.0"), list("3.71"), 71, true, "1 of 2 away", 1},
		{"nonsense", list("3.999999"), list("3.-1"), 71, true, "away: only what this process serves itself is answered", 1},
	} {
		first.set(tt.first)
		second.set(tt.second)
		before := l.count("msg=")
		u.Look(t.Context())
		newest, known := u.Newest()
		if newest != tt.newest || known != tt.known || u.Trouble() != tt.trouble {
			t.Errorf("%s: got %d, %v, %q", tt.name, newest, known, u.Trouble())
		}
		if got := l.count("msg=") - before; got != tt.lines {
			t.Errorf("%s: %d lines in the log, want %d", tt.name, got, tt.lines)
		}
	}
}

// Requests go to the first that was there at the last look. One line says that
// nobody is, however many requests find that out, and a look finds it back.
func TestTheFirstComesBack(t *testing.T) {
	name := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			text := s
			if r.URL.Path == "/" {
				text = versions
			}
			_, _ = io.WriteString(w, text)
		}
	}
	first := httptest.NewServer(name("first"))
	second := serve(t, name("second"))
	u, l := newUpstream(t, nil, first.URL, second.URL)
	u.Look(t.Context())
	s := front(t, u, nil)
	asked := func(want string) {
		t.Helper()
		for range 5 {
			if _, got := ask(t, s.Client(), http.MethodGet, s.URL+"/x", nil); got != want {
				t.Errorf("%s answers, want %s", got, want)
			}
		}
	}
	asked("first")
	address := first.Listener.Addr().String()
	first.Close()
	asked("second")
	if n := l.count("cinder-api is away"); n != 1 {
		t.Errorf("%d lines say that the first is away", n)
	}
	if got := u.Trouble(); got != "1 of 2 away" {
		t.Errorf("trouble is %q", got)
	}
	again := httptest.NewUnstartedServer(name("first"))
	check(t, again.Listener.Close())
	var err error
	if again.Listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", address); err != nil {
		t.Fatal(err)
	}
	again.Start()
	t.Cleanup(again.Close)
	asked("second")
	u.Look(t.Context())
	asked("first")
}

// One that is away is asked all the same when no other is there: the last look may
// be a while ago.
func TestOneThatWasAwayIsAsked(t *testing.T) {
	var now switchable
	now.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	back := serve(t, now.ServeHTTP)
	u, _ := newUpstream(t, nil, back.URL)
	u.Look(t.Context())
	if u.Trouble() == "" {
		t.Error("it is not away")
	}
	s := front(t, u, nil)
	now.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	if got, _ := ask(t, s.Client(), http.MethodPost, s.URL+"/x", nil); got != http.StatusAccepted {
		t.Errorf("got %d", got)
	}
}

// Over TLS only who shows a certificate of the authority is spoken to.
func TestTLS(t *testing.T) {
	back := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	back.Config.ErrorLog = front(t, mustUpstream(t), nil).Config.ErrorLog
	t.Cleanup(back.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: back.Certificate().Raw}), 0o600))
	for _, tt := range []struct {
		ca   string
		want int
	}{{file, http.StatusOK}, {"", http.StatusServiceUnavailable}} {
		u, _ := newUpstream(t, func(o *upstream.Options) { o.CAFile = tt.ca }, back.URL)
		s := front(t, u, nil)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if got, text := ask(t, s.Client(), method, s.URL+"/x", nil); got != tt.want || got == http.StatusOK && text != "HTTP/1.1" {
				t.Errorf("%s with the CA file %q: got %d %s", method, tt.ca, got, text)
			}
		}
	}
	for _, bad := range []string{filepath.Join(t.TempDir(), "none"), "look_test.go"} {
		if _, err := upstream.New(upstream.Options{CAFile: bad}); err == nil || !bytes.Contains([]byte(err.Error()), []byte("upstream_ca_file")) {
			t.Errorf("the CA file %s: %v", bad, err)
		}
	}
}

func mustUpstream(t *testing.T) *upstream.Upstream {
	t.Helper()
	u, _ := newUpstream(t, nil)
	return u
}

// Run looks again and again, and ends when it is told to.
func TestRun(t *testing.T) {
	looks := make(chan struct{}, 100)
	back := serve(t, func(http.ResponseWriter, *http.Request) { looks <- struct{}{} })
	newUpstream(t, func(o *upstream.Options) { o.Interval = time.Millisecond }, back.URL)
	for range 3 {
		<-looks
	}
}
