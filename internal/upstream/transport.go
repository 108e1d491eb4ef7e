package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxIdle is how many connections to one cinder-api are kept for later.
	maxIdle = 64
	// idleTime is how long. Requests that may not be sent twice use none of these,
	// so it does not matter who closes first.
	idleTime = 30 * time.Second
	// continueTime is how long a body is held back for a cinder-api that is to say
	// whether it wants it: some servers never say.
	continueTime = time.Second
	// maxHead bounds the head of an answer, in bytes.
	maxHead = 64 << 10
	// chunk is how much of a body is in hand at a time, in bytes.
	chunk = 32 << 10
)

// newTransport makes a transport that speaks HTTP/1.1, as cinder-api does, and
// changes nothing. A fresh one has a connection for each request: one that is kept
// may be closed by the other end at any moment, and what was sent then may have
// been carried out or not.
func newTransport(o Options, config *tls.Config, fresh bool) *http.Transport {
	dialer := &net.Dialer{Timeout: o.Connect}
	return &http.Transport{
		DialContext: dialing(o.Connect, dialer.DialContext),
		// With the handshake in it, all that fails before a request is sent fails here.
		DialTLSContext:         dialing(o.Connect, (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext),
		DisableKeepAlives:      fresh,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTime,
		ExpectContinueTimeout:  continueTime,
		MaxResponseHeaderBytes: maxHead,
		WriteBufferSize:        chunk,
		ReadBufferSize:         chunk,
	}
}

type dial func(ctx context.Context, network, address string) (net.Conn, error)

// dialing marks what fails as unreachable, and bounds it.
func dialing(limit time.Duration, next dial) dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		conn, err := next(ctx, network, address)
		if err != nil {
			return nil, &unreachable{err}
		}
		return conn, nil
	}
}

// readOnly says whether a request may be sent twice: it changes nothing, and there
// is no body that is gone once it was sent.
func readOnly(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return r.Body == nil || r.Body == http.NoBody
	default:
		return false
	}
}

// RoundTrip sends a request to the first address that takes it.
func (x *exchange) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	twice := readOnly(r)
	transport := x.u.fresh
	if twice {
		transport = x.u.pooled
	}
	for _, t := range x.u.order() {
		x.heard.Store(false)
		resp, err = transport.RoundTrip(addressed(r, t))
		if err == nil {
			x.to = t
			return resp, nil
		}
		if r.Context().Err() != nil {
			return nil, err
		}
		nothingSent, ok := errors.AsType[*unreachable](err)
		if ok {
			x.u.lost(r.Context(), t, nothingSent)
		} else if !twice || !x.away(err) {
			return nil, err
		}
	}
	return nil, err
}

// addressed is the request as it goes to an address. Its body stays open: another
// address may have to read it.
func addressed(r *http.Request, t *target) *http.Request {
	out := *r
	at := *r.URL
	at.Scheme, at.Host = t.scheme, t.host
	out.URL = &at
	if r.Body != nil {
		out.Body = io.NopCloser(r.Body)
	}
	return &out
}

// away says whether an error is that nobody is there, or not any more. All others
// mean that somebody is, and speaks no HTTP that we understand.
func (x *exchange) away(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return !x.heard.Load() || network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// buffers are those that bodies are copied through.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if kept, ok := b.pool.Get().(*[chunk]byte); ok {
		return kept[:]
	}
	return make([]byte, chunk)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(used []byte) { b.pool.Put((*[chunk]byte)(used)) }
