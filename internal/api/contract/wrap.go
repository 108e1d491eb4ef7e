package contract

import (
	"bytes"
	"io"
	"net/http"
)

// passer passes some requests on, to be answered by another API.
type passer interface{ PassesOn(r *http.Request) bool }

// Handler is next, whose own answers are checked. What is wrong with one is told to
// broken, by whichever goroutine serves it; the answer itself is left as it is.
func (c *Contract) Handler(next http.Handler, broken func(error)) http.Handler {
	p, _ := next.(passer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p != nil && p.PassesOn(r) {
			next.ServeHTTP(w, r)
			return
		}
		asked := r.Clone(r.Context()) // what a handler may change
		seen := &watched{ResponseWriter: w}
		seen.begun = func() {
			if s := c.stream(asked, seen.status, seen.header); s != nil {
				seen.stream = s
			}
		}
		next.ServeHTTP(seen, r)
		if seen.status == 0 {
			seen.WriteHeader(http.StatusOK)
		}
		err := c.Check(Answer{Request: asked, Status: seen.status, Header: seen.header, Body: seen.body.Bytes()})
		if err == nil && seen.stream != nil {
			err = seen.stream.end()
		}
		if err != nil {
			broken(err)
		}
	})
}

// watched is a ResponseWriter that keeps what is written.
type watched struct {
	http.ResponseWriter
	status int
	header http.Header // as it was sent
	body   bytes.Buffer
	begun  func()
	stream *stream // nil of an answer that is whole
}

// Unwrap is what http.ResponseController looks for.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the status.
func (w *watched) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status, w.header = status, w.Header().Clone()
		w.begun()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write keeps the body.
func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.stream != nil {
		w.stream.write(b)
	} else {
		w.body.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

// Transport is next, whose answers are checked. What is wrong with one is told
// to broken; it is handed on as it is.
func (c *Contract) Transport(next http.RoundTripper, broken func(error)) http.RoundTripper {
	return transport{c, next, broken}
}

type transport struct {
	contract *Contract
	next     http.RoundTripper
	broken   func(error)
}

// CloseIdleConnections is what http.Client calls.
func (t transport) CloseIdleConnections() {
	if n, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		n.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if s := t.contract.stream(r, resp.StatusCode, resp.Header); s != nil {
		if err := t.contract.Check(Answer{Request: r, Status: resp.StatusCode, Header: resp.Header}); err != nil {
			t.broken(err)
		}
		resp.Body = &streamed{ReadCloser: resp.Body, stream: s, broken: t.broken}
		return resp, nil
	}
	body, err := io.ReadAll(resp.Body)
	if closed := resp.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err := t.contract.Check(Answer{Request: r, Status: resp.StatusCode, Header: resp.Header, Body: body}); err != nil {
		t.broken(err)
	}
	return resp, nil
}

// streamed is a body without an end yet.
type streamed struct {
	io.ReadCloser
	stream *stream
	broken func(error)
	told   bool
}

func (s *streamed) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.stream.write(p[:n])
	if wrong := s.stream.err; wrong != nil && !s.told {
		s.told = true
		s.broken(wrong)
	}
	return n, err
}
