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

// inspection is the question who listens to a queue.
type inspection struct {
	queue  string
	answer chan answer // has room for one
}

type answer struct {
	consumers int
	err       error
	lost      bool // the connection: another one may do
}

// Consumers implements oslo.Transport. It asks the broker each time: an answer
// of half a second ago could say that somebody listens who has just died.
func (t *Transport) Consumers(ctx context.Context, to oslo.Destination) (int, error) {
	if err := t.usable(ctx); err != nil {
		return 0, err
	}
	bound := time.NewTimer(patience + answerTimeout)
	defer bound.Stop()
	began := time.Now()
	for {
		q := &inspection{queue: to.Name, answer: make(chan answer, 1)}
		if err := hand(ctx, t.send, t.inspections, q); err != nil {
			return 0, err
		}
		select {
		case a := <-q.answer:
			if a.lost && time.Since(began) < patience {
				continue
			}
			if a.err != nil {
				return 0, cinder.Wrap(cinder.KindUnavailable, a.err, "The message bus did not say who listens to %s.", to)
			}
			return a.consumers, nil
		case <-bound.C:
			return 0, cinder.Errorf(cinder.KindUnavailable, "The message bus did not say in time who listens to %s.", to)
		case <-ctx.Done():
			return 0, cinder.Wrap(cinder.KindUnavailable, context.Cause(ctx), "The message bus did not say in time who listens to %s.", to)
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
			err := s.call("look at a queue", func() (err error) {
				n, ch, err = consumersOf(s, ch, q.queue)
				return err
			})
			q.answer <- answer{n, err, err != nil && s.conn.IsClosed()}
		case <-s.lost:
			return
		}
	}
}

// consumersOf counts who consumes a queue. That there is none costs the channel;
// the one to go on with is returned.
func consumersOf(s *session, ch *amqp091.Channel, queue string) (int, *amqp091.Channel, error) {
	if ch == nil || ch.IsClosed() {
		var err error
		if ch, err = s.conn.Channel(); err != nil {
			return 0, nil, fmt.Errorf("open a channel: %w", err)
		}
	}
	q, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
	var e *amqp091.Error
	switch {
	case err == nil:
		return q.Consumers, ch, nil
	case errors.As(err, &e) && e.Server && e.Code == amqp091.NotFound:
		return 0, nil, nil
	default:
		return 0, nil, fmt.Errorf("look at queue %s: %w", queue, err)
	}
}
