package amqp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/cinder"
)

// sayAgain is how often a refusal that goes on is logged.
const sayAgain = 5 * time.Minute

// Keys of refusals that are not a listener's.
const (
	aboutExchange = "exchange"
	aboutSending  = "sending"
)

// refusal is an error that lasts until an operator mends its cause: trying again
// does not help.
type refusal struct {
	told string // what and the remedy, without the broker's words
	err  error
}

// Error implements error.
func (r *refusal) Error() string { return r.err.Error() }

// Unwrap returns what is behind it.
func (r *refusal) Unwrap() error { return r.err }

// Refusals are the refusals in an error of the bus, in words that anybody may
// read: no address, no user, nothing of the broker's own text.
func Refusals(err error) []string {
	if err == nil {
		return nil
	}
	if r, ok := err.(*refusal); ok { //nolint:errorlint // what is behind it is looked at below.
		return []string{r.told}
	}
	switch e := err.(type) { //nolint:errorlint // errors.As finds the first only.
	case interface{ Unwrap() error }:
		return Refusals(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []string
		for _, one := range e.Unwrap() {
			all = append(all, Refusals(one)...)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	return nil
}

// refused is why every host refused the last login: waiting does not help then.
func (l *link) refused() error {
	if st := l.now(); st.session == nil && len(Refusals(st.err)) > 0 {
		return st.away()
	}
	return nil
}

// refused makes a refusal of a declaration's error, when it is one.
func refused(err error) error {
	if err == nil || cinder.KindOf(err) != cinder.KindUnavailable {
		return err
	}
	return &refusal{told: cinder.Message(err), err: err}
}

// forbidden is the refusal of something that the user lacks a permission for; nil
// when the error is another.
func forbidden(err error, doing, permission, of string) error {
	var e *amqp091.Error
	if !errors.As(err, &e) || e.Code != amqp091.AccessRefused {
		return nil
	}
	return refused(cinder.Wrap(cinder.KindUnavailable, errors.New(e.Reason),
		"The broker does not let us %s: the user needs permission to %s the %s.", doing, permission, of))
}

// refusals are those that go on, by what they are about.
type refusals struct {
	log *slog.Logger

	mu   sync.Mutex // guards what follows
	on   map[string]*ongoing
	sent bool // the exchange is known to take messages
}

type ongoing struct {
	err    error
	logged time.Time
}

// note keeps what became of something: a refusal until it is no longer refused.
// Another error says nothing about that.
func (r *refusals) note(ctx context.Context, about string, err error) {
	var refused *refusal
	isRefusal := errors.As(err, &refused)
	if err != nil && !isRefusal {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if about == aboutSending {
		r.sent = err == nil
	}
	was := r.on[about]
	switch {
	case err == nil && was == nil:
	case err == nil:
		delete(r.on, about)
		r.log.InfoContext(ctx, "the broker refuses it no more", "about", about)
	case was == nil || was.err.Error() != err.Error() || time.Since(was.logged) >= sayAgain:
		r.on[about] = &ongoing{err, time.Now()}
		r.log.ErrorContext(ctx, "the broker refuses what is needed, and goes on to until that is mended", "about", about, "error", err)
	}
}

// sending says whether the exchange is known to take messages.
func (r *refusals) sending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent
}

// all are those that go on; nil when there is none.
func (r *refusals) all() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, about := range slices.Sorted(maps.Keys(r.on)) {
		errs = append(errs, r.on[about].err)
	}
	return errors.Join(errs...)
}

// Check implements oslo.Transport. It declares the exchange, as senders do, and
// once, or as long as that was refused last, sends a message to nobody. What is
// listened to tells of itself.
func (t *Transport) Check(ctx context.Context) error {
	if err := t.usable(ctx); err != nil {
		return err
	}
	if err := t.send.refused(); err != nil {
		return err
	}
	exchange := t.topology.control()
	declare := func(ch *amqp091.Channel) (int, error) { return 0, refused(exchange.declare(ch)) }
	send := func(ch *amqp091.Channel) (int, error) {
		return 0, t.note(aboutSending, exchange.mayWrite(ch))
	}
	_, err := t.ask(ctx, declare)
	if exchange.yields(err) {
		_, err = t.ask(ctx, declare)
	}
	_ = t.note(aboutExchange, err)
	if err == nil && !t.refusals.sending() {
		_, err = t.ask(ctx, send)
	}
	if err != nil && len(Refusals(err)) == 0 {
		return cinder.Wrap(cinder.KindUnavailable, err, "The message bus did not say whether it can be used.")
	}
	if err := errors.Join(err, t.refusals.all()); err != nil {
		return cinder.Wrap(cinder.KindUnavailable, err, "The message bus refuses what is needed.")
	}
	return nil
}

// note keeps what became of something, and returns it.
func (t *Transport) note(about string, err error) error {
	t.refusals.note(context.Background(), about, err)
	return err
}

// mayWrite fails when the exchange does not take messages of this user. The
// message that it sends has a key that nobody binds.
func (e *exchange) mayWrite(ch *amqp091.Channel) error {
	_, err := ch.PublishWithDeferredConfirm(e.name, "stoker-check", false, false, amqp091.Publishing{Expiration: "1"})
	if err == nil { // the broker's answer to what follows comes after that to the message
		err = ch.ExchangeDeclarePassive(e.name, e.kind, e.durable, e.autoDelete, false, false, nil)
	}
	if err == nil {
		return nil
	}
	if f := sendingForbidden(err, e.name); f != nil {
		return f
	}
	return fmt.Errorf("send to the exchange %s: %w", e.name, err)
}

// sendingForbidden is the refusal of messages by an exchange; nil for another error.
func sendingForbidden(err error, exchange string) error {
	var e *amqp091.Error
	if !errors.As(err, &e) || !strings.Contains(e.Reason, "'"+exchange+"'") {
		return nil
	}
	return forbidden(e, "send to the exchange "+exchange, "write to", "exchange")
}
