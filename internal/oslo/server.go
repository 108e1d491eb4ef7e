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
	// concurrency is how many requests a server works on at the same moment. The
	// others wait in their queues, where they expire.
	concurrency = 64
	// remembered is how many ids of messages are kept for each target to tell
	// duplicates, as many as oslo.messaging keeps (doc/cinder/wire.md#duplicates).
	remembered = 16
	// replyTimeout bounds the sending of a reply, and of a sign of life.
	replyTimeout = 10 * time.Second
	// replyInterval is the wait before a reply is tried again: when a broker is
	// back, its queue is once the caller is, too. Cinder's services wait as long,
	// and give up after a minute (doc/cinder/wire.md#the-reply-queue).
	replyInterval = 250 * time.Millisecond
)

// ServerOptions are what a Server is made of. All are required.
type ServerOptions struct {
	Transport Transport
	Targets   []Target
	Endpoint  Endpoint
	Log       *slog.Logger
}

// Server carries out the requests that reach its targets.
type Server struct {
	o      ServerOptions
	cancel context.CancelFunc // ends the context of what is being carried out
	slots  chan struct{}

	mu        sync.Mutex // guards what follows
	recent    recent
	closing   bool
	running   int           // requests being carried out
	idle      chan struct{} // closed when the server closes and nothing runs
	listeners []Listener    // set by Serve alone
}

// Serve starts to listen and returns. The context bounds the start alone. It
// fails with KindUnavailable when the bus is away.
func Serve(ctx context.Context, o ServerOptions) (*Server, error) {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{
		o: o, cancel: cancel, slots: make(chan struct{}, concurrency), idle: make(chan struct{}),
		recent: recent{size: remembered * len(o.Targets)},
	}
	for _, t := range o.Targets {
		l, err := o.Transport.Listen(ctx, t.Destinations(), func(ctx context.Context, m Message) { s.take(ctx, run, m) })
		if err != nil {
			return nil, errors.Join(fmt.Errorf("serve %s: %w", t.Topic, err), s.Close(ctx))
		}
		s.listeners = append(s.listeners, l)
	}
	return s, nil
}

// Close takes no more requests and waits for those it has. When ctx ends first,
// it ends their contexts and fails with KindTimeout.
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

// take begins to carry out a message, once there is room.
func (s *Server) take(ctx, run context.Context, m Message) {
	arrived := time.Now()
	r, err := DecodeRequest(m.Body)
	if err != nil {
		s.o.Log.WarnContext(ctx, "a message that cannot be read was dropped", "error", err)
		return
	}
	log := s.o.Log.With("method", r.Method, "request_id", r.Caller.RequestID)
	if m.Sure != nil && !s.o.Endpoint.Questions[r.Method] {
		if err := m.Sure(); err != nil {
			log.WarnContext(ctx, "a request that others may have been given was dropped", "error", err)
			return
		}
	}
	if s.duplicate(r.UniqueID) {
		log.WarnContext(ctx, "a duplicate message was dropped", "message", r.UniqueID)
		return
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		log.WarnContext(ctx, "the service closes: a request was dropped")
		return
	}
	left := m.Expiry - time.Since(arrived)
	if m.Expiry > 0 && left <= 0 {
		<-s.slots
		log.WarnContext(ctx, "a request waited too long and was dropped", "waited", time.Since(arrived))
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
		defer s.ended()
		ctx := cinder.WithCaller(run, r.Caller)
		if r.Call() && m.Expiry > 0 { // calls expire when their callers give up
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, left)
			defer cancel()
		}
		s.carryOut(ctx, log, &r)
	}()
}

// ended makes room for the next request.
func (s *Server) ended() {
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

// carryOut runs a request and, when it is a call, replies.
func (s *Server) carryOut(ctx context.Context, log *slog.Logger, r *Request) {
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
		log.Log(ctx, level, "a request failed", "error", err)
		reply.Result, reply.Failure = nil, FailureOf(err)
	}
	switch {
	case !r.Call():
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		log.WarnContext(ctx, "a call took longer than its caller waits: no reply was sent")
	default:
		s.reply(ctx, log, r, reply)
	}
}

// reply sends the reply that ends a call, also while the server closes. One that
// cannot be delivered is tried again for a while: the caller knows replies that
// came twice.
func (s *Server) reply(ctx context.Context, log *slog.Logger, r *Request, reply Reply) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replyTimeout)
	defer cancel()
	err := s.send(ctx, r, reply)
	for err != nil && s.again(ctx) {
		err = s.send(ctx, r, reply)
	}
	if err != nil {
		log.WarnContext(ctx, "a reply could not be sent", "queue", r.ReplyTo, "error", err)
	}
}

// again waits for the next try to reply. It is false when there is to be none.
func (s *Server) again(ctx context.Context) bool {
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

// sign sends a sign of life.
func (s *Server) sign(ctx context.Context, log *slog.Logger, r *Request) {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	if err := s.send(ctx, r, Reply{MsgID: r.MsgID}); err != nil && ctx.Err() == nil {
		log.DebugContext(ctx, "a sign of life could not be sent", "queue", r.ReplyTo, "error", err)
	}
}

// keepAlive sends signs of life while a call is being carried out, when its
// caller asks for them: twice in the time it names (doc/cinder/wire.md#messages). stop
// ends and waits for that.
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
				s.sign(ctx, log, r)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); sending.Wait() }
}

// recent are the last few ids that were seen.
type recent struct {
	size int
	ids  []string
	next int // the one that is forgotten next
}

// seen says whether id is among them, and remembers it.
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
