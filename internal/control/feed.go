package control

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
)

// Event is something that has changed: a service, or an operation.
type Event struct {
	// ID is what a listener names to go on from here, at any process. Only the
	// last of the events that were found at the same time has one.
	ID string
	At time.Time

	Service   *cinder.Service // nil when it is an operation's
	Up        bool
	Removed   bool
	Changed   []string // what: state, status, disabled_reason, frozen, replication_status, active_backend_id, added, removed
	Operation *cinder.Operation
}

const (
	// feedEvery is the time between two looks while somebody listens.
	feedEvery = time.Second
	// feedRecent is how far back a look goes for operations that began and ended
	// since the last one. It is more than enough for clocks that differ a little.
	feedRecent = 10 * time.Second
	// feedBacklog is how many looks a listener may be behind.
	feedBacklog = 64
	// maxListeners bounds those of one process.
	maxListeners = 256
)

// feed finds out what changes, whoever changes it, by looking at the rows while
// somebody listens. It keeps nothing: any process can go on for any other.
type feed struct {
	mu        sync.Mutex // guards what follows
	listeners map[*Listener]bool
	known     *picture // of the last look
}

// picture is how everything was at one look.
type picture struct {
	id       string
	services map[int64]pictured
	ops      map[string]string // fingerprints
	open     map[string]bool   // those of them that may still change
}

type pictured struct {
	cinder.Service
	up bool
}

// Listener hears of changes until it is closed.
type Listener struct {
	// Events are batches, each of one look. It is closed when the listener is too
	// slow, and when the process ends.
	Events <-chan []Event
	// ID is what the listener is up to date with at the beginning.
	ID string
	// Missed is what may have changed since the id that the listener named.
	Missed []Event

	events chan []Event
	feed   *feed
}

// Close ends it.
func (l *Listener) Close() {
	l.feed.mu.Lock()
	defer l.feed.mu.Unlock()
	l.feed.drop(l)
}

func (f *feed) drop(l *Listener) {
	if f.listeners[l] {
		delete(f.listeners, l)
		close(l.events)
	}
}

// Listen begins to hear of changes. last is the id of the event that the listener
// heard last, of this process or another; "" for one that is new. When anything is
// otherwise now than it was then, Missed has all services as they are, and the
// operations that have begun or ended since: a listener may hear of something
// twice, and not of what came and went in between. It fails with KindUnavailable
// when there are too many listeners, or the database is away.
func (c *Control) Listen(ctx context.Context, last string) (*Listener, error) {
	f := &c.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.listeners) >= maxListeners {
		return nil, cinder.Errorf(cinder.KindUnavailable, "There are too many listeners already.")
	}
	if len(f.listeners) == 0 {
		f.known = nil // nobody has looked for who knows how long
	}
	if err := c.lookForChanges(ctx); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	events := make(chan []Event, feedBacklog)
	l := &Listener{Events: events, events: events, ID: f.known.id, feed: f}
	if last != "" && digestOf(last) != digestOf(f.known.id) {
		missed, err := c.missed(ctx, last)
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		l.Missed = missed
	}
	if f.listeners == nil {
		f.listeners = map[*Listener]bool{}
	}
	f.listeners[l] = true
	return l, nil
}

// An id is the time of a look, in milliseconds, and a digest of what was seen.
func digestOf(id string) string { _, digest, _ := strings.Cut(id, "-"); return digest }

