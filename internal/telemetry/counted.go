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
	// maxCounted is how many kinds are told apart at a time: more than the program
	// has. What is beyond them counts as one.
	maxCounted = 100
	// maxKind bounds the name of a kind, in bytes.
	maxKind = 200
)

// Counted is a handler for what strangers can make the program log as often as
// they like. It writes one record of each kind a second: the first at once, then
// the last of each second, which says how many more there were. It is safe for
// concurrent use.
type Counted struct {
	next  slog.Handler
	names []string // the attributes that tell kinds apart, beside level and message
	kinds *kinds
}

// kinds are those of a Counted and of all that With made of it.
type kinds struct {
	mu     sync.Mutex // guards what follows, and every kind
	recent map[string]*kind
	closed bool
}

// kind is one that was written less than a second ago.
type kind struct {
	name  string
	timer *time.Timer
	last  *held // the last record, when there is one
	count int   // of the records that were held
}

// held is a record that waits to be written.
type held struct {
	to     slog.Handler
	record slog.Record
}

// NewCounted makes a Counted that writes to next. Records of one level and message
// are of one kind when they agree in the attributes of these names.
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

// hold keeps a record when one of its kind was written less than a second ago.
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
		one.timer = time.AfterFunc(countedEvery, func() { k.turn(one) })
		k.recent[name] = one
		return false
	}
	h.record = h.record.Clone()
	one.last = &h
	one.count++
	return true
}

// turn ends a second of a kind.
func (k *kinds) turn(one *kind) {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return
	}
	said := one.take()
	if said == nil {
		delete(k.recent, one.name)
	} else {
		one.timer.Reset(countedEvery)
	}
	k.mu.Unlock()
	_ = said.write() // a log that cannot be written has nowhere to say so
}

// take is what is to be written at the end of a second; nil when there is nothing.
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

// Close writes what is held. Records that come later are written one by one.
func (c *Counted) Close(context.Context) error {
	k := c.kinds
	k.mu.Lock()
	k.closed = true
	var said []*held
	for _, one := range k.recent {
		one.timer.Stop()
		said = append(said, one.take())
	}
	k.recent = nil
	k.mu.Unlock()
	var errs []error
	for _, h := range said {
		errs = append(errs, h.write())
	}
	return errors.Join(errs...)
}
