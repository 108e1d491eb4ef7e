package control

import (
	"context"
	"time"

	"stoker/internal/cinder"
)

// Notifier tells the bus what becomes of operations.
type Notifier interface {
	// Notify tells one event: service.freeze.start. KindUnavailable when the bus is away.
	Notify(ctx context.Context, event string, failed bool, op cinder.Operation) error
}

const (
	// noticeBacklog is how many notifications may wait for the bus. Those beyond
	// are lost: nothing waits for them, the journal has everything.
	noticeBacklog = 512
	noticeTimeout = 10 * time.Second
)

// The phases of an operation that are notified.
const (
	noticeStart = ".start"
	noticeEnd   = ".end"
	noticeError = ".error"
)

type notice struct {
	event  string
	failed bool
	op     cinder.Operation
}

// notify leaves word of an operation, which must not wait for the bus.
func (c *Control) notify(ctx context.Context, op cinder.Operation, phase string) {
	if c.o.Notifier == nil {
		return
	}
	n := notice{op: op}
	switch op.Kind {
	case cinder.OpEnable, cinder.OpDisable, cinder.OpEnableCluster, cinder.OpDisableCluster:
		n.event = "service." + string(op.Kind)
	case cinder.OpFreeze, cinder.OpThaw, cinder.OpFailover:
		if phase == noticeEnd && op.State != cinder.OpDone {
			phase, n.failed = noticeError, true
		}
		n.event = "service." + string(op.Kind) + phase
	default:
		return
	}
	select {
	case c.notices <- n:
	default:
		c.o.Log.WarnContext(ctx, "a notification is lost: too many wait for the bus", "event", n.event, "operation", op.ID)
	}
}

// Notify sends the notifications that are waiting, until ctx ends. What cannot be
// sent is lost.
func (c *Control) Notify(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-c.notices:
			short, cancel := context.WithTimeout(cinder.WithCaller(ctx, n.op.Caller), noticeTimeout)
			if err := c.o.Notifier.Notify(short, n.event, n.failed, n.op); err != nil && ctx.Err() == nil {
				c.o.Log.WarnContext(ctx, "a notification is lost", "event", n.event, "operation", n.op.ID, "error", err)
			}
			cancel()
		}
	}
}
