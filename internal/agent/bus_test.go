package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/cinder"
)

// TestStartWithoutABus checks that a service starts while the bus is away: it sends
// heartbeats, and serves commands as soon as the bus is back.
func TestStartWithoutABus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &server{}
		back := time.Now().Add(25 * time.Second)
		s := newSite(t, func(o *VolumeOptions) {
			o.Serve = func(ctx context.Context, _ *Volume) (Server, error) {
				switch wait := time.Until(back); {
				case wait > 15*time.Second: // refused
					return nil, cinder.Errorf(cinder.KindUnavailable, "no bus")
				case wait > 0: // no answer
					<-ctx.Done()
					return nil, ctx.Err()
				default:
					return srv, nil
				}
			}
		})
		s.start()
		s.bus.take()
		pass(24 * time.Second)
		if got := s.rows.row(t, alpha).ReportCount; got != 3 {
			t.Errorf("%d reports without a bus, want 3", got)
		}
		pass(5 * time.Second)
		if said := s.bus.take(); len(said) != 2 {
			t.Errorf("once commands are taken, %q was said, want the capabilities", said)
		}
		s.stop()
		if srv.closed != 1 {
			t.Errorf("the server was closed %d times", srv.closed)
		}
	})
}

func TestStopWhileTheBusIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &server{err: errors.New("still at it")}
		calls := 0
		s := newSite(t, func(o *VolumeOptions) {
			o.Serve = func(context.Context, *Volume) (Server, error) {
				if calls++; calls == 1 {
					return nil, cinder.Errorf(cinder.KindUnavailable, "no bus")
				}
				<-time.After(3 * time.Second) // the bus is back, but slow; the service stops meanwhile
				return srv, nil
			}
		})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(listenRetryInterval + time.Second)
		s.stop()
		if calls != 2 || srv.closed != 1 {
			t.Errorf("listened %d times, closed %d times: want what was begun to be ended", calls-1, srv.closed)
		}
	})
}

// TestCommandsThatCannotBeTaken checks that a start fails on errors that a connected
// bus would not solve, and when it is cancelled.
func TestCommandsThatCannotBeTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		kind := cinder.KindInvalid
		s := newSite(t, func(o *VolumeOptions) {
			o.Serve = func(context.Context, *Volume) (Server, error) {
				if kind == cinder.KindUnavailable {
					cancel()
				}
				return nil, cinder.Errorf(kind, "another queue of that name")
			}
		})
		wantKind(t, s.Start(ctx), cinder.KindInvalid)
		kind = cinder.KindUnavailable
		wantKind(t, s.Start(ctx), cinder.KindUnavailable)
		s.stop()
	})
}
