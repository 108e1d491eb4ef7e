package amqp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// inspectors is how many queues are looked at at the same time. Each has a
// channel: a question takes a round trip, which a hundred services then share.
const inspectors = 8

// answerTimeout bounds the wait for an answer. The question may go on: see
// callTimeout.
const answerTimeout = 5 * time.Second

// inspection is a question that is asked on a channel of its own. What is no
// error of the connection's costs the channel at most.
type inspection struct {
	ask    func(*amqp091.Channel) (int, error)
	answer chan answer // has room for one
}

type answer struct {
	n    int
	err  error
	lost bool // the connection: another one may do
}

// Consumers implements oslo.Transport. It asks the broker each time: an answer
// of half a second ago could say that somebody listens who has just died.
func (t *Transport) Consumers(ctx context.Context, to oslo.Destination) (int, error) {
	if err := t.usable(ctx); err != nil {
		return 0, err
	}
	n, err := t.ask(ctx, func(ch *amqp091.Channel) (int, error) { return consumersOf(ch, to.Name) })
	if err != nil {
		return 0, cinder.Wrap(cinder.KindUnavailable, err, "The message bus did not say who listens to %s.", to)
	}
	return n, nil
}

// ask puts a question to the broker. It fails when there is no answer within a few
// seconds, and as the question does.
func (t *Transport) ask(ctx context.Context, question func(*amqp091.Channel) (int, error)) (int, error) {
	bound := time.NewTimer(patience + answerTimeout)
	defer bound.Stop()
	began := time.Now()
	for {
		q := &inspection{ask: question, answer: make(chan answer, 1)}
		if err := hand(ctx, t.send, t.inspections, q); err != nil {
			return 0, err
		}
		select {
		case a := <-q.answer:
			if a.lost && time.Since(began) < patience {
				continue
			}
			return a.n, a.err
		case <-bound.C:
			return 0, errors.New("no answer in time")
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// inspect answers inspections for as long as the session lasts.
func (t *Transport) inspect(s *session) {
	var ch *amqp091.Channel
	for {
		select {
		case q := <-t.inspections:
			var n int
			err := s.call("look at a queue or an exchange", func() (err error) {
				if ch == nil || ch.IsClosed() {
					if ch, err = s.conn.Channel(); err != nil {
						return fmt.Errorf("open a channel: %w", err)
					}
				}
				n, err = q.ask(ch)
				return err
			})
			q.answer <- answer{n, err, err != nil && s.conn.IsClosed()}
		case <-s.lost:
			return
		}
	}
}

// consumersOf counts who consumes a queue. That there is none costs the channel.
func consumersOf(ch *amqp091.Channel, queue string) (int, error) {
	q, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
	var e *amqp091.Error
	switch {
	case err == nil:
		return q.Consumers, nil
	case errors.As(err, &e) && e.Server && e.Code == amqp091.NotFound:
		return 0, nil
	default:
		return 0, fmt.Errorf("look at queue %s: %w", queue, err)
	}
}
