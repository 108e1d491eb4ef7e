package upstream_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"stoker/internal/upstream"
)

// Both directions are streams: a part arrives before the next is sent.
func TestPartsArriveAsTheyAreSent(t *testing.T) {
	for _, two := range []bool{false, true} {
		got, next := make(chan string), make(chan struct{})
		back := serve(t, func(w http.ResponseWriter, r *http.Request) {
			part := make([]byte, 3)
			for range 2 {
				if _, err := io.ReadFull(r.Body, part); err != nil {
					t.Error(err)
				}
				got <- string(part)
			}
			if n, err := r.Body.Read(part); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("more than was sent: %d, %v", n, err)
			}
			for range 2 {
				_, err := io.WriteString(w, "abc")
				check(t, err, http.NewResponseController(w).Flush())
				<-next
			}
		})
		u, _ := newUpstream(t, nil, back.URL)
		s := front(t, u, func(s *httptest.Server) { s.EnableHTTP2 = two })
		in, out := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/x", in)
		if err != nil {
			t.Fatal(err)
		}
		type outcome struct {
			resp *http.Response
			err  error
		}
		answer := make(chan outcome, 1)
		go func() {
			resp, err := s.Client().Do(r) //nolint:bodyclose // closed by who gets it
			answer <- outcome{resp, err}
		}()
		for _, part := range []string{"one", "two"} {
			_, err := io.WriteString(out, part)
			check(t, err)
			if arrived := <-got; arrived != part {
				t.Errorf("%s arrived, want %s", arrived, part)
			}
		}
		check(t, out.Close())
		a := <-answer
		if a.err != nil {
			t.Fatal(a.err)
		}
		if want := map[bool]int{false: 1, true: 2}[two]; a.resp.ProtoMajor != want {
			t.Errorf("HTTP/%d, want %d", a.resp.ProtoMajor, want)
		}
		part := make([]byte, 3)
		for range 2 {
			if _, err := io.ReadFull(a.resp.Body, part); err != nil || string(part) != "abc" {
				t.Errorf("got %q, %v", part, err)
			}
			next <- struct{}{}
		}
		check(t, a.resp.Body.Close())
	}
}

// zeros is a body of n bytes.
func zeros(n int64) io.Reader { return io.LimitReader(endless{}, n) }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// However long a body is, little of it is in memory, at the ends of the test as
// well. STOKER_STREAM_MIB says how many MiB go each way (16).
func TestALongBodyTakesLittleMemory(t *testing.T) {
	size := int64(16 << 20)
	if mib, err := strconv.ParseInt(os.Getenv("STOKER_STREAM_MIB"), 10, 32); err == nil {
		size = mib << 20
	}
	back := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); n != size || err != nil {
			t.Errorf("cinder-api got %d bytes, %v", n, err)
		}
		_, err := io.Copy(w, zeros(size))
		check(t, err)
	})
	u, _ := newUpstream(t, nil, back.URL)
	for _, two := range []bool{false, true} {
		s := front(t, u, func(s *httptest.Server) { s.EnableHTTP2 = two })
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/x", zeros(size))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		check(t, err, resp.Body.Close())
		runtime.ReadMemStats(&after)
		allocated, grown := int64(after.TotalAlloc-before.TotalAlloc), int64(after.HeapSys)-int64(before.HeapSys)
		t.Logf("%s: %d MiB each way, %d KiB allocated in all, the heap grew by %d KiB", resp.Proto, size>>20, allocated>>10, grown>>10)
		// Of HTTP/2, net/http allocates buffers all the time, and lets them go.
		if limit := size / 4; n != size || grown > max(limit, 8<<20) || !two && allocated > limit {
			t.Errorf("%s: %d bytes came back, %d were allocated, the heap grew by %d", resp.Proto, n, allocated, grown)
		}
	}
}

// The bounds of a server on whole requests and answers do not hold for streams,
// which have a bound on each step.
func TestStreamsOutliveTheServersBounds(t *testing.T) {
	const bound, step, steps = 100 * time.Millisecond, 40 * time.Millisecond, 10
	tick := time.NewTicker(step)
	defer tick.Stop()
	back := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		check(t, err)
		for range steps {
			<-tick.C // also before the head
			_, err := io.WriteString(w, "x")
			check(t, err, http.NewResponseController(w).Flush())
		}
		_, err = io.WriteString(w, strconv.FormatInt(n, 10))
		check(t, err)
	})
	u, _ := newUpstream(t, nil, back.URL)
	for _, two := range []bool{false, true} {
		s := front(t, u, func(s *httptest.Server) {
			s.EnableHTTP2 = two
			s.Config.ReadTimeout, s.Config.WriteTimeout = bound, bound
		})
		body, in := io.Pipe()
		go func() {
			for range steps {
				<-tick.C
				if _, err := io.WriteString(in, "y"); err != nil {
					t.Error(err)
				}
			}
			check(t, in.Close())
		}()
		got, text := ask(t, s.Client(), http.MethodPost, s.URL+"/x", body)
		if want := strings.Repeat("x", steps) + strconv.Itoa(steps); got != http.StatusOK || text != want {
			t.Errorf("HTTP/2 is %v: got %d %q, want %q", two, got, text, want)
		}
		if got, text := ask(t, s.Client(), http.MethodGet, s.URL+"/x", nil); got != http.StatusOK || text != strings.Repeat("x", steps)+"0" {
			t.Errorf("HTTP/2 is %v: got %d %q", two, got, text)
		}
	}
}

