package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// countedEvery is the time between two records of one kind.
	countedEvery = time.Second
	// maxCounted bounds the kinds that are distinguished at a time: more than the
	// program has. The rest count as one kind.
	maxCounted = 100
	// maxKind bounds the parts of a kind's name, in bytes.
	maxKind = 200
)

// Counted is a handler that limits the rate of records which unauthenticated clients
// can cause. It writes one record of each kind per second: the first at once, then the
// last of each second with the number of suppressed ones. It is safe for concurrent
// use.
type Counted struct {
	next  slog.Handler
	names []string // the attributes that distinguish kinds, besides level and message
	kinds *kinds
}

// kinds are shared by a Counted and all handlers derived from it.
type kinds struct {
	mu     sync.Mutex // guards the fields below, and every kind
	recent map[string]*kind
	closed bool
}

// kind is a kind of record that was written less than a second ago.
type kind struct {
	name  string
	timer *time.Timer
	last  *held // the last suppressed record; may be nil
	count int   // of suppressed records
}

// held is a record waiting to be written.
type held struct {
	to     slog.Handler
	record slog.Record
}

// NewCounted returns a Counted that writes to next. Records of equal level and message
// are of one kind when the attributes with these names are equal.
func NewCounted(next slog.Handler, names ...string) *Counted {
	return &Counted{next: next, names: names, kinds: &kinds{recent: map[string]*kind{}}}
}

// Enabled implements slog.Handler.
func (c *Counted) Enabled(ctx context.Context, l slog.Level) bool { return c.next.Enabled(ctx, l) }

// WithAttrs implements slog.Handler.
func (c *Counted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Counted{c.next.WithAttrs(attrs), c.names, c.kinds}
}

// WithGroup implements slog.Handler.
func (c *Counted) WithGroup(name string) slog.Handler {
	return &Counted{c.next.WithGroup(name), c.names, c.kinds}
}

// Handle implements slog.Handler.
func (c *Counted) Handle(ctx context.Context, r slog.Record) error {
	if c.kinds.hold(c.kindOf(r), held{c.next, r}) {
		return nil
	}
	return c.next.Handle(ctx, r)
}

// kindOf is the name of a record's kind.
func (c *Counted) kindOf(r slog.Record) string {
	name := fmt.Appendf(nil, "%d %.*s", r.Level, maxKind, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		for _, n := range c.names {
			if a.Key == n {
				name = fmt.Appendf(name, " %.*s", maxKind, a.Value.String())
			}
		}
		return true
	})
	return string(name)
}

// hold suppresses a record when one of its kind was written less than a second ago.
func (k *kinds) hold(name string, h held) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	if k.recent[name] == nil && len(k.recent) >= maxCounted {
		name = ""
	}
	one := k.recent[name]
	if one == nil {
		one = &kind{name: name}
		one.timer = time.AfterFunc(countedEvery, func() { k.expire(one) })
		k.recent[name] = one
		return false
	}
	h.record = h.record.Clone()
	one.last = &h
	one.count++
	return true
}

// expire ends a second of a kind.
func (k *kinds) expire(one *kind) {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return
	}
	last := one.take()
	if last == nil {
		delete(k.recent, one.name)
	} else {
		one.timer.Reset(countedEvery)
	}
	k.mu.Unlock()
	_ = last.write() // there is nowhere to report that the log cannot be written
}

// take returns the record to write at the end of a second; nil for none.
func (k *kind) take() *held {
	last := k.last
	if more := k.count - 1; more > 0 {
		like := "like it"
		if k.name == "" {
			like = "of other kinds"
		}
		last.record.Message += fmt.Sprintf(" ... and %d more %s", more, like)
	}
	k.last, k.count = nil, 0
	return last
}

func (h *held) write() error {
	if h == nil {
		return nil
	}
	return h.to.Handle(context.Background(), h.record)
}

// Close writes suppressed records. Later records are not limited.
func (c *Counted) Close(context.Context) error {
	k := c.kinds
	k.mu.Lock()
	k.closed = true
	var remaining []*held
	for _, one := range k.recent {
		one.timer.Stop()
		remaining = append(remaining, one.take())
	}
	k.recent = nil
	k.mu.Unlock()
	var errs []error
	for _, h := range remaining {
		errs = append(errs, h.write())
	}
	return errors.Join(errs...)
}
