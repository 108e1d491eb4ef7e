package oslo

import (
	"context"
	"time"
)

// Transport carries messages between processes. It is safe for concurrent use.
// Every method fails with KindUnavailable when the bus is away or the transport
// closed.
type Transport interface {
	// Send delivers a message to a queue or to every listener of a topic. It fails
	// with KindUndeliverable when there is no such queue; a fanout without
	// listeners is no failure. A queue that nobody consumes takes messages all the
	// same: see Consumers. KindTimeout means that it is not known whether the
	// message was taken. The body must not be changed afterwards.
	Send(ctx context.Context, to Destination, m Message) error
	// Consumers counts those who listen to a queue: 0 when there is no such queue.
	// A fanout has no queue to count at.
	Consumers(ctx context.Context, to Destination) (int, error)
	// Check does what senders need, changes nothing, and fails as long as the bus
	// refuses that, or something that a listener needs.
	Check(ctx context.Context) error
	// Listen makes the queues it names, where they are missing, and hands what
	// arrives in any of them to handle, one message after another. Listeners of
	// one queue take turns. A message that has expired is never handed over. The
	// context of handle ends when the listener is closed; that of Listen bounds
	// the start alone.
	Listen(ctx context.Context, on []Destination, handle func(context.Context, Message)) (Listener, error)
	// Close closes every listener and waits, as Listener.Close does.
	Close(ctx context.Context) error
}

// Listener takes messages until it is closed.
type Listener interface {
	// Close takes no more messages and waits until the call of handle that is
	// under way has returned: it must not be called from there. It fails when ctx
	// ends first. Queues of topics and servers stay, with what is in them; fanout
	// and reply queues may go.
	Close(ctx context.Context) error
}

// Message is an encoded message on its way.
type Message struct {
	Body []byte
	// Expiry is how long the message may wait to be handed over, and in a message
	// that was handed over, an upper bound of what is left; 0 is for ever.
	Expiry time.Duration
	// Sure makes sure that a message that was handed over is given to nobody else.
	// It fails when that cannot be said: then nothing may be done on the message's
	// account. It is called before handle returns, if at all. It is nil when no
	// other could be given the message.
	Sure func() error
}

// Route is the way that messages take to a destination.
type Route int

// The routes.
const (
	RouteQueue  Route = iota // the queue of a topic, or of one server of it
	RouteFanout              // a queue for each listener of a topic
	RouteReply               // the queue of one client's replies
)

// Destination is where messages go, and where they are listened for.
type Destination struct {
	Route Route
	Name  string // of the queue; for RouteFanout, of the topic
}

// String is the destination as logs and errors name it.
func (d Destination) String() string {
	if d.Route == RouteFanout {
		return d.Name + " (fanout)"
	}
	return d.Name
}

// ToAny is any one listener of a topic.
func ToAny(topic string) Destination { return Destination{RouteQueue, topic} }

// ToServer is one server of a topic. The queue of server S of topic T is that of
// topic T.S as well (doc/cinder/wire.md#listeners).
func ToServer(topic, server string) Destination {
	return Destination{RouteQueue, topic + "." + server}
}

// ToAll is every listener of a topic.
func ToAll(topic string) Destination { return Destination{RouteFanout, topic} }

// ToReplies is the reply queue of that name.
func ToReplies(queue string) Destination { return Destination{RouteReply, queue} }

// Target is what an RPC server answers for.
type Target struct {
	Topic string
	// Server names the server among those of the topic. Without one, the server
	// hears fanouts alone and takes no work away from the others.
	Server string
}

// Destinations are the queues that the target listens on (doc/cinder/wire.md#listeners).
func (t Target) Destinations() []Destination {
	if t.Server == "" {
		return []Destination{ToAll(t.Topic)}
	}
	return []Destination{ToAny(t.Topic), ToServer(t.Topic, t.Server), ToAll(t.Topic)}
}
