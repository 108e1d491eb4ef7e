package oslo

import (
	"context"
	"time"
)

// Transport carries messages between processes. It is safe for concurrent use. Every
// method fails with KindUnavailable when the bus is away or the transport is closed.
type Transport interface {
	// Send sends a message to a queue, or to every listener of a topic.
	// KindUndeliverable when there is no such queue; a fanout needs no listeners. A
	// queue without consumers accepts messages: see Consumers. KindTimeout means that
	// it is unknown whether the message was accepted. The body must not be modified
	// afterwards.
	Send(ctx context.Context, to Destination, m Message) error
	// Consumers counts the consumers of a queue: 0 when there is no such queue. It does
	// not work for a fanout, which has no queue of its own.
	Consumers(ctx context.Context, to Destination) (int, error)
	// Check does what senders do, without any effect, and fails when the bus refuses
	// that, or something that a listener needs.
	Check(ctx context.Context) error
	// Listen creates the named queues where missing, and passes the messages of all of
	// them to handle, one at a time. Several listeners of a queue take turns. An
	// expired message is never passed on. The context of handle ends when the listener
	// is closed; Listen's bounds only the start.
	Listen(ctx context.Context, on []Destination, handle func(context.Context, Message)) (Listener, error)
	// Close closes every listener and waits, like Listener.Close.
	Close(ctx context.Context) error
}

// Listener consumes messages until it is closed.
type Listener interface {
	// Close takes no more messages and waits for a running call of handle, from which
	// it must not be called. It fails when ctx ends first. Queues of topics and servers
	// stay, with their messages; fanout and reply queues may be deleted.
	Close(ctx context.Context) error
}

// Message is an encoded message.
type Message struct {
	Body []byte
	// Expiry bounds how long the message may wait in a queue; on receipt, it is an
	// upper bound of the time left. 0 means no bound.
	Expiry time.Duration
	// Sure confirms that the broker gives a received message to nobody else. When it
	// fails, that is uncertain, and the message must not be acted on. It may be called
	// before handle returns. nil means that it is certain.
	Sure func() error
}

// Route is how messages reach a destination.
type Route int

// Routes.
const (
	RouteQueue  Route = iota // the queue of a topic, or of one server of it
	RouteFanout              // one queue per listener of a topic
	RouteReply               // the reply queue of one client
)

// Destination is where messages are sent to and received from.
type Destination struct {
	Route Route
	Name  string // of the queue; for RouteFanout, of the topic
}

// String is the destination's name in logs and errors.
func (d Destination) String() string {
	if d.Route == RouteFanout {
		return d.Name + " (fanout)"
	}
	return d.Name
}

// ToAny is any listener of a topic.
func ToAny(topic string) Destination { return Destination{RouteQueue, topic} }

// ToServer is one server of a topic. The queue of server S of topic T is also that of
// topic T.S (doc/cinder/wire.md#listeners).
func ToServer(topic, server string) Destination {
	return Destination{RouteQueue, topic + "." + server}
}

// ToAll is every listener of a topic.
func ToAll(topic string) Destination { return Destination{RouteFanout, topic} }

// ToReplies is a reply queue.
func ToReplies(queue string) Destination { return Destination{RouteReply, queue} }

// Target is what an RPC server listens for.
type Target struct {
	Topic string
	// Server is the server's name in the topic. Without one, it gets only fanouts and
	// takes no work from the other servers.
	Server string
}

// Destinations are the queues that the target listens on (doc/cinder/wire.md#listeners).
func (t Target) Destinations() []Destination {
	if t.Server == "" {
		return []Destination{ToAll(t.Topic)}
	}
	return []Destination{ToAny(t.Topic), ToServer(t.Topic, t.Server), ToAll(t.Topic)}
}