// How long a body may stand still says nothing of how long cinder-api may think.
func TestAHeadMayTakeLongerThanAPart(t *testing.T) {
	const stall = 50 * time.Millisecond
	tick := time.NewTicker(stall)
	defer tick.Stop()
	back := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(w, r.Body)
		check(t, err)
		for range 5 {
			<-tick.C
		}
	})
	u, _ := newUpstream(t, func(o *upstream.Options) { o.Stall = stall }, back.URL)
	for _, two := range []bool{false, true} {
		s := front(t, u, func(s *httptest.Server) { s.EnableHTTP2 = two })
		for _, body := range []string{"", "body"} {
			if got, text := ask(t, s.Client(), http.MethodPost, s.URL+"/x", strings.NewReader(body)); got != http.StatusOK || text != body {
				t.Errorf("HTTP/2 is %v: got %d %s, want %q", two, got, text, body)
			}
		}
	}
}

// When the client goes away, cinder-api finds out: before the answer, in the
// midst of it and in the midst of the request.
func TestTheClientGoesAway(t *testing.T) {
	for _, two := range []bool{false, true} {
		for _, at := range []string{"before the answer", "in the answer", "in the request"} {
			came, gone := make(chan struct{}), make(chan struct{})
			back := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if at == "in the answer" {
					_, err := io.WriteString(w, "some")
					check(t, err, http.NewResponseController(w).Flush())
				}
				close(came)
				if at == "in the request" {
					if _, err := io.Copy(io.Discard, r.Body); err == nil {
						t.Errorf("%s: cinder-api took a part for the whole", at)
					}
				} else {
					<-r.Context().Done()
				}
				close(gone)
			})
			u, l := newUpstream(t, nil, back.URL)
			s := front(t, u, func(s *httptest.Server) { s.EnableHTTP2 = two })
			ctx, cancel := context.WithCancel(t.Context())
			in, out := io.Pipe()
			var body io.Reader
			if at == "in the request" {
				body = in
				go func() { _, _ = io.WriteString(out, "some") }()
			}
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/x", body)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				resp, err := s.Client().Do(r)
				if err != nil {
					return
				}
				if _, err := io.Copy(io.Discard, resp.Body); err == nil {
					t.Errorf("%s: the answer is whole", at)
				}
				check(t, resp.Body.Close())
			}()
			<-came
			cancel()
			<-gone
			check(t, out.Close()) // which the client's transport waits for
			<-done
			if l.count("msg=") != 0 {
				t.Errorf("%s: a client that goes is worth a line: %s", at, l.b.String())
			}
		}
	}
}

// A client that does not read its answer holds nothing up for longer than a step
// may take.
func TestAnAnswerThatIsNotRead(t *testing.T) {
	gone := make(chan struct{})
	back := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, endless{})
		close(gone)
	})
	u, _ := newUpstream(t, func(o *upstream.Options) { o.Stall = 100 * time.Millisecond }, back.URL)
	s := front(t, u, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	<-gone // with the answer unread
	check(t, resp.Body.Close())
}

// A cinder-api that takes no more of a body holds nobody up either.
func TestABodyThatIsNotTaken(t *testing.T) {
	release := make(chan struct{})
	back := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	u, _ := newUpstream(t, func(o *upstream.Options) { o.Stall = 100 * time.Millisecond }, back.URL)
	s := front(t, u, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/x", zeros(1<<40))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		return // the connection was closed while the client still wrote: it may not see the answer
	}
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %d", resp.StatusCode)
	}
	check(t, resp.Body.Close())
}

// A client that asks first whether its body is wanted is told by cinder-api.
func TestExpectContinue(t *testing.T) {
	read := false
	back := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wanted" {
			text, err := io.ReadAll(r.Body)
			check(t, err)
			_, err = w.Write(text)
			check(t, err)
			return
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	u, _ := newUpstream(t, nil, back.URL)
	for _, two := range []bool{false, true} {
		s := front(t, u, func(s *httptest.Server) { s.EnableHTTP2 = two })
		client := s.Client()
		client.Transport.(*http.Transport).ExpectContinueTimeout = patient
		for path, want := range map[string]int{"/wanted": http.StatusOK, "/not": http.StatusRequestEntityTooLarge} {
			read = false
			body := readerFunc(func(p []byte) (int, error) {
				if read {
					return 0, io.EOF
				}
				read = true
				return copy(p, "body"), nil
			})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+path, body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Expect", "100-continue")
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			check(t, err, resp.Body.Close())
			if resp.StatusCode != want || want == http.StatusOK && string(text) != "body" {
				t.Errorf("%s %s: got %d %s", resp.Proto, path, resp.StatusCode, text)
			}
			// Of HTTP/2, net/http does not tell that a client has asked.
			if !two && read != (path == "/wanted") {
				t.Errorf("%s %s: the body was sent is %v", resp.Proto, path, read)
			}
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
