package amqp

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

const (
	// confirmTimeout bounds the wait for the broker's word that it has a message.
	confirmTimeout = 10 * time.Second
	// returnsBuffer is how many returned messages may wait to be noticed. Whoever
	// waits for a confirmation notices all; the library drops what does not fit
	// after a while, and that message then seems delivered.
	returnsBuffer = 1024
)

// publication is a message on its way to the broker.
type publication struct {
	exchange string // "": the default one
	key      string
	message  amqp091.Publishing
	sent     chan sent // has room for one
	// abandoned is set by a sender who waits no longer.
	abandoned atomic.Bool
}

// sent is what became of the writing of a publication.
type sent struct {
	confirm  *amqp091.DeferredConfirmation
	returned func() bool  // nobody could take it; final once it is confirmed. To be called once
	ended    func() error // why the channel was closed, once it is
	err      error
}

// Errors that a publication may be tried again after: nothing reached the broker.
var errNotWritten = errors.New("not written")

// Send implements oslo.Transport. The broker has to confirm each message.
func (t *Transport) Send(ctx context.Context, to oslo.Destination, m oslo.Message) error {
	if err := t.usable(ctx); err != nil {
		return err
	}
	p := publicationTo(to, t.o.Exchange, m)
	queue := t.publications
	if to.Route == oslo.RouteFanout {
		queue = t.fanouts
	}
	bound := time.NewTimer(confirmTimeout)
	defer bound.Stop()
	began := time.Now()
	for {
		if err := hand(ctx, t.send, queue, p); err != nil {
			return err
		}
		s, err := p.written(ctx, bound.C)
		switch {
		case errors.Is(err, errNotWritten) && cinder.KindOf(err) == cinder.KindInternal && time.Since(began) < patience:
			continue
		case errors.Is(err, errNotWritten) && cinder.KindOf(err) == cinder.KindInternal:
			return cinder.Wrap(cinder.KindUnavailable, err, "The message bus is away.")
		case err != nil:
			return err
		case s.confirm == nil: // a fanout, confirmed already
			return nil
		}
		return t.taken(p, s.confirmed(ctx, bound.C, to, p.exchange))
	}
}

// taken notes what became of a message to the exchange, and returns it.
func (t *Transport) taken(p *publication, err error) error {
	if p.exchange == t.o.Exchange && (err != nil || !t.refusals.sending()) {
		_ = t.note(aboutSending, err)
	}
	return err
}

// publicationTo is a message with the properties that Cinder's have
// (doc/cinder/wire.md#properties). The id is ours: a message that is returned is
// told by it.
func publicationTo(to oslo.Destination, control string, m oslo.Message) *publication {
	p := &publication{key: to.Name, sent: make(chan sent, 1), message: amqp091.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp091.Persistent, Body: m.Body,
	}}
	switch to.Route {
	case oslo.RouteFanout:
		p.exchange, p.key = fanoutExchange(to.Name), ""
	case oslo.RouteQueue:
		p.exchange = control
	case oslo.RouteReply:
	}
	if m.Expiry > 0 {
		p.message.Expiration = strconv.FormatInt(max(m.Expiry.Milliseconds(), 1), 10)
	}
	return p
}

// unknown is the error of a message that the broker may or may not have.
func unknown(err error) error {
	return cinder.Wrap(cinder.KindTimeout, err, "The message bus did not confirm a message in time.")
}

