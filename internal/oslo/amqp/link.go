package amqp

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// patience is how long a message waits for a connection that is away. A
	// broker that restarts takes longer; a failover to the next host does not.
	patience = 2 * time.Second
	// callTimeout bounds one call of the library. A broker that takes longer is
	// as good as gone: one that is busy may take seconds.
	callTimeout = 10 * time.Second
	// quiet is how long a broker may say nothing before it is asked to.
	quiet = 6 * time.Second
	// closeTimeout bounds the farewell to a broker.
	closeTimeout = 2 * time.Second
	// longestWait bounds the wait between tries to connect; see Rabbit.IntervalMax.
	longestWait = 3 * time.Second
	// settled is how long a connection must have held for the waits to begin anew.
	settled = 30 * time.Second
)

// link keeps one connection, for as long as it is open.
type link struct {
	o    *Options
	role string // in logs and in the broker's list
	log  *slog.Logger
	work func(*session) // begins what is done on a session; see session.begin
	lost func()         // is told that a connection was lost

	cancel context.CancelFunc
	done   chan struct{} // closed when run has returned

	mu    sync.Mutex
	state state
}

// state is what a link has at the moment.
type state struct {
	session *session      // nil: none
	err     error         // why there is none
	blocked string        // why the broker takes no messages; "" when it does
	changed chan struct{} // closed when this is no longer so
}

// newLink makes a link and starts it.
func newLink(o *Options, role string, work func(*session), lost func()) *link {
	ctx, cancel := context.WithCancel(context.Background())
	l := &link{
		o: o, role: role, log: o.Log.With("connection", role), work: work, lost: lost, cancel: cancel, done: make(chan struct{}),
		state: state{err: errNotYet, changed: make(chan struct{})},
	}
	go l.run(ctx)
	return l
}

func (l *link) now() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

func (l *link) set(change func(*state)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.state.changed)
	l.state.changed = make(chan struct{})
	change(&l.state)
}

// run connects, again and again.
func (l *link) run(ctx context.Context) {
	defer close(l.done)
	next, tries, said, first := 0, 0, "", !l.o.NoWait
	for ctx.Err() == nil {
		s, host, err := l.connect(ctx, next)
		if err != nil {
			tries++
			l.set(func(st *state) { st.err = err })
			// Whoever made the link is told of the first; others are logged once for
			// each reason, not for each try.
			if text := err.Error(); !first && text != said && ctx.Err() == nil {
				said = text
				l.log.ErrorContext(ctx, "the message bus cannot be reached", "error", err)
			}
			first = false
			l.wait(ctx, l.interval(tries))
			continue
		}
		l.log.InfoContext(ctx, "connected to the message bus", "broker", s.broker)
		said, next, first = "", host+1, false
		since := time.Now()
		l.serve(ctx, s)
		if time.Since(since) > settled {
			tries = 0
		} else {
			tries++
		}
		if ctx.Err() == nil {
			l.log.ErrorContext(ctx, "the connection to the message bus was lost", "broker", s.broker, "error", s.why())
			l.lost()
			l.wait(ctx, min(l.o.Rabbit.ReconnectDelay, l.interval(tries)))
		}
	}
	l.set(func(st *state) { st.session, st.err = nil, errClosed() })
}

// serve works on a session until it is lost or the link closes.
func (l *link) serve(ctx context.Context, s *session) {
	if l.work != nil {
		l.work(s)
	}
	l.set(func(st *state) { st.session, st.err, st.blocked = s, nil, "" })
	select {
	case <-s.lost:
	case <-ctx.Done():
	}
	l.set(func(st *state) { st.session, st.err, st.blocked = nil, s.why(), "" })
	s.end()
}

// connect tries every host once, beginning with that of the given number.
func (l *link) connect(ctx context.Context, first int) (s *session, host int, err error) {
	hosts := l.o.URL.Brokers
	order := make([]int, len(hosts))
	for i := range order {
		order[i] = (first + i) % len(hosts)
	}
	if l.o.Rabbit.Shuffle {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	var all error
	for _, host := range order {
		conn, sock, err := dial(ctx, l.o, l.role, hosts[host])
		if err == nil {
			return newSession(l, hosts[host], conn, sock), host, nil
		}
		if all == nil {
			all = err
		} else {
			all = fmt.Errorf("%w; %w", all, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, 0, all
}

// interval is the wait after so many tries, spread by a fifth.
func (l *link) interval(tries int) time.Duration {
	r := &l.o.Rabbit
	wait := r.RetryInterval + time.Duration(min(tries-1, 100))*r.RetryBackoff
	wait = max(min(wait, r.IntervalMax, longestWait), 100*time.Millisecond)
	return wait*4/5 + rand.N(wait*2/5+1)
}

func (l *link) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// close ends the link and waits for it, no longer than ctx. What still runs then
// has lost its socket and ends by itself.
func (l *link) close(ctx context.Context) error {
	l.cancel()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		if s := l.now().session; s != nil {
			s.abort()
		}
		return context.Cause(ctx)
	}
}