func timeOf(id string) time.Time {
	text, _, _ := strings.Cut(id, "-")
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// missed is what a listener may not have heard of since that id.
func (c *Control) missed(ctx context.Context, last string) ([]Event, error) {
	var events []Event
	now := time.Now().UTC()
	for _, s := range c.feed.known.services {
		events = append(events, Event{At: now, Service: &s.Service, Up: s.up, Changed: []string{}})
	}
	slices.SortFunc(events, func(a, b Event) int { return int(a.Service.ID - b.Service.ID) })
	since := timeOf(last)
	ops, err := c.o.Store.Operations(ctx, cinder.OperationQuery{Since: since.Add(-c.o.FailoverDeadline), Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, op := range slices.Backward(ops) {
		if !op.State.Final() || op.SettledAt.After(since.Add(-feedRecent)) {
			events = append(events, Event{At: now, Operation: &op, Changed: []string{}})
		}
	}
	if len(events) > 0 {
		events[len(events)-1].ID = c.feed.known.id
	}
	return events, nil
}

// Publish tells listeners what changes. It returns when ctx ends, and they have
// been told that it has.
func (c *Control) Publish(ctx context.Context) {
	ticker := time.NewTicker(feedEvery)
	defer ticker.Stop()
	f := &c.feed
	for {
		select {
		case <-ctx.Done():
			f.mu.Lock()
			defer f.mu.Unlock()
			for l := range f.listeners {
				f.drop(l)
			}
			return
		case <-ticker.C:
		}
		f.mu.Lock()
		if len(f.listeners) > 0 {
			if err := c.lookForChanges(ctx); err != nil && ctx.Err() == nil {
				c.o.Log.DebugContext(ctx, "changes could not be looked for: trying again", "error", err)
			}
		}
		f.mu.Unlock()
	}
}

// lookForChanges looks once, and tells those who listen what is new. The feed is
// locked.
func (c *Control) lookForChanges(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	f := &c.feed
	now, ops, err := c.takePicture(ctx, f.known)
	if err != nil {
		return err
	}
	before := f.known
	f.known = now
	if before == nil {
		return nil
	}
	events := differences(before, now, ops)
	if len(events) == 0 {
		return nil
	}
	events[len(events)-1].ID = now.id
	for l := range f.listeners {
		select {
		case l.events <- events:
		default:
			f.drop(l) // too slow: it may come back and go on from what it has
		}
	}
	return nil
}

// takePicture looks at everything. It returns the operations that it looked at.
func (c *Control) takePicture(ctx context.Context, before *picture) (*picture, []cinder.Operation, error) {
	v, err := c.o.Store.View(ctx, cinder.ServiceQuery{})
	if err != nil {
		return nil, nil, err
	}
	ops, err := c.o.Store.Operations(ctx, cinder.OperationQuery{Since: v.Now.Add(-feedRecent), Limit: 1000})
	if err != nil {
		return nil, nil, err
	}
	slices.Reverse(ops)
	has := map[string]bool{}
	for _, op := range ops {
		has[op.ID] = true
	}
	for _, op := range v.Open {
		if !has[op.ID] {
			has[op.ID] = true
			ops = append(ops, op)
		}
	}
	if before != nil {
		for id := range before.open {
			if has[id] {
				continue
			}
			op, err := c.o.Store.Operation(ctx, id)
			if err != nil && cinder.KindOf(err) != cinder.KindNotFound {
				return nil, nil, err
			}
			if err == nil {
				ops = append(ops, op)
			}
		}
	}
	p := &picture{services: make(map[int64]pictured, len(v.Services)), ops: map[string]string{}, open: map[string]bool{}}
	digest := fnv.New64a()
	for _, s := range shown(v.Services, v.Open) {
		one := pictured{s, s.Up(v.Now, c.o.DownTime)}
		p.services[s.ID] = one
		fmt.Fprintf(digest, "%d %v %v %v %s %s;", s.ID, one.up, s.Disabled, s.Frozen, s.ReplicationStatus, text(s.DisabledReason)+"\x00"+text(s.ActiveBackendID))
	}
	for i := range ops {
		op := &ops[i]
		p.ops[op.ID] = fmt.Sprintf("%s %s %v %v %v", op.State, op.Outcome, op.Progress.Attempts, op.Progress.Late, op.Progress.Undoing)
		if !op.State.Final() {
			p.open[op.ID] = true
			fmt.Fprintf(digest, "%s %s;", op.ID, p.ops[op.ID])
		}
	}
	// The newest operation stands for those that have ended.
	if newest, err := c.o.Store.Operations(ctx, cinder.OperationQuery{Limit: 1}); err != nil {
		return nil, nil, err
	} else if len(newest) > 0 {
		fmt.Fprintf(digest, "%s %s", newest[0].ID, newest[0].State)
	}
	p.id = fmt.Sprintf("%d-%016x", v.Now.UnixMilli(), digest.Sum64())
	return p, ops, nil
}

func text(s *string) string {
	if s == nil {
		return "\x01"
	}
	return *s
}

// differences are the events between two looks.
func differences(before, now *picture, ops []cinder.Operation) []Event {
	var events []Event
	at := time.Now().UTC()
	for id, s := range now.services {
		was, known := before.services[id]
		changed := []string{"added"}
		if known {
			changed = changes(was, s)
		}
		if len(changed) > 0 {
			events = append(events, Event{At: at, Service: &s.Service, Up: s.up, Changed: changed})
		}
	}
	for id, s := range before.services {
		if _, still := now.services[id]; !still {
			events = append(events, Event{At: at, Service: &s.Service, Up: s.up, Removed: true, Changed: []string{"removed"}})
		}
	}
	slices.SortFunc(events, func(a, b Event) int { return int(a.Service.ID - b.Service.ID) })
	for i := range ops {
		if now.ops[ops[i].ID] != before.ops[ops[i].ID] {
			events = append(events, Event{At: at, Operation: &ops[i], Changed: []string{}})
		}
	}
	return events
}

// changes are the names of what differs, as events have them.
func changes(was, now pictured) []string {
	changed := evidence.Differences(&was.Service, &now.Service)
	if was.up != now.up {
		changed = slices.Insert(changed, 0, "state")
	}
	return changed
}