// written waits until a message that somebody has taken is written.
func (p *publication) written(ctx context.Context, bound <-chan time.Time) (sent, error) {
	var err error
	select {
	case s := <-p.sent:
		if s.err != nil && !errors.Is(s.err, errNotWritten) && cinder.KindOf(s.err) == cinder.KindInternal {
			return s, unknown(s.err)
		}
		return s, s.err
	case <-bound:
		err = errors.New("it was not written in time")
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	p.abandoned.Store(true)
	p.forget()
	return sent{}, unknown(err)
}

// forget drops what became of an abandoned publication. Sender and publisher
// both call it, each after its part: one of them finds it.
func (p *publication) forget() {
	if !p.abandoned.Load() {
		return
	}
	select {
	case s := <-p.sent:
		if s.returned != nil {
			s.returned()
		}
	default:
	}
}

// confirmed waits for the broker's word.
func (s *sent) confirmed(ctx context.Context, bound <-chan time.Time, to oslo.Destination, exchange string) error {
	var late error
	select {
	case <-s.confirm.Done():
	case <-bound:
		late = fmt.Errorf("no word of it within %s", confirmTimeout)
	case <-ctx.Done():
		late = context.Cause(ctx)
	}
	switch returned := s.returned(); {
	case returned:
		return cinder.Errorf(cinder.KindUndeliverable, "There is no queue %s.", to)
	case late != nil:
		return unknown(late)
	case !s.confirm.Acked(): // refused, or the connection was lost before there was word
		// Of what a channel sends to one exchange the broker lets all pass, or nothing.
		if refused := sendingForbidden(s.ended(), exchange); refused != nil {
			return refused
		}
		return unknown(errors.New("the broker refused it, or the connection was lost"))
	default:
		return nil
	}
}

// publish writes messages for queues, one after another, for as long as the
// session lasts. It does not wait for their confirmations.
func (t *Transport) publish(s *session) {
	p := &publisher{t: t, s: s, pending: map[string]bool{}}
	for {
		select {
		case m := <-t.publications:
			m.sent <- s.judge(p.write(m))
			m.forget()
		case <-s.lost:
			return
		}
	}
}

// judge lets a message be tried again only when another connection may do better.
func (s *session) judge(m sent) sent {
	if errors.Is(m.err, errNotWritten) && !s.conn.IsClosed() {
		m.err = cinder.Wrap(cinder.KindUnavailable, m.err, "The message bus cannot be used.")
	}
	return m
}

// publisher writes to one channel. Only one goroutine does.
type publisher struct {
	t       *Transport
	s       *session
	ch      *amqp091.Channel
	returns chan amqp091.Return
	ended   func() error // why ch was closed, once it is
	ids     uint64

	mu      sync.Mutex // guards what follows, and the reading of returns
	pending map[string]bool
}

func (p *publisher) write(m *publication) sent {
	s := p.try(m)
	if errors.Is(s.err, amqp091.ErrClosed) && !p.s.conn.IsClosed() { // the channel alone is gone
		s = p.try(m)
	}
	return s
}

func (p *publisher) try(m *publication) sent {
	if err := p.ready(m.exchange != ""); err != nil {
		return sent{err: err}
	}
	p.ids++
	id := strconv.FormatUint(p.ids, 36)
	m.message.MessageId = id
	p.mu.Lock()
	p.pending[id] = false
	p.mu.Unlock()
	confirm, err := p.ch.PublishWithDeferredConfirm(m.exchange, m.key, true, false, m.message)
	if err != nil {
		p.returned(id)
		return sent{err: writeError(err)}
	}
	return sent{confirm: confirm, returned: func() bool { return p.returned(id) }, ended: p.ended}
}

// writeError tells what certainly did not reach the broker from what may have:
// the library says that it is closed before it writes a frame.
func writeError(err error) error {
	if errors.Is(err, amqp091.ErrClosed) {
		return fmt.Errorf("%w: %w", errNotWritten, err)
	}
	return fmt.Errorf("write a message: %w", err)
}

// returned says whether a message came back, and forgets it. The broker returns
// a message before it confirms it, and the library puts it into the channel
// before it tells of the confirmation: whoever saw that finds it here.
func (p *publisher) returned(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notice()
	came := p.pending[id]
	delete(p.pending, id)
	return came
}

// notice takes note of what has come back. The caller holds the mutex.
func (p *publisher) notice() {
	for {
		select {
		case r, ok := <-p.returns:
			if !ok {
				return
			}
			if _, waiting := p.pending[r.MessageId]; waiting {
				p.pending[r.MessageId] = true
			}
		default:
			return
		}
	}
}

// ready makes sure that there is a channel, and the exchange. With auto-delete,
// the exchange goes with its last queue.
func (p *publisher) ready(needsExchange bool) error {
	if p.ch != nil && !p.ch.IsClosed() {
		if needsExchange && p.t.o.Rabbit.AutoDelete {
			return p.declare()
		}
		return nil
	}
	if err := p.declare(); err != nil && needsExchange {
		return err
	}
	return p.s.call("open a channel to send on", func() error {
		ch, err := p.s.conn.Channel()
		if err != nil {
			return fmt.Errorf("%w: open a channel: %w", errNotWritten, err)
		}
		if err := ch.Confirm(false); err != nil {
			return fmt.Errorf("%w: ask for confirmations: %w", errNotWritten, err)
		}
		p.mu.Lock()
		p.notice()
		p.returns = ch.NotifyReturn(make(chan amqp091.Return, returnsBuffer))
		p.mu.Unlock()
		closes := ch.NotifyClose(make(chan *amqp091.Error, 1))
		p.ended = whyClosed(closes)
		p.ch = ch
		return nil
	})
}

// whyClosed tells why a channel was closed. The library knows before it gives up
// on the confirmations.
func whyClosed(closes <-chan *amqp091.Error) func() error {
	var mu sync.Mutex
	var why error // guarded by mu
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		select {
		case e, ok := <-closes:
			if ok {
				why = e
			}
		default:
		}
		return why
	}
}

