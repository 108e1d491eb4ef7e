package amqp_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
)

// banText is what RabbitMQ 4.0 and 4.3 close a connection with.
const banText = "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\n" +
	"Its use is not permitted per the configuration (overriding the default, which is permitted):\n" +
	"    \"deprecated_features.permit.transient_nonexcl_queues = false\"\n" +
	"Its use will not be permit..."

// banning is a broker that speaks as much AMQP as it takes to be listened to, and
// takes no transient queues.
type banning struct {
	address  string
	banned   atomic.Int64 // declarations that it closed a connection for
	declared atomic.Int64 // those that it took
}

func newBanning(tb testing.TB) *banning {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	try(tb, err)
	b := &banning{address: l.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = c.Close() }()
				if err := b.serve(c); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
					tb.Logf("the broker that bans: %v", err)
				}
			})
		}
	})
	tb.Cleanup(func() { // runs after the bus is closed, and with it the connections
		_ = l.Close()
		running.Wait()
	})
	return b
}

// Methods of AMQP 0-9-1: class and number. The answer to a method has the next number.
const (
	connectionStart, connectionStartOK = 10<<16 | 10, 10<<16 | 11
	connectionTune, connectionTuneOK   = 10<<16 | 30, 10<<16 | 31
	connectionOpen, connectionClose    = 10<<16 | 40, 10<<16 | 50
	channelOpen                        = 20<<16 | 10
	queueDeclaring                     = 50<<16 | 10
	basicConsume, basicCancel          = 60<<16 | 20, 60<<16 | 30
)

// Bits of a declaration.
const passive, durable = 1, 2

// serve speaks with one client until it or the ban ends the connection.
func (b *banning) serve(c net.Conn) error {
	if _, err := io.ReadFull(c, make([]byte, len("AMQP0091"))); err != nil {
		return err
	}
	say := func(channel uint16, method uint32, args ...[]byte) error {
		payload := binary.BigEndian.AppendUint32(nil, method)
		for _, a := range args {
			payload = append(payload, a...)
		}
		frame := binary.BigEndian.AppendUint16([]byte{1}, channel)
		frame = binary.BigEndian.AppendUint32(frame, uint32(len(payload)))
		_, err := c.Write(append(append(frame, payload...), 0xCE))
		return err
	}
	if err := say(0, connectionStart, []byte{0, 9}, number(0), long("AMQPLAIN"), long("en_US")); err != nil {
		return err
	}
	for {
		head := make([]byte, 7)
		if _, err := io.ReadFull(c, head); err != nil {
			return err
		}
		payload := make([]byte, binary.BigEndian.Uint32(head[3:])+1)
		if _, err := io.ReadFull(c, payload); err != nil {
			return err
		}
		if head[0] != 1 {
			continue // a heartbeat
		}
		channel, method, args := binary.BigEndian.Uint16(head[1:]), binary.BigEndian.Uint32(payload), payload[4:]
		var err error
		switch method {
		case connectionStartOK:
			err = say(0, connectionTune, []byte{0, 0}, number(131072), []byte{0, 60})
		case connectionTuneOK:
		case connectionOpen:
			err = say(0, method+1, short(""))
		case channelOpen:
			err = say(channel, method+1, long(""))
		case queueDeclaring:
			name := string(args[3 : 3+args[2]])
			if args[3+args[2]]&(passive|durable) == 0 {
				b.banned.Add(1)
				err = say(0, connectionClose, []byte{541 >> 8, 541 & 0xFF}, short(banText), number(method))
				break
			}
			b.declared.Add(1)
			err = say(channel, method+1, short(name), number(0), number(0))
		case basicConsume:
			queue := args[2]
			err = say(channel, method+1, args[3+queue:][:1+args[3+queue]]) // the tag
		case basicCancel:
			err = say(channel, method+1, args[:1+args[0]])
		case connectionClose + 1:
			return nil
		default:
			err = say(channel, method+1)
			if err == nil && method == connectionClose {
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

func number(n uint32) []byte   { return binary.BigEndian.AppendUint32(nil, n) }
func long(text string) []byte  { return append(number(uint32(len(text))), text...) }
func short(text string) []byte { return append([]byte{byte(len(text))}, text...) }

// A broker that takes no transient queues is told of, with the option that mends
// it, at once, and is not asked each time: that costs a connection which others
// listen on.
func TestTransientQueuesAreBanned(t *testing.T) {
	b := newBanning(t)
	bus := open(t, options(t, "rabbit://stoker:stoker@"+b.address+"/"))
	for _, tc := range []struct {
		on   oslo.Destination
		want string
	}{
		{oslo.ToReplies("reply_1"), "and those of fanouts and replies are. Set [oslo_messaging_rabbit] rabbit_transient_quorum_queue = true,"},
		{oslo.ToReplies("reply_2"), "and those of fanouts and replies are. Set [oslo_messaging_rabbit] rabbit_transient_quorum_queue = true,"},
		{oslo.ToAll("topic"), "and those of fanouts and replies are. Set [oslo_messaging_rabbit] rabbit_transient_quorum_queue = true,"},
		{oslo.ToAny("topic"), "and those of topics are. Set [oslo_messaging_rabbit] rabbit_quorum_queue or amqp_durable_queues = true,"},
	} {
		_, err := bus.Listen(t.Context(), []oslo.Destination{tc.on}, ignore)
		if cinder.KindOf(err) != cinder.KindUnavailable || !strings.Contains(cinder.Message(err), tc.want) {
			t.Errorf("listen to %s: got error %v, want one of kind %s with %q", tc.on, err, cinder.KindUnavailable, tc.want)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "transient_nonexcl_queues = false")) {
			t.Errorf("listen to %s: the error is\n%v\nwant one line, with the broker's reason", tc.on, err)
		}
	}
	if n := b.banned.Load(); n != 1 {
		t.Errorf("the broker had to close %d connections, want 1", n)
	}
}

// Whoever looks for what is wrong is told of the ban, and of nothing that comes
// of it.
func TestExamineTellsOfABan(t *testing.T) {
	b := newBanning(t)
	found, err := amqp.Examine(t.Context(), options(t, "rabbit://stoker:stoker@"+b.address+"/"), []string{"topic"}, []oslo.Destination{oslo.ToAny("topic")})
	try(t, err)
	if want := "Set [oslo_messaging_rabbit] rabbit_transient_quorum_queue = true"; !strings.Contains(cinder.Message(found.RoundTripErr), want) {
		t.Errorf("the round trip: got error %v, want one with %q", found.RoundTripErr, want)
	}
	if len(found.Exchanges)+len(found.Queues) > 0 {
		t.Errorf("of a connection that was closed it says %v and %v", found.Exchanges, found.Queues)
	}
}

// What the ban does not concern is not held up by it.
func TestDurableQueuesBesideTheBan(t *testing.T) {
	b := newBanning(t)
	o := options(t, "rabbit://stoker:stoker@"+b.address+"/")
	o.Rabbit.DurableQueues = true
	bus := open(t, o)
	if _, err := bus.Listen(t.Context(), []oslo.Destination{oslo.ToReplies("reply_1")}, ignore); cinder.KindOf(err) != cinder.KindUnavailable {
		t.Errorf("listen to replies: got error %v, want one of kind %s", err, cinder.KindUnavailable)
	}
	listen(t, bus, func(oslo.Message) {}, oslo.ToAny("topic"))
	if n := b.declared.Load(); n != 1 {
		t.Errorf("%d queues were declared, want the one of topic", n)
	}
}
