package oslo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"stoker/internal/cinder"
)

const (
	// concurrency bounds the requests that a server carries out at once. The rest wait
	// in their queues, where they may expire.
	concurrency = 64
	// duplicateWindow is how many message ids per target are kept to detect duplicates,
	// as in oslo.messaging (doc/cinder/wire.md#duplicates).
	duplicateWindow = 16
	// replyTimeout bounds the sending of a reply or keep-alive.
	replyTimeout = 10 * time.Second
	// replyInterval is the pause before a reply is retried: after a broker's restart,
	// its queue is back only once the caller is. Cinder's services pause as long, and
	// give up after a minute (doc/cinder/wire.md#the-reply-queue).
	replyInterval = 250 * time.Millisecond
)

// ServerOptions configure a Server. All are required.
type ServerOptions struct {
	Transport Transport
	Targets   []Target
	Endpoint  Endpoint
	Log       *slog.Logger
}

// Server carries out the requests sent to its targets.
type Server struct {
	o      ServerOptions
	cancel context.CancelFunc // cancels the contexts of running requests
	slots  chan struct{}

	mu        sync.Mutex // guards the fields below
	recent    recent
	closing   bool
	running   int           // running requests
	idle      chan struct{} // closed when the server is closing and nothing runs
	listeners []Listener    // set by Serve only
}

// Serve starts listening and returns. ctx bounds only the start. KindUnavailable when
// the bus is away.
func Serve(ctx context.Context, o ServerOptions) (*Server, error) {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{
		o: o, cancel: cancel, slots: make(chan struct{}, concurrency), idle: make(chan struct{}),
		recent: recent{size: duplicateWindow * len(o.Targets)},
	}
	for _, t := range o.Targets {
		l, err := o.Transport.Listen(ctx, t.Destinations(), func(ctx context.Context, m Message) { s.receive(ctx, run, m) })
		if err != nil {
			return nil, errors.Join(fmt.Errorf("serve %s: %w", t.Topic, err), s.Close(ctx))
		}
		s.listeners = append(s.listeners, l)
	}
	return s, nil
}

// Close accepts no more requests and waits for running ones. When ctx ends first, it
// cancels their contexts and fails with KindTimeout.
func (s *Server) Close(ctx context.Context) error {
	defer s.cancel()
	var errs error
	for _, l := range s.listeners {
		errs = errors.Join(errs, l.Close(ctx))
	}
	s.mu.Lock()
	if !s.closing && s.running == 0 {
		close(s.idle)
	}
	s.closing = true
	s.mu.Unlock()
	select {
	case <-s.idle:
		return errs
	case <-ctx.Done():
		return errors.Join(errs, cinder.Wrap(cinder.KindTimeout, context.Cause(ctx), "Requests are still being carried out."))
	}
}

// receive starts to carry out a message, once a slot is free.
func (s *Server) receive(ctx, run context.Context, m Message) {
	arrived := time.Now()
	r, err := DecodeRequest(m.Body)
	if err != nil {
		s.o.Log.WarnContext(ctx, "unreadable message dropped", "error", err)
		return
	}
	log := s.o.Log.With("method", r.Method, "request_id", r.Caller.RequestID)
	if m.Sure != nil && !s.o.Endpoint.Questions[r.Method] {
		if err := m.Sure(); err != nil {
			log.WarnContext(ctx, "request dropped; another service may have received it", "error", err)
			return
		}
	}
	if s.duplicate(r.UniqueID) {
		log.WarnContext(ctx, "duplicate message dropped", "message", r.UniqueID)
		return
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		log.WarnContext(ctx, "request dropped; the server is closing")
		return
	}
	left := m.Expiry - time.Since(arrived)
	if m.Expiry > 0 && left <= 0 {
		<-s.slots
		log.WarnContext(ctx, "expired request dropped", "waited", time.Since(arrived))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		<-s.slots
		return
	}
	s.running++
	go func() {
		defer s.release()
		ctx := cinder.WithCaller(run, r.Caller)
		if r.Call() && m.Expiry > 0 { // a call expires when its caller gives up
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, left)
			defer cancel()
		}
		s.execute(ctx, log, &r)
	}()
}