// declare makes the exchange.
func (p *publisher) declare() error {
	return p.s.call("declare the exchange", func() error {
		if err := p.t.note(aboutExchange, refused(p.s.declareExchange(*p.t.topology.control()))); err != nil {
			if cinder.KindOf(err) == cinder.KindUnavailable {
				return err
			}
			return fmt.Errorf("%w: %w", errNotWritten, err)
		}
		return nil
	})
}

// publishFanouts sends fanouts one after another, on a channel of its own: that
// there is no exchange, since nobody listens, costs the channel.
func (t *Transport) publishFanouts(s *session) {
	var ch *amqp091.Channel
	for {
		select {
		case m := <-t.fanouts:
			err := s.call("send a fanout", func() (err error) {
				ch, err = fanOut(s, ch, m)
				return err
			})
			m.sent <- s.judge(sent{err: err})
		case <-s.lost:
			return
		}
	}
}

// fanOut sends one fanout and waits for its confirmation. The channel to go on
// with is returned.
func fanOut(s *session, ch *amqp091.Channel, m *publication) (*amqp091.Channel, error) {
	if ch == nil || ch.IsClosed() {
		var err error
		if ch, err = s.conn.Channel(); err != nil {
			return nil, fmt.Errorf("%w: open a channel: %w", errNotWritten, err)
		}
		if err := ch.Confirm(false); err != nil {
			return nil, fmt.Errorf("%w: ask for confirmations: %w", errNotWritten, err)
		}
	}
	closes := ch.NotifyClose(make(chan *amqp091.Error, 1))
	confirm, err := ch.PublishWithDeferredConfirm(m.exchange, m.key, false, false, m.message)
	if err != nil {
		return nil, writeError(err)
	}
	if confirm.Wait() { // s.call bounds it
		return ch, nil
	}
	e := <-closes
	if e != nil && e.Code == amqp091.NotFound {
		return nil, nil //nolint:nilnil // Nobody listens, which is no failure; the next fanout opens a channel.
	}
	if e != nil {
		if refused := sendingForbidden(e, m.exchange); refused != nil {
			return nil, refused
		}
	}
	return nil, errors.New("the broker refused a fanout, or the connection was lost")
}
