package amqp

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/cinder"
	"stoker/internal/dsn"
	"stoker/internal/oslo"
)

// ownExpiry is how long a queue of Examine's stays when Examine was killed.
const ownExpiry = time.Minute

// Examination is what Examine found. Errors are for the operator: they name what
// is wrong and the remedy, and have no password.
type Examination struct {
	Brokers   []Broker
	Exchanges []Exchange
	Queues    []Queue // in the order that they were asked for
	// RoundTrip is how long a message took to a queue of our own and back; RoundTripErr
	// is why none came.
	RoundTrip    time.Duration
	RoundTripErr error
}

// Broker is one of the hosts of the transport URL.
type Broker struct {
	Address string
	Product string // and version, as the broker calls itself
	Cluster string // "" when it does not say
	TLS     string // the version; "" without
	Err     error  // why it cannot be used
}

// Exchange is one that we send to or listen at.
type Exchange struct {
	Name  string
	There bool
	Err   error // why it cannot be used
}

// Queue is one that others listen to.
type Queue struct {
	Name                string
	There               bool
	Consumers, Messages int
	Err                 error // what is unlike our options, or why it cannot be looked at
}

// Usable says whether any broker can be used: without one there is nothing else in
// the examination.
func (e *Examination) Usable() bool {
	for _, b := range e.Brokers {
		if b.Err == nil {
			return true
		}
	}
	return false
}

// Examine looks over every broker of the URL and, at the first that can be used,
// at the exchange, those of the topics' fanouts, and the queues. Nothing stays
// behind: what is there is declared again, as senders and listeners do, what is
// not there is not made. It ends with ctx at the latest, and fails with
// KindInvalid when the options make no sense.
func Examine(ctx context.Context, o Options, topics []string, queues []oslo.Destination) (Examination, error) {
	o.Exchange, o.Name = cmp.Or(o.Exchange, defaultExchange), cmp.Or(o.Name, "stoker")
	if err := o.Rabbit.Validate(); err != nil {
		return Examination{}, err
	}
	found := Examination{Brokers: make([]Broker, len(o.URL.Brokers))}
	conns := make([]*amqp091.Connection, len(o.URL.Brokers))
	socks := make([]*socket, len(o.URL.Brokers))
	var dialling sync.WaitGroup
	for i, b := range o.URL.Brokers {
		dialling.Go(func() { found.Brokers[i], conns[i], socks[i] = meet(ctx, &o, b) })
	}
	dialling.Wait()
	var first *examiner
	for i, conn := range conns {
		if conn == nil {
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = socks[i].Close() }) // which ends every call
		defer func() {
			stop()
			_ = conn.CloseDeadline(time.Now().Add(closeTimeout))
			_ = socks[i].Close()
		}()
		if first == nil {
			first = &examiner{ctx: ctx, conn: conn, topology: topology{exchange: o.Exchange, r: o.Rabbit}}
		}
	}
	if first == nil {
		return found, nil
	}
	closes := first.conn.NotifyClose(make(chan *amqp091.Error, 1))
	own := first.ownQueue()
	found.RoundTrip, found.RoundTripErr = first.roundTrip(&own)
	if first.conn.IsClosed() { // so there is nothing more to ask
		if e := <-closes; e != nil {
			found.RoundTripErr = cmp.Or(own.banned(e.Reason), found.RoundTripErr)
		}
		return found, nil
	}
	found.Exchanges = append(found.Exchanges, first.exchange(first.topology.control(), first.write))
	for _, topic := range topics {
		q := first.topology.queue(oslo.ToAll(topic), "")
		found.Exchanges = append(found.Exchanges, first.exchange(q.exchange, func(e *exchange) error { return first.read(e, &own) }))
	}
	for _, d := range queues {
		found.Queues = append(found.Queues, first.queue(d))
	}
	first.remove(&own)
	return found, nil
}

// meet connects with a broker and asks what it is.
func meet(ctx context.Context, o *Options, b dsn.Broker) (Broker, *amqp091.Connection, *socket) {
	found := Broker{Address: b.Address()}
	conn, sock, err := dial(ctx, o, "check", b)
	if err != nil {
		found.Err = err
		return found, nil, nil
	}
	text := func(name string) string { s, _ := conn.Properties[name].(string); return s }
	found.Product, found.Cluster = text("product")+" "+text("version"), text("cluster_name")
	if secured, ok := sock.Conn.(*tls.Conn); ok {
		found.TLS = tls.VersionName(secured.ConnectionState().Version)
	}
	return found, conn, sock
}

// examiner asks one broker. Each question has a channel of its own: what is
// refused costs the channel.
type examiner struct {
	ctx      context.Context //nolint:containedctx // That of Examine, which bounds all of it.
	conn     *amqp091.Connection
	topology topology
}

