package amqp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
	"stoker/test/peers"
)

const (
	// deadline is that of each call under load.
	deadline = 3 * time.Second
	// late is how long after its deadline a call may return on a busy machine: far
	// less than one that waits for a broker which has gone would take.
	late = 10 * time.Second
	// back is how soon after its broker a bus must be of service again.
	back = 10 * time.Second
	// callers is how many call at the same time.
	callers = 8
)

// load is clients that call a server over a bus, without pause.
type load struct {
	t         *testing.T
	client    *oslo.Client
	stop      context.CancelFunc
	calling   sync.WaitGroup
	transport []*amqp.Transport

	mu     sync.Mutex // guards what follows
	runs   map[string]int
	good   int
	kinds  map[cinder.Kind]int
	lately time.Time // the last good call
}

// startLoad begins the calls, each of which has an id that the server counts.
func startLoad(t *testing.T, o amqp.Options) *load {
	t.Helper()
	client, server := open(t, o), open(t, o)
	l := &load{t: t, runs: map[string]int{}, kinds: map[cinder.Kind]int{}, transport: []*amqp.Transport{client, server}}
	target := oslo.Target{Topic: "topic", Server: "server"}
	quiet := slog.New(slog.DiscardHandler)
	s, err := oslo.Serve(t.Context(), oslo.ServerOptions{
		Transport: server, Targets: []oslo.Target{target}, Log: quiet,
		Endpoint: oslo.Endpoint{Version: "1.0", Methods: map[string]oslo.Handler{"count": l.count}},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.client = oslo.NewClient(oslo.ClientOptions{Transport: client, ResponseTimeout: deadline, Log: quiet})
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	for i := range callers {
		l.calling.Go(func() { l.calls(ctx, i) })
	}
	t.Cleanup(func() {
		stop()
		l.calling.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		try(t, l.client.Close(ctx), s.Close(ctx))
		l.mu.Lock()
		defer l.mu.Unlock()
		t.Logf("%d good calls, failures by kind: %v", l.good, l.kinds)
		for id, n := range l.runs {
			if n > 1 {
				t.Errorf("call %s was carried out %d times", id, n)
			}
		}
	})
	return l
}

// count is the method that is called.
func (l *load) count(_ context.Context, raw json.RawMessage) (any, error) {
	var args struct{ ID string }
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs[args.ID]++
	return args.ID, nil
}

func (l *load) calls(ctx context.Context, caller int) {
	for i := 0; ctx.Err() == nil; i++ {
		id := fmt.Sprintf("%d-%d", caller, i)
		began := time.Now()
		result, _, err := l.client.Call(ctx, oslo.ToServer("topic", "server"), "count", "1.0", map[string]string{"ID": id})
		if took := time.Since(began); took > deadline+late {
			l.t.Errorf("call %s took %s, its deadline is %s", id, took, deadline)
		}
		l.mu.Lock()
		switch {
		case ctx.Err() != nil:
		case err == nil && string(result) != `"`+id+`"`:
			l.t.Errorf("call %s was answered %s", id, result)
		case err == nil:
			l.good++
			l.lately = time.Now()
		default:
			l.kinds[cinder.KindOf(err)]++
		}
		l.mu.Unlock()
		select {
		case <-time.After(10 * time.Millisecond): // the processors are for others as well
		case <-ctx.Done():
		}
	}
}

// serves waits until calls go well again, which must be soon.
func (l *load) serves(when string) {
	l.t.Helper()
	began := time.Now()
	eventually(l.t, "calls go well "+when, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.lately.After(began)
	})
	if took := time.Since(began); took > back {
		l.t.Errorf("%s it took %s until a call went well, want %s at most", when, took, back)
	}
}

// connections are those that the broker has of this test.
func connections(t *testing.T, b *peers.Broker) int {
	t.Helper()
	return strings.Count(b.Control(t, "list_connections", "--no-table-headers", "name"), "->")
}

func TestTheBrokerRestartsUnderLoad(t *testing.T) {
	broker := victims.RabbitMQ(t)
	for _, tc := range []struct {
		name   string
		change func(*amqp.Rabbit)
		end    func(testing.TB)
	}{
		{"stopped", func(*amqp.Rabbit) {}, broker.Stop},
		{"killed, with durable queues", func(r *amqp.Rabbit) { r.DurableQueues = true }, broker.Kill},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t, broker.URL(t))
			tc.change(&o.Rabbit)
			l := startLoad(t, o)
			l.serves("at first")
			tc.end(t)
			broker.Start(t)
			l.serves("after the broker is back")
			eventually(t, "two transports have four connections", func() bool { return connections(t, broker) == 4 })
		})
	}
}