// release frees a request's slot.
func (s *Server) release() {
	<-s.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if s.closing && s.running == 0 {
		close(s.idle)
	}
}

func (s *Server) duplicate(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return id != "" && s.recent.seen(id)
}

// execute runs a request and, for a call, replies.
func (s *Server) execute(ctx context.Context, log *slog.Logger, r *Request) {
	stop := s.keepAlive(ctx, log, r)
	result, err := s.o.Endpoint.dispatch(ctx, log, r)
	stop()
	reply := Reply{Ending: true, MsgID: r.MsgID}
	if refusal, ok := result.(Refusal); ok && err == nil {
		result, reply.Detail = false, string(refusal)
	}
	if err == nil {
		if reply.Result, err = json.Marshal(result); err != nil {
			err = fmt.Errorf("encode the result: %w", err)
		}
	}
	if err != nil {
		level := slog.LevelWarn
		if cinder.KindOf(err) == cinder.KindInternal {
			level = slog.LevelError
		}
		log.Log(ctx, level, "request failed", "error", err)
		reply.Result, reply.Failure = nil, FailureOf(err)
	}
	switch {
	case !r.Call():
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		log.WarnContext(ctx, "no reply sent; the call took longer than its caller waits")
	default:
		s.reply(ctx, log, r, reply)
	}
}

// reply sends the ending reply of a call, even while the server closes. It retries for
// a while: the caller recognises duplicates.
func (s *Server) reply(ctx context.Context, log *slog.Logger, r *Request, reply Reply) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replyTimeout)
	defer cancel()
	err := s.send(ctx, r, reply)
	for err != nil && s.waitRetry(ctx) {
		err = s.send(ctx, r, reply)
	}
	if err != nil {
		log.WarnContext(ctx, "reply could not be sent", "queue", r.ReplyTo, "error", err)
	}
}

// waitRetry waits before a reply is retried. It returns false when there is to be no
// retry.
func (s *Server) waitRetry(ctx context.Context) bool {
	t := time.NewTimer(replyInterval*4/5 + rand.N(replyInterval*2/5))
	defer t.Stop()
	select {
	case <-t.C:
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.closing
	case <-ctx.Done():
		return false
	}
}

// send sends a reply once.
func (s *Server) send(ctx context.Context, r *Request, reply Reply) error {
	reply.UniqueID = newID()
	body, err := EncodeReply(reply)
	if err != nil {
		return err
	}
	return s.o.Transport.Send(ctx, ToReplies(r.ReplyTo), Message{Body: body})
}

// sendKeepAlive sends a keep-alive reply.
func (s *Server) sendKeepAlive(ctx context.Context, log *slog.Logger, r *Request) {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	if err := s.send(ctx, r, Reply{MsgID: r.MsgID}); err != nil && ctx.Err() == nil {
		log.DebugContext(ctx, "keep-alive could not be sent", "queue", r.ReplyTo, "error", err)
	}
}

// keepAlive sends keep-alives while a call runs, if its caller requests them: twice per
// requested interval (doc/cinder/wire.md#messages). stop ends it and waits.
func (s *Server) keepAlive(ctx context.Context, log *slog.Logger, r *Request) (stop func()) {
	if !r.Call() || r.KeepAlive < 2*time.Second {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var sending sync.WaitGroup
	sending.Go(func() {
		ticker := time.NewTicker(r.KeepAlive / 2)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				s.sendKeepAlive(ctx, log, r)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); sending.Wait() }
}

// recent is a list of the last ids seen.
type recent struct {
	size int
	ids  []string
	next int // index to overwrite next
}

// seen reports whether id is on the list, and adds it.
func (r *recent) seen(id string) bool {
	if slices.Contains(r.ids, id) {
		return true
	}
	if len(r.ids) < r.size {
		r.ids = append(r.ids, id)
		return false
	}
	r.ids[r.next] = id
	r.next = (r.next + 1) % r.size
	return false
}
