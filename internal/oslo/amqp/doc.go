// Package amqp carries oslo.messaging's messages over RabbitMQ, with the
// exchanges, queues and options of oslo.messaging, so that Cinder's services and
// ours share a bus (doc/cinder/wire.md#queues).
//
//	          ┌ link "send" ─────────────── connection ┐
//	Send ─────┤  publisher (confirms, mandatory)       │
//	Consumers ┤  inspectors (passive declares)         ├── RabbitMQ
//	          └────────────────────────────────────────┘
//	Listen ──── link "listen" ──────────── connection ──── a channel each
//
// A process has two connections, whatever it does: one that the broker may block
// when it runs out of memory, and one that it never blocks. A link is the
// supervisor of one: it dials, backs off, and dials again for as long as the
// transport is open. What works on a connection is made anew with it, and ends
// before the next one is made.
//
// The library's calls take no context and wait for the broker without a bound.
// Here each of them is made by a goroutine that a session owns, and a call that
// takes too long has its socket closed under it, which ends it. Callers wait for
// that goroutine, for their context, or for a bound of their own, whichever comes
// first.
package amqp