func TestTheBrokerPausesUnderLoad(t *testing.T) {
	broker := victims.RabbitMQ(t)
	l := startLoad(t, options(t, broker.URL(t)))
	l.serves("at first")
	broker.Pause(t)
	<-time.After(deadline + time.Second) // the time of the pause is what is tested
	broker.Resume(t)
	l.serves("after the pause")
	eventually(t, "connections are as many as before", func() bool { return connections(t, broker) == 4 })
}

func TestConnectionsAreCutUnderLoad(t *testing.T) {
	broker := engines.RabbitMQ(t)
	way := peers.NewProxy(t, broker.Addr())
	l := startLoad(t, options(t, way.In(t, broker.URL(t))))
	for range 3 {
		l.serves("at first")
		way.Cut()
		way.Restore()
		l.serves("after the cut")
		eventually(t, "connections are as many as before", func() bool { return way.Connections() == 4 })
	}
}

func TestReconnectsLeaveNothingBehind(t *testing.T) {
	broker := engines.RabbitMQ(t)
	way := peers.NewProxy(t, broker.Addr())
	o := options(t, way.In(t, broker.URL(t)))
	o.Rabbit.RetryInterval, o.Rabbit.RetryBackoff, o.Rabbit.ReconnectDelay = 0, 0, 0
	bus := open(t, o)
	in := make(chan oslo.Message, 100)
	listen(t, bus, func(m oslo.Message) { in <- m }, everything()...)
	works := func() bool {
		for _, to := range everything() {
			if bus.Send(t.Context(), to, oslo.Message{}) != nil {
				return false
			}
			next(t, in)
		}
		_, err := bus.Consumers(t.Context(), oslo.ToAny("nobody"))
		return err == nil
	}
	eventually(t, "everything works", works)
	before := runtime.NumGoroutine()
	for range 10 {
		way.Cut()
		way.Restore()
		eventually(t, "everything works again", works)
	}
	eventually(t, "goroutines and connections are as many as before", func() bool {
		return runtime.NumGoroutine() <= before && way.Connections() == 2
	})
}

// A network that swallows everything is the worst: nothing fails by itself.
func TestTheNetworkGoesSilentUnderLoad(t *testing.T) {
	broker := engines.RabbitMQ(t)
	ways := []*peers.Proxy{peers.NewProxy(t, broker.Addr()), peers.NewProxy(t, broker.Addr())}
	url := broker.URL(t)
	o := options(t, ways[0].In(t, url))
	o.URL.Brokers = append(o.URL.Brokers, options(t, ways[1].In(t, url)).URL.Brokers...)
	l := startLoad(t, o)
	l.serves("at first")
	ways[0].Stall()
	eventually(t, "the second host is gone over to", func() bool { return ways[1].Connections() == 4 })
	l.serves("at the second host")
}

func TestAQueueIsDeletedUnderItsListener(t *testing.T) {
	url := engines.RabbitMQ(t).URL(t)
	bus := open(t, options(t, url))
	in := make(chan oslo.Message, 10)
	listen(t, bus, func(m oslo.Message) { in <- m }, oslo.Target{Topic: "topic", Server: "server"}.Destinations()...)
	_, err := raw(t, url).QueueDelete("topic.server", false, false, false)
	try(t, err)
	eventually(t, "the queue is there again", func() bool {
		return bus.Send(t.Context(), oslo.ToServer("topic", "server"), oslo.Message{}) == nil
	})
	next(t, in)
}

// What came while nobody listened is handed over in order once somebody does,
// and what a listener had not begun with comes again.
func TestOrderAfterAReconnect(t *testing.T) {
	broker := engines.RabbitMQ(t)
	way := peers.NewProxy(t, broker.Addr())
	url := broker.URL(t)
	sender, receiver := open(t, options(t, url)), open(t, options(t, way.In(t, url)))
	in, release := make(chan string, 100), make(chan struct{})
	listen(t, receiver, func(m oslo.Message) {
		_ = m.Sure() // the broker knows that it was taken
		in <- string(m.Body)
		<-release
	}, oslo.ToAny("topic"))
	send := func(i int) {
		try(t, sender.Send(t.Context(), oslo.ToAny("topic"), oslo.Message{Body: []byte(fmt.Sprint(i))}))
	}
	for i := range 5 {
		send(i)
	}
	if got := next(t, in); got != "0" { // which is at work from now on
		t.Fatalf("got message %s first", got)
	}
	way.Cut()
	for i := range 5 {
		send(5 + i)
	}
	way.Restore()
	close(release)
	for want := 1; want < 10; want++ {
		if got := next(t, in); got != fmt.Sprint(want) {
			t.Errorf("got message %s, want %d", got, want)
		}
	}
}
