package control_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// notified is a bus that remembers what it was told.
type notified struct {
	mu   sync.Mutex
	told []string
	all  chan struct{}
	want int
}

func (n *notified) Notify(ctx context.Context, event string, failed bool, op cinder.Operation) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, fmt.Sprintf("%s %v %s by %s", event, failed, op.State, cinder.CallerFrom(ctx).UserID))
	if len(n.told) == n.want {
		close(n.all)
	}
	return cinder.Errorf(cinder.KindUnavailable, "no bus: %s is lost", event)
}

// The beginning and the end of what is done to services is told, with who asked
// for it; that it cannot be told keeps nobody.
func TestNotifications(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	bus := &notified{all: make(chan struct{}), want: 8}
	o := s.options("api-1")
	o.Notifier = bus
	s.Control = control.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Notify(ctx) }()
	ada := cinder.WithCaller(t.Context(), cinder.Caller{UserID: "ada"})
	sel := control.Selector{Host: alpha}
	s.fleet.answer["thaw"] = cinder.Errorf(cinder.KindConflict, "no")
	_, e1 := s.Disable(ada, alpha, cinder.BinaryVolume)
	_, e2 := s.Enable(ada, alpha, cinder.BinaryVolume)
	_, e3 := s.Freeze(ada, sel)
	_, e4 := s.Thaw(ada, sel)
	_, e5 := s.Failover(ada, sel, new("site-b"))
	if e1 != nil || e2 != nil || e3 != nil || cinder.KindOf(e4) != cinder.KindConflict || e5 != nil {
		t.Fatal(e1, e2, e3, e4, e5)
	}
	s.settle(s.Control)
	select {
	case <-bus.all:
	case <-time.After(patience):
		t.Errorf("%d notifications are not told within %v", bus.want, patience)
	}
	cancel()
	<-done
	want := []string{
		"service.disable false done by ada", "service.enable false done by ada",
		"service.freeze.start false open by ada", "service.freeze.end false done by ada",
		"service.thaw.start false open by ada", "service.thaw.error true rolled-back by ada",
		"service.failover.start false open by ada", "service.failover.end false done by ada",
	}
	if !slices.Equal(bus.told, want) {
		t.Errorf("told %q, want %q", bus.told, want)
	}
}
