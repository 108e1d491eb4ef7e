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

// ClientOptions are what a Client is made of. All are required.
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

	mu       sync.Mutex // guards what follows
	listener Listener   // of the reply queue; nil until the first call
	waiting  map[string]*call
	closed   bool
	idle     chan struct{} // closed when the client is, and no call is left
}

// NewClient makes a client. Its reply queue is made at the first call.
func NewClient(o ClientOptions) *Client {
	c := &Client{
		o: o, replies: "reply_" + newID(), turn: make(chan struct{}, 1), done: make(chan struct{}),
		waiting: map[string]*call{}, idle: make(chan struct{}),
	}
	c.turn <- struct{}{}
	return c
}

// Call sends a request, which args (an object as JSON) goes with, and waits for
// its result until ctx ends or, when ctx has no deadline, the response timeout.
// A request still in a queue by then is not carried out. detail is what the
// backend said when the result is false. It fails with KindUndeliverable when
// nobody listens and KindUnavailable when the bus is away, nothing being sent;
// with KindTimeout when no answer came, be it that the client was closed; and as
// Failure.Err says when the service failed.
func (c *Client) Call(ctx context.Context, to Destination, method, version string, args any) (result json.RawMessage, detail string, err error) {
	r, err := c.call(ctx, to, false, Request{Method: method, Version: version}, args)
	if err != nil {
		return nil, "", fmt.Errorf("call %s of %s: %w", method, to, err)
	}
	return r.Result, r.Detail, nil
}

// quiet is how long a question may go without an answer before it is looked
// whether anybody listens at all.
const quiet = 100 * time.Millisecond

// Ask is Call for a question, which changes nothing: it does no harm in a queue
// that nobody consumes. So it is sent at once, and whether somebody listens is
// looked at only when no answer comes.
func (c *Client) Ask(ctx context.Context, to Destination, method, version string, args any) (json.RawMessage, error) {
	r, err := c.call(ctx, to, true, Request{Method: method, Version: version}, args)
	if err != nil {
		return nil, fmt.Errorf("ask %s of %s: %w", method, to, err)
	}
	return r.Result, nil
}

// call sends a request and waits for what ends it. It is a question or a command:
// of a command that was sent nothing but an answer says what became of it.
func (c *Client) call(ctx context.Context, to Destination, question bool, r Request, args any) (Reply, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.o.ResponseTimeout)
		defer cancel()
	}
	w, done, err := c.expect()
	if err != nil {
		return Reply{}, err
	}
	defer done()
	if err := c.listen(ctx); err != nil {
		return Reply{}, late(ctx, err)
	}
	r.MsgID, r.ReplyTo = w.id, c.replies
	send, silence := c.send, (<-chan time.Time)(nil)
	if question {
		timer := time.NewTimer(quiet)
		defer timer.Stop()
		send, silence = c.transmit, timer.C
	}
	deadline, _ := ctx.Deadline()
	if err := send(ctx, to, r, args, func() time.Duration { return max(time.Until(deadline), time.Millisecond) }); err != nil {
		return Reply{}, late(ctx, err)
	}
	if !question {
		failpoint.Sent.Here()
	}
	for {
		select {
		case a := <-w.answer:
			return a.Reply, a.err
		case <-silence:
			if err := c.listened(ctx, to); cinder.KindOf(err) == cinder.KindUndeliverable {
				return Reply{}, err
			}
		case <-ctx.Done():
			return Reply{}, late(ctx, context.Cause(ctx))
		}
	}
}

// late is err as it is when the call's time was up: whatever was under way then
// may have come through.
func late(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return cinder.Wrap(cinder.KindTimeout, err, "The service did not answer in time.")
}

// Cast sends a request that nobody answers. It returns when the message is
// delivered to a queue that somebody consumes. Expiry is how long it may wait
// there; 0 is for ever. It fails with KindUndeliverable when nobody listens,
// KindUnavailable when the bus is away, and KindTimeout when it is not known
// whether the message was taken.
func (c *Client) Cast(ctx context.Context, to Destination, method, version string, args any, expiry time.Duration) error {
	err := c.send(ctx, to, Request{Method: method, Version: version}, args, func() time.Duration { return expiry })
	if err != nil {
		return fmt.Errorf("cast %s to %s: %w", method, to, err)
	}
	return nil
}

// Fanout sends a request to every listener of a topic; that there is none is no
// failure. It fails otherwise as Cast does.
func (c *Client) Fanout(ctx context.Context, topic, method, version string, args any) error {
	to := ToAll(topic)
	err := c.send(ctx, to, Request{Method: method, Version: version}, args, func() time.Duration { return 0 })
	if err != nil {
		return fmt.Errorf("fanout %s to %s: %w", method, topic, err)
	}
	return nil
}

// send encodes a request and sends it, to a queue only when somebody listens:
// queues outlive those who made them.
func (c *Client) send(ctx context.Context, to Destination, r Request, args any, expiry func() time.Duration) error {
	if to.Route != RouteFanout {
		if err := c.listened(ctx, to); err != nil {
			return err
		}
	}
	return c.transmit(ctx, to, r, args, expiry)
}

// listened fails with KindUndeliverable when nobody consumes a queue.
func (c *Client) listened(ctx context.Context, to Destination) error {
	n, err := c.o.Transport.Consumers(ctx, to)
	if err == nil && n == 0 {
		err = cinder.Errorf(cinder.KindUndeliverable, "Nobody listens to %s.", to)
	}
	return err
}

// transmit encodes a request and sends it.
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

// Close ends the calls that wait, with KindTimeout, and the listening to replies,
// and waits for both. It fails when ctx ends first. The transport stays open.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.done)
		for _, w := range c.waiting {
			w.end(Reply{}, cinder.Wrap(cinder.KindTimeout, errClosed(), "The answer is not waited for any more."))
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
	listener := c.listener // nobody sets it any more
	c.mu.Unlock()
	if listener == nil {
		return nil
	}
	return listener.Close(ctx)
}

func errClosed() error {
	return cinder.Errorf(cinder.KindUnavailable, "The connection to the message bus is closed.")
}

// listen makes sure that replies are listened to.
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
	l, err := c.o.Transport.Listen(ctx, []Destination{ToReplies(c.replies)}, c.take)
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

// call is one that waits for its reply.
type call struct {
	id     string
	answer chan answer // takes the one that ends the call
	early  Reply       // result that came before the reply that ends the call
}

type answer struct {
	Reply
	err error
}

// end gives the call its answer, unless it has one.
func (w *call) end(r Reply, err error) {
	select {
	case w.answer <- answer{r, err}:
	default:
	}
}

// expect makes a call that replies are told to. done forgets it.
func (c *Client) expect() (w *call, done func(), err error) {
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

// take gives a reply to the call that waits for it. One that nobody waits for
// came too late and is dropped.
func (c *Client) take(ctx context.Context, m Message) {
	r, err := DecodeReply(m.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waiting[r.MsgID]
	switch {
	case w == nil:
		c.o.Log.DebugContext(ctx, "a reply that nobody waits for", "message", r.MsgID, "error", err)
	case err != nil:
		w.end(Reply{}, cinder.Wrap(cinder.KindRemote, err, "The service sent an answer that cannot be read."))
	case r.Failure != nil:
		w.end(Reply{}, r.Failure.Err())
	case !r.Ending && !isNull(r.Result):
		w.early = r
	case !r.Ending: // a sign of life
	case isNull(r.Result) && !isNull(w.early.Result):
		w.end(w.early, nil)
	default:
		w.end(r, nil)
	}
}

// newID is a random id of 32 hexadecimal digits, as messages and queues have.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