func (e *examiner) ask(question func(*amqp091.Channel) error) error {
	ch, err := e.conn.Channel()
	if err == nil {
		err = question(ch)
		_ = ch.Close()
	}
	if err != nil && e.ctx.Err() != nil {
		return errors.New("no answer in time")
	}
	return err
}

// missing says whether there is nothing of that name.
func missing(err error) bool {
	var e *amqp091.Error
	return errors.As(err, &e) && e.Code == amqp091.NotFound
}

// exchange looks at an exchange and, when it is there, tries what is done with it.
func (e *examiner) exchange(x *exchange, try func(*exchange) error) Exchange {
	found := Exchange{Name: x.name}
	err := e.ask(func(ch *amqp091.Channel) error {
		return ch.ExchangeDeclarePassive(x.name, x.kind, x.durable, x.autoDelete, false, false, nil)
	})
	if missing(err) {
		return found
	}
	if found.There = err == nil; found.There {
		if err = e.ask(x.declare); x.yields(err) {
			err = e.ask(x.declare)
		}
		if err == nil {
			err = try(x)
		}
	}
	found.Err = err
	return found
}

func (e *examiner) write(x *exchange) error { return e.ask(x.mayWrite) }

// read takes a binding away that is not there. That needs what binding needs,
// permission to read the exchange and to write to the queue, and changes nothing.
func (e *examiner) read(x *exchange, own *queue) error {
	err := e.ask(func(ch *amqp091.Channel) error { return ch.QueueUnbind(own.name, "stoker-check", x.name, nil) })
	if missing(err) { // our own queue could not be made, which is told already
		return nil
	}
	if errors.As(err, new(*amqp091.Error)) && strings.Contains(err.Error(), own.name) {
		return cmp.Or(forbidden(err, "bind a queue of ours to the exchange "+x.name, "write to", "queue "+own.name), err)
	}
	return cmp.Or(forbidden(err, "listen at the exchange "+x.name, "read", "exchange"), err)
}

// queue counts who listens to a queue. One that is in use is declared as well,
// which tells what is unlike our options; that this account may not is its own
// affair, for it does not listen there.
func (e *examiner) queue(d oslo.Destination) Queue {
	q := e.topology.queue(d, "")
	found := Queue{Name: q.name}
	err := e.ask(func(ch *amqp091.Channel) error {
		now, err := ch.QueueDeclarePassive(q.name, false, false, false, false, nil)
		found.Consumers, found.Messages = now.Consumers, now.Messages
		return err
	})
	if missing(err) {
		return found
	}
	found.There = err == nil
	if found.Err = err; err != nil || found.Consumers == 0 || q.autoDelete {
		return found
	}
	err = e.ask(func(ch *amqp091.Channel) error {
		_, err := ch.QueueDeclare(q.name, q.durable, q.autoDelete, false, false, q.args)
		return err
	})
	var refused *amqp091.Error
	if errors.As(err, &refused) && refused.Code == amqp091.PreconditionFailed {
		found.Err = declareError("queue", q.name, err)
	}
	return found
}

// ownQueue is a queue for replies, as those of clients are, but soon gone.
func (e *examiner) ownQueue() queue {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	q := e.topology.queue(oslo.ToReplies("reply_"+hex.EncodeToString(id[:])), "")
	q.args["x-expires"] = int32(ownExpiry.Milliseconds()) // whatever the options say
	return q
}

// roundTrip sends a message to the queue and waits for it.
func (e *examiner) roundTrip(own *queue) (time.Duration, error) {
	if err := e.ask(own.declare); err != nil {
		return 0, err
	}
	var took time.Duration
	err := e.ask(func(ch *amqp091.Channel) error {
		arrivals, err := ch.Consume(own.name, "", true, true, false, false, nil)
		if err != nil {
			return cmp.Or(forbidden(err, "listen to the queue "+own.name, "read", "queue"), err)
		}
		closes := ch.NotifyClose(make(chan *amqp091.Error, 1))
		began := time.Now()
		if _, err := ch.PublishWithDeferredConfirm("", own.name, false, false, amqp091.Publishing{Expiration: "60000"}); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		select {
		case _, ok := <-arrivals:
			if ok {
				took = time.Since(began)
				return nil
			}
		case <-e.ctx.Done():
		}
		var why error
		select {
		case closed := <-closes:
			if closed != nil {
				why = closed
			}
		default:
		}
		return cmp.Or(forbidden(why, "send replies", "write to", "exchange amq.default"), why,
			error(cinder.Errorf(cinder.KindUnavailable, "A message to a queue of our own does not come back.")))
	})
	return took, err
}

// remove removes the queue; when that fails, it expires.
func (e *examiner) remove(own *queue) {
	_ = e.ask(func(ch *amqp091.Channel) error {
		_, err := ch.QueueDelete(own.name, false, false, false)
		return err
	})
}
