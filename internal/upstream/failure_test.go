package upstream_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"stoker/internal/upstream"
)

// A cinder-api that cannot answer, or does not, or says what is no HTTP, costs the
// request that was meant for it, within its bounds.
func TestNobodyAnswers(t *testing.T) {
	const short = 50 * time.Millisecond
	says := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			if _, err := io.WriteString(conn, text); err == nil && !strings.HasSuffix(text, "|") {
				untilClosed(conn)
			}
		}
	}
	hangsUpAfter := func(text string) func(net.Conn) {
		return func(conn net.Conn) { _, _ = io.WriteString(conn, text) }
	}
	drips := func(conn net.Conn) {
		tick := time.NewTicker(short / 5)
		defer tick.Stop()
		for range tick.C {
			if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: "[:1]); err != nil {
				return
			}
		}
	}
	tests := []struct {
		name string
		does func(net.Conn) // nil: nobody listens
		want int
		ends bool // by itself, however long it takes
	}{
		{"nobody listens", nil, http.StatusServiceUnavailable, true},
		{"hangs", untilClosed, http.StatusServiceUnavailable, false},
		{"hangs up", func(net.Conn) {}, http.StatusServiceUnavailable, true},
		{"hangs up in the head", hangsUpAfter("HTTP/1.1 200 OK\r\nX: a\r\n"), http.StatusServiceUnavailable, true},
		{"a head that does not end", drips, http.StatusServiceUnavailable, false},
		{"no HTTP", says("220 mail.example ESMTP\r\n"), http.StatusBadGateway, true},
		{"no status", says("HTTP/1.1 abc OK\r\n\r\n"), http.StatusBadGateway, true},
		{"status 000", says("HTTP/1.1 000 OK\r\n\r\n"), http.StatusBadGateway, true},
		{"a header that is none", says("HTTP/1.1 200 OK\r\n: x\r\n\r\n"), http.StatusBadGateway, true},
		{"two lengths", says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), http.StatusBadGateway, true},
		{"a head of a megabyte", says("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n"), http.StatusBadGateway, true},
		{"an upgrade that nobody asked for", says("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), http.StatusBadGateway, true},
		{"interim answers without end", says(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 10000)), http.StatusServiceUnavailable, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := nobody(t)
			if tt.does != nil {
				url = rude(t, tt.does)
			}
			u, _ := newUpstream(t, func(o *upstream.Options) {
				if !tt.ends {
					o.Answer = short
				}
			}, url)
			s := front(t, u, nil)
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				if got, text := ask(t, s.Client(), method, s.URL+"/v3/volumes", nil); got != tt.want {
					t.Errorf("%s: got %d %s, want %d", method, got, text, tt.want)
				}
			}
			if got, text := ask(t, s.Client(), http.MethodPost, s.URL+"/v3/volumes", strings.NewReader("{}")); got != tt.want && got != http.StatusServiceUnavailable {
				// That the connection is of no use any more may be found out while writing.
				t.Errorf("POST: got %d %s, want %d", got, text, tt.want)
			}
		})
	}
}

// An answer that breaks off, or stands still, breaks off for the client too: it
// cannot take a part for the whole.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	tests := []struct{ name, head string }{
		{"of a length", "Content-Length: 100\r\n\r\nhalf"},
		{"in chunks", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
	}
	for _, tt := range tests {
		for _, hangs := range []bool{false, true} {
			name := tt.name
			if hangs {
				name += ", standing still"
			}
			t.Run(name, func(t *testing.T) {
				url := rude(t, func(conn net.Conn) {
					_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+tt.head)
					if err == nil && hangs {
						untilClosed(conn)
					}
				})
				u, l := newUpstream(t, func(o *upstream.Options) { o.Stall = 50 * time.Millisecond }, url)
				s := front(t, u, nil)
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/x", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := s.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(resp.Body)
				if string(text) != "half" || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("got %q, %v", text, err)
				}
				check(t, resp.Body.Close())
				if l.count("cut an answer off") != 1 {
					t.Errorf("the log does not say so once: %s", l.b.String())
				}
			})
		}
	}
}

