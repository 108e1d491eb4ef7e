package oslo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/failpoint"
)

// ClientOptions configure a Client. All are required.
type ClientOptions struct {
	Transport       Transport
	ResponseTimeout time.Duration // of calls whose context has no deadline
	Log             *slog.Logger
}

// Client sends requests and waits for replies. It is safe for concurrent use.
type Client struct {
	o       ClientOptions
	replies string        // name of the reply queue
	turn    chan struct{} // holds a token while nobody starts to listen

	done chan struct{} // closed by Close

	mu       sync.Mutex // guards the fields below
	listener Listener   // of the reply queue; nil until the first call
	waiting  map[string]*call
	closed   bool
	idle     chan struct{} // closed when the client is closed and no calls remain
}

// NewClient returns a client. The first call creates its reply queue.
func NewClient(o ClientOptions) *Client {
	c := &Client{
		o: o, replies: "reply_" + newID(), turn: make(chan struct{}, 1), done: make(chan struct{}),
		waiting: map[string]*call{}, idle: make(chan struct{}),
	}
	c.turn <- struct{}{}
	return c
}

// Call sends a request with args (encoded as a JSON object) and waits for its result
// until ctx ends or, without a deadline, for the response timeout. A request still
// queued by then is not carried out. detail is the backend's message when the result is
// false. KindUndeliverable when nobody listens and KindUnavailable when the bus is
// away: then nothing was sent; KindTimeout when no answer came, including when the
// client was closed; and Failure.Err when the service failed.
func (c *Client) Call(ctx context.Context, to Destination, method, version string, args any) (result json.RawMessage, detail string, err error) {
	r, err := c.call(ctx, to, false, Request{Method: method, Version: version}, args)
	if err != nil {
		return nil, "", fmt.Errorf("call %s of %s: %w", method, to, err)
	}
	return r.Result, r.Detail, nil
}

// listenerCheckDelay is how long Ask waits for an answer before it checks whether
// anybody listens.
const listenerCheckDelay = 100 * time.Millisecond

// Ask is Call for a method that changes nothing, and may therefore stay in a queue that
// nobody consumes. It sends at once, and checks for listeners only when no answer
// comes.
func (c *Client) Ask(ctx context.Context, to Destination, method, version string, args any) (json.RawMessage, error) {
	r, err := c.call(ctx, to, true, Request{Method: method, Version: version}, args)
	if err != nil {
		return nil, fmt.Errorf("ask %s of %s: %w", method, to, err)
	}
	return r.Result, nil
}

// call sends a request and waits for its reply. For a command, which is not a question,
// only a reply tells what became of it once it was sent.
func (c *Client) call(ctx context.Context, to Destination, question bool, r Request, args any) (Reply, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.o.ResponseTimeout)
		defer cancel()
	}
	w, done, err := c.register()
	if err != nil {
		return Reply{}, err
	}
	defer done()
	if err := c.listen(ctx); err != nil {
		return Reply{}, timedOut(ctx, err)
	}
	r.MsgID, r.ReplyTo = w.id, c.replies
	send, silence := c.send, (<-chan time.Time)(nil)
	if question {
		timer := time.NewTimer(listenerCheckDelay)
		defer timer.Stop()
		send, silence = c.transmit, timer.C
	}
	deadline, _ := ctx.Deadline()
	if err := send(ctx, to, r, args, func() time.Duration { return max(time.Until(deadline), time.Millisecond) }); err != nil {
		return Reply{}, timedOut(ctx, err)
	}
	if !question {
		failpoint.Sent.Here()
	}
	for {
		select {
		case a := <-w.answer:
			return a.Reply, a.err
		case <-silence:
			if err := c.requireConsumer(ctx, to); cinder.KindOf(err) == cinder.KindUndeliverable {
				return Reply{}, err
			}
		case <-ctx.Done():
			return Reply{}, timedOut(ctx, context.Cause(ctx))
		}
	}
}

// timedOut converts err to KindTimeout once ctx has ended: an operation that it cut
// short may have succeeded.
func timedOut(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return cinder.Wrap(cinder.KindTimeout, err, "The service did not answer in time.")
}

// Cast sends a request without a reply. It returns when the message is in a queue with
// a consumer. expiry bounds its wait there; 0 means no bound. KindUndeliverable when
// nobody listens, KindUnavailable when the bus is away, and KindTimeout when it is
// unknown whether the message was accepted.
func (c *Client) Cast(ctx context.Context, to Destination, method, version string, args any, expiry time.Duration) error {
	err := c.send(ctx, to, Request{Method: method, Version: version}, args, func() time.Duration { return expiry })
	if err != nil {
		return fmt.Errorf("cast %s to %s: %w", method, to, err)
	}
	return nil
}

