package amqp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/dsn"
	"stoker/internal/oslo"
)

// defaultExchange is what Cinder sets control_exchange to.
const defaultExchange = "openstack"

// startTimeout bounds the first connection.
const startTimeout = 20 * time.Second

// Transport is a bus over RabbitMQ.
type Transport struct {
	o        Options
	topology topology
	send     *link // for Send and Consumers

	publications chan *publication // taken by the publishers of the send link's session
	fanouts      chan *publication
	inspections  chan *inspection
	refusals     refusals
	ban          ban

	mu        sync.Mutex // guards what follows
	listen    *link      // for listeners; made for the first
	listeners map[*listener]struct{}
	closed    bool
}

var _ oslo.Transport = (*Transport)(nil)

// New connects and makes a transport. It fails, in one line without passwords,
// when the options make no sense (KindInvalid) or, unless NoWait, no broker can
// be used within ctx or twenty seconds (KindUnavailable): a process that starts
// should say so and not wait in silence. Later it connects again by itself, for
// as long as it takes.
func New(ctx context.Context, o Options) (*Transport, error) {
	o.Exchange, o.Name = cmp.Or(o.Exchange, defaultExchange), cmp.Or(o.Name, "stoker")
	if o.URL.Scheme != dsn.SchemeRabbit || len(o.URL.Brokers) == 0 {
		return nil, cinder.Errorf(cinder.KindInvalid, "The transport URL does not name a RabbitMQ.")
	}
	if err := o.Rabbit.Validate(); err != nil {
		return nil, err
	}
	switch {
	case !o.Rabbit.SSL:
	case o.Rabbit.SSLCAFile == "":
		o.Log.WarnContext(ctx, "the broker's certificate is not verified: [oslo_messaging_rabbit] ssl_ca_file is not set")
	case !o.Rabbit.SSLVerifyHostname:
		o.Log.WarnContext(ctx, "the broker's certificate may be of any host: [oslo_messaging_rabbit] ssl_enforce_hostname_verification is off")
	}
	t := &Transport{
		o: o, topology: topology{exchange: o.Exchange, r: o.Rabbit},
		publications: make(chan *publication), fanouts: make(chan *publication), inspections: make(chan *inspection),
		refusals: refusals{log: o.Log, on: map[string]*ongoing{}}, listeners: map[*listener]struct{}{},
	}
	t.send = newLink(&t.o, "send", t.serveSend, t.doubtListening)
	if o.NoWait {
		return t, nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := t.send.started(ctx); err != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return nil, errors.Join(cinder.Wrap(cinder.KindUnavailable, err, "The message bus cannot be used."), t.send.close(closing))
	}
	return t, nil
}

// serveSend begins what is done on a connection of the send link.
func (t *Transport) serveSend(s *session) {
	s.begin(func() { t.publish(s) })
	s.begin(func() { t.publishFanouts(s) })
	for range inspectors {
		s.begin(func() { t.inspect(s) })
	}
}

// started waits until the link is connected, or every host has said no.
func (l *link) started(ctx context.Context) error {
	for {
		st := l.now()
		switch {
		case st.session != nil:
			return nil
		case !errors.Is(st.err, errNotYet):
			return st.err
		}
		select {
		case <-st.changed:
		case <-ctx.Done():
			return errors.New("no broker answered in time")
		}
	}
}

// listenLink is the link of listeners.
func (t *Transport) listenLink() (*link, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, errClosed()
	}
	if t.listen == nil {
		t.listen = newLink(&t.o, "listen", nil, t.send.doubt)
	}
	return t.listen, nil
}

// doubtListening has the connection of the listeners probed.
func (t *Transport) doubtListening() {
	t.mu.Lock()
	listen := t.listen
	t.mu.Unlock()
	if listen != nil {
		listen.doubt()
	}
}

// usable fails when the transport is closed or ctx has ended.
func (t *Transport) usable(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return errClosed()
	case ctx.Err() != nil:
		return cinder.Wrap(cinder.KindUnavailable, context.Cause(ctx), "The message bus was not used in time.")
	default:
		return nil
	}
}

// errNotYet is why a link has no connection before its first try is over.
var errNotYet = errors.New("not connected yet")

func errClosed() error { return cinder.Errorf(cinder.KindUnavailable, "The message bus is closed.") }

// hand gives a piece of work to whoever does it on the current session. When it
// fails, nobody has it. It waits no longer than patience for a connection.
func hand[W any](ctx context.Context, l *link, to chan<- W, work W) error {
	t := time.NewTimer(patience)
	defer t.Stop()
	for {
		st := l.now()
		ready := to
		if st.session == nil || st.blocked != "" {
			ready = nil
		}
		select {
		case ready <- work:
			return nil
		case <-st.changed:
		case <-t.C:
			return st.away()
		case <-ctx.Done():
			return cinder.Wrap(cinder.KindUnavailable, errors.Join(context.Cause(ctx), l.now().err), "The message bus was not used in time.")
		}
	}
}

// away is the state as an error.
func (st *state) away() error {
	switch {
	case st.blocked != "":
		return cinder.Wrap(cinder.KindUnavailable, fmt.Errorf("blocked: %s", st.blocked), "The message bus takes no messages at the moment.")
	case st.err != nil && cinder.KindOf(st.err) == cinder.KindUnavailable:
		return st.err // it is closed
	default:
		return cinder.Wrap(cinder.KindUnavailable, st.err, "The message bus is away.")
	}
}

// Close implements oslo.Transport.
func (t *Transport) Close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	listeners := make([]*listener, 0, len(t.listeners))
	for l := range t.listeners {
		listeners = append(listeners, l)
	}
	listen := t.listen
	t.mu.Unlock()
	for _, l := range listeners {
		l.stop()
	}
	var errs error
	for _, l := range listeners {
		errs = errors.Join(errs, l.Close(ctx))
	}
	for _, l := range []*link{listen, t.send} {
		if l == nil {
			continue
		}
		if err := l.close(ctx); err != nil {
			errs = errors.Join(errs, cinder.Wrap(cinder.KindTimeout, err, "The connection to the message bus is still closing."))
		}
	}
	return errs
}