// A body that the client does not go on with is his fault, and ends the request
// at cinder-api too.
func TestABodyThatBreaksOff(t *testing.T) {
	broken := make(chan error, 1)
	back := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		broken <- err
	})
	u, _ := newUpstream(t, func(o *upstream.Options) { o.Stall = 50 * time.Millisecond }, back.URL)
	s := front(t, u, nil)
	for _, text := range []string{"Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		resp, body := raw(t, s.URL, http.MethodPost, "POST /x HTTP/1.1\r\nHost: a\r\n"+text)
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "did not arrive in time") {
			t.Errorf("got %d %s", resp.StatusCode, body)
		}
		if err := <-broken; err == nil {
			t.Error("cinder-api took the half for the whole")
		}
	}
}

// A request goes to a second cinder-api when the first cannot have carried it out.
func TestTheSecondIsAsked(t *testing.T) {
	const body = "the whole body"
	hangsUp := func(conn net.Conn) {}
	tests := []struct {
		name   string
		first  func(net.Conn) // nil: nobody listens
		method string
		body   string
		want   int // of the second; 0: it must not be asked
	}{
		{"nobody listens, GET", nil, http.MethodGet, "", http.StatusAccepted},
		{"nobody listens, POST", nil, http.MethodPost, body, http.StatusAccepted},
		{"nobody listens, DELETE", nil, http.MethodDelete, "", http.StatusAccepted},
		{"hangs up, GET", hangsUp, http.MethodGet, "", http.StatusAccepted},
		{"hangs up, HEAD", hangsUp, http.MethodHead, "", http.StatusAccepted},
		{"hangs up, GET with a body", hangsUp, http.MethodGet, body, 0},
		{"hangs up, POST", hangsUp, http.MethodPost, body, 0},
		{"hangs up, POST without a body", hangsUp, http.MethodPost, "", 0},
		{"hangs up, DELETE", hangsUp, http.MethodDelete, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first := nobody(t)
			if tt.first != nil {
				first = rude(t, tt.first)
			}
			seen := make(chan string, 10)
			second := serve(t, func(w http.ResponseWriter, r *http.Request) {
				text, err := io.ReadAll(r.Body)
				check(t, err)
				seen <- string(text)
				w.WriteHeader(http.StatusAccepted)
			})
			u, _ := newUpstream(t, nil, first, second.URL)
			s := front(t, u, nil)
			r, err := http.NewRequestWithContext(t.Context(), tt.method, s.URL+"/x", strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Idempotency-Key", "k") // cinder-api knows of none
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			check(t, resp.Body.Close())
			want := tt.want
			if want == 0 {
				want = http.StatusServiceUnavailable
			}
			if resp.StatusCode != want {
				t.Errorf("got %d, want %d", resp.StatusCode, want)
			}
			close(seen)
			var bodies []string
			for text := range seen {
				bodies = append(bodies, text)
			}
			if tt.want == 0 && bodies != nil || tt.want != 0 && (len(bodies) != 1 || bodies[0] != tt.body) {
				t.Errorf("the second got %q", bodies)
			}
		})
	}
}

// A change is sent over a connection of its own: one that was kept may be closed
// by the other end just then, and nobody would know what became of it.
func TestAChangeMeetsNoClosedConnection(t *testing.T) {
	back := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Kept", "yes")
		if r.Close {
			w.Header().Set("Kept", "no")
		}
	})
	u, _ := newUpstream(t, nil, back.URL)
	s := front(t, u, nil)
	for method, want := range map[string]string{"GET": "yes", "HEAD": "yes", "OPTIONS": "yes", "POST": "no", "PUT": "no", "DELETE": "no", "PATCH": "no", "BREW": "no"} {
		resp, _ := raw(t, s.URL, method, method+" /x HTTP/1.1\r\nHost: a\r\n\r\n")
		if got := resp.Header.Get("Kept"); got != want {
			t.Errorf("%s over a connection that is kept: %s, want %s", method, got, want)
		}
	}
}

// What leads back here is not passed on for ever.
func TestALoop(t *testing.T) {
	u, _ := newUpstream(t, nil, "http://127.0.0.1:1")
	s := front(t, u, nil)
	again, _ := newUpstream(t, nil, s.URL)
	s.Config.Handler = passing(again)
	if got, text := ask(t, s.Client(), http.MethodGet, s.URL+"/x", nil); got != http.StatusBadGateway || !strings.Contains(text, "leads back") {
		t.Errorf("got %d %s", got, text)
	}
}