// Fanout sends a request to every listener of a topic, if there are any. Otherwise it
// fails like Cast.
func (c *Client) Fanout(ctx context.Context, topic, method, version string, args any) error {
	to := ToAll(topic)
	err := c.send(ctx, to, Request{Method: method, Version: version}, args, func() time.Duration { return 0 })
	if err != nil {
		return fmt.Errorf("fanout %s to %s: %w", method, topic, err)
	}
	return nil
}

// send sends a request. It checks first that a queue has a consumer: queues outlive
// those who made them.
func (c *Client) send(ctx context.Context, to Destination, r Request, args any, expiry func() time.Duration) error {
	if to.Route != RouteFanout {
		if err := c.requireConsumer(ctx, to); err != nil {
			return err
		}
	}
	return c.transmit(ctx, to, r, args, expiry)
}

// requireConsumer fails with KindUndeliverable when nobody consumes a queue.
func (c *Client) requireConsumer(ctx context.Context, to Destination) error {
	n, err := c.o.Transport.Consumers(ctx, to)
	if err == nil && n == 0 {
		err = cinder.Errorf(cinder.KindUndeliverable, "Nobody listens to %s.", to)
	}
	return err
}

// transmit encodes and sends a request.
func (c *Client) transmit(ctx context.Context, to Destination, r Request, args any, expiry func() time.Duration) error {
	var err error
	if r.Args, err = json.Marshal(args); err != nil {
		return fmt.Errorf("encode arguments: %w", err)
	}
	r.Caller, r.UniqueID = cinder.CallerFrom(ctx), newID()
	body, err := EncodeRequest(r, time.Now())
	if err != nil {
		return err
	}
	return c.o.Transport.Send(ctx, to, Message{Body: body, Expiry: expiry()})
}

// Close ends waiting calls, with KindTimeout, and stops listening for replies. It fails
// when ctx ends first. The transport stays open.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.done)
		for _, w := range c.waiting {
			w.finish(Reply{}, cinder.Wrap(cinder.KindTimeout, errClosed(), "The answer is not waited for any more."))
		}
		if len(c.waiting) == 0 {
			close(c.idle)
		}
	}
	c.mu.Unlock()
	select {
	case <-c.idle:
	case <-ctx.Done():
		return cinder.Wrap(cinder.KindTimeout, context.Cause(ctx), "Calls are still under way.")
	}
	c.mu.Lock()
	listener := c.listener // it is not set any more
	c.mu.Unlock()
	if listener == nil {
		return nil
	}
	return listener.Close(ctx)
}

func errClosed() error {
	return cinder.Errorf(cinder.KindUnavailable, "The connection to the message bus is closed.")
}

// listen starts listening for replies, unless that is done.
func (c *Client) listen(ctx context.Context) error {
	if c.listening() {
		return nil
	}
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-c.done:
		return errClosed()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.listening() {
		return nil
	}
	l, err := c.o.Transport.Listen(ctx, []Destination{ToReplies(c.replies)}, c.handleReply)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.listener = l
	c.mu.Unlock()
	return nil
}

func (c *Client) listening() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listener != nil
}

// call is a call that waits for its reply.
type call struct {
	id     string
	answer chan answer // receives the one that ends the call
	result Reply       // a result that came before the ending reply
}

type answer struct {
	Reply
	err error
}

// finish ends the call with an answer, unless it has one.
func (w *call) finish(r Reply, err error) {
	select {
	case w.answer <- answer{r, err}:
	default:
	}
}

// register adds a call; done removes it.
func (c *Client) register() (w *call, done func(), err error) {
	w = &call{id: newID(), answer: make(chan answer, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, errClosed()
	}
	c.waiting[w.id] = w
	return w, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, w.id)
		if c.closed && len(c.waiting) == 0 {
			close(c.idle)
		}
	}, nil
}

// handleReply passes a reply to the waiting call. It drops a reply that came too late.
func (c *Client) handleReply(ctx context.Context, m Message) {
	r, err := DecodeReply(m.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waiting[r.MsgID]
	switch {
	case w == nil:
		c.o.Log.DebugContext(ctx, "reply without a waiting call dropped", "message", r.MsgID, "error", err)
	case err != nil:
		w.finish(Reply{}, cinder.Wrap(cinder.KindRemote, err, "The service sent an answer that cannot be read."))
	case r.Failure != nil:
		w.finish(Reply{}, r.Failure.Err())
	case !r.Ending && !isNull(r.Result):
		w.result = r
	case !r.Ending: // keep-alive
	case isNull(r.Result) && !isNull(w.result.Result):
		w.finish(w.result, nil)
	default:
		w.finish(r, nil)
	}
}

// newID returns a random id of 32 hexadecimal digits, the form of ids of messages and
// queues.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
