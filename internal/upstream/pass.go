package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stoker/internal/cinder"
)

// What a client is told of a request that got no answer.
const (
	textAway    = "The Block Storage API that serves this request is not available."
	textRubbish = "The Block Storage API that serves this request gave an answer that cannot be passed on."
	textLoop    = "The Block Storage API that is to serve this request is this one: the upstream leads back."
	textSlow    = "The request body did not arrive in time."
	textBroken  = "Malformed request body"
)

// via is what a request carries that has been here.
const via = "1.1 stoker"

var (
	errNoProgress = errors.New("no progress for too long")
	errUpgrade    = errors.New("it changes the protocol, which nobody asked for")
	errStatus     = errors.New("its status is none")
)

// exchange is a request that is passed on, and its answer.
type exchange struct {
	u       *Upstream
	set     http.Header
	cancel  context.CancelCauseFunc
	client  context.Context //nolint:containedctx // it ends when the client goes, while the request's own ends for other reasons too
	sending *watch          // until the answer begins
	to      *target         // who answers
	err     error           // why nobody did
	heard   atomic.Bool     // whether whoever is asked has said anything

	mu   sync.Mutex // guards body
	body error      // what is wrong with the body that the client sends
}

// Pass sends a request on, with the headers in set in the place of those it has,
// and the answer back. It fails when nothing was answered: KindUnavailable when no
// cinder-api is there or answers in time, KindRemote when it answers what is no
// HTTP, KindInvalid when the client's own body breaks off, and with the error of
// the request's context when the client went away. An answer that breaks off half
// way cannot be taken back: Pass panics with http.ErrAbortHandler then, upon which
// net/http lets the client know.
func (u *Upstream) Pass(w http.ResponseWriter, r *http.Request, set http.Header) error {
	if slices.ContainsFunc(r.Header.Values("Via"), func(s string) bool { return strings.Contains(s, via) }) {
		return cinder.Errorf(cinder.KindRemote, "%s", textLoop)
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	x := &exchange{u: u, set: set, cancel: cancel, client: r.Context()}
	x.sending = newWatch(u.o.Answer, x.stalled)
	defer x.sending.end()

	out := http.NewResponseController(w)
	// The server's own deadlines are those of whole requests and answers.
	if err := out.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	in := r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { x.heard.Store(true) }}))
	if r.Body != nil && r.Body != http.NoBody {
		in.Body = &sent{ReadCloser: r.Body, x: x, out: out}
	}
	proxy := httputil.ReverseProxy{
		Rewrite: x.rewrite, Transport: x, ModifyResponse: x.began, FlushInterval: -1, BufferPool: &u.buffers,
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { x.err = err },
		ErrorLog:     log.New(io.Discard, "", 0), // received says it better
	}
	proxy.ServeHTTP(&answered{ResponseWriter: w, out: out, limit: u.o.Stall}, in)
	return x.failure(ctx)
}

func (x *exchange) stalled() { x.cancel(errNoProgress) }

// failure is why nothing was answered; nil when something was.
func (x *exchange) failure(ctx context.Context) error {
	x.mu.Lock()
	body := x.body
	x.mu.Unlock()
	switch {
	case x.err == nil:
		return nil
	case errors.Is(body, os.ErrDeadlineExceeded): // which ends the client's context as well
		return cinder.Wrap(cinder.KindInvalid, body, "%s", textSlow)
	case body != nil:
		return cinder.Wrap(cinder.KindInvalid, body, "%s", textBroken)
	case x.client.Err() != nil:
		return fmt.Errorf("the client did not wait: %w", x.client.Err())
	case errors.Is(context.Cause(ctx), errNoProgress):
		return cinder.Wrap(cinder.KindUnavailable, errNoProgress, "%s", textAway)
	case x.away(x.err):
		return cinder.Wrap(cinder.KindUnavailable, x.err, "%s", textAway)
	default:
		return cinder.Wrap(cinder.KindRemote, x.err, "%s", textRubbish)
	}
}

// rewrite makes the request that is sent out of the one that came. ReverseProxy
// has taken away what concerns one connection alone.
func (x *exchange) rewrite(p *httputil.ProxyRequest) {
	h := p.Out.Header
	for name := range h {
		// A WSGI server takes A_B for A-B: whoever says Transfer_Encoding, or
		// X_Forwarded_For, means harm. An upgrade is not asked for, as nothing here
		// can follow one.
		if strings.Contains(name, "_") || strings.HasPrefix(name, "X-Forwarded-") || name == "Connection" || name == "Upgrade" {
			delete(h, name)
		}
	}
	maps.Copy(h, x.set)
	h["Via"] = append(slices.Clip(p.In.Header["Via"]), via)
	p.Out.Host = p.In.Host
	p.Out.Trailer = nil // ReverseProxy cannot carry the request's over
	// ReverseProxy drops of the query what Go cannot parse, and Go writes some paths
	// in another way than they came.
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	if raw := rawPath(p.In); raw != p.Out.URL.EscapedPath() && strings.HasPrefix(raw, "/") && !strings.HasPrefix(raw, "//") {
		p.Out.URL.Opaque = raw
	}
}

// rawPath is the path of a request as it came.
func rawPath(r *http.Request) string {
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	if _, rest, absolute := strings.Cut(raw, "://"); absolute && !strings.HasPrefix(raw, "/") {
		_, raw, _ = strings.Cut(rest, "/")
		raw = "/" + raw
	}
	return raw
}

// began looks at the head of an answer.
func (x *exchange) began(resp *http.Response) error {
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		return errUpgrade
	case resp.StatusCode < http.StatusOK:
		return errStatus
	}
	x.sending.end()
	resp.Body = &received{ReadCloser: resp.Body, x: x, watch: newWatch(x.u.o.Stall, x.stalled)}
	return nil
}
