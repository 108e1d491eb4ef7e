package amqp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/dsn"
)

// session is one connection of a link, and what is done on it.
type session struct {
	link   *link
	broker dsn.Broker
	conn   *amqp091.Connection
	sock   *socket
	lost   chan struct{} // closed when the connection is
	doubts chan struct{} // has room for one

	working sync.WaitGroup

	mu  sync.Mutex
	err error
}

func newSession(l *link, b dsn.Broker, conn *amqp091.Connection, sock *socket) *session {
	s := &session{link: l, broker: b, conn: conn, sock: sock, lost: make(chan struct{}), doubts: make(chan struct{}, 1)}
	// Buffered, and read until the library closes them: it notifies in its
	// reader's goroutine.
	closes := conn.NotifyClose(make(chan *amqp091.Error, 1))
	blocks := conn.NotifyBlocked(make(chan amqp091.Blocking, 16))
	s.begin(func() { s.watch(closes, blocks) })
	s.begin(s.probe)
	return s
}

// probe asks the broker for a sign of life when there are doubts, or when it has
// been silent for a while. A connection that is only listened to would otherwise
// be found dead by its missing heartbeats, a minute later, and nobody who waits
// for what should come over it would know.
func (s *session) probe() {
	pulse := time.NewTicker(quiet / 2)
	defer pulse.Stop()
	for {
		select {
		case <-s.doubts:
		case <-pulse.C:
			if s.sock.silentFor() < quiet || s.blocked() {
				continue
			}
		case <-s.lost:
			return
		}
		_ = s.call("a sign of life", func() error {
			ch, err := s.conn.Channel()
			if err != nil {
				return err
			}
			return ch.Close()
		})
	}
}

// doubt has the session probed.
func (s *session) doubt() {
	select {
	case s.doubts <- struct{}{}:
	default: // it is about to be
	}
}

// doubt has the session of a link, when it has one, probed.
func (l *link) doubt() {
	if s := l.now().session; s != nil {
		s.doubt()
	}
}

// watch hears what the broker says of the connection.
func (s *session) watch(closes chan *amqp091.Error, blocks chan amqp091.Blocking) {
	ctx := context.Background()
	for blocks != nil || closes != nil {
		select {
		case b, ok := <-blocks:
			if !ok {
				blocks = nil
				continue
			}
			reason := ""
			if b.Active {
				reason = b.Reason
				s.link.log.WarnContext(ctx, "the broker takes no messages", "broker", s.broker, "reason", reason)
			} else {
				s.link.log.InfoContext(ctx, "the broker takes messages again", "broker", s.broker)
			}
			s.link.set(func(st *state) { st.blocked = reason })
		case e, ok := <-closes:
			if !ok {
				closes = nil
				close(s.lost)
				continue
			}
			s.fail(errors.New(oneLine(e.Reason)))
		}
	}
}

// begin runs f in a goroutine that end waits for. It must end when the
// connection does.
func (s *session) begin(f func()) { s.working.Go(f) }

// fail notes why the connection ends; the first reason counts.
func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// why is the reason that the connection ended for.
func (s *session) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return errors.New("the connection was closed")
	}
	return s.err
}

// ended says whether the connection is lost. The library knows before lost is
// closed.
func (s *session) ended() bool { return s.conn.IsClosed() }

// abort closes the socket: every call that waits for the broker returns.
func (s *session) abort() { _ = s.sock.Close() }

// end closes the connection, and waits for what worked on it.
func (s *session) end() {
	_ = s.conn.CloseDeadline(time.Now().Add(closeTimeout))
	s.abort()
	s.working.Wait()
}

// call makes calls of the library. When the broker does not answer in time, the
// connection is given up: there is no other way to end a call. A broker that
// takes no messages does not read what we say, but it is there.
func (s *session) call(what string, f func() error) error {
	t := time.AfterFunc(callTimeout, func() {
		if s.blocked() {
			return
		}
		s.fail(fmt.Errorf("no answer within %s to: %s", callTimeout, what))
		s.abort()
	})
	defer t.Stop()
	return f()
}

// blocked says whether the broker takes no messages at the moment.
func (s *session) blocked() bool { return s.link.now().blocked != "" }

// setUp makes a call that depends on more than the broker we are connected to:
// a quorum queue without a majority answers nobody, and that must not cost the
// others their connection. So the connection is given up only when the broker
// does not answer other questions either.
func (s *session) setUp(f func() error) error {
	t := time.AfterFunc(callTimeout, s.doubt)
	defer t.Stop()
	return f()
}
