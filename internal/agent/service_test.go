package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
)

// server is the Server of these tests.
type server struct {
	closed int
	err    error
}

func (s *server) Close(context.Context) error {
	s.closed++
	return s.err
}

func TestRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t).start()
		row := s.rows.row(t, alpha)
		want := cinder.Service{
			ID: 1, Host: alpha, Zone: "nova", Topic: "cinder-volume", Binary: "cinder-volume",
			ReplicationStatus: cinder.ReplicationEnabled, ReportCount: 1,
			RPCVersion: cinder.VolumeRPCVersion, ObjectVersion: "1.39", CreatedAt: now(), UpdatedAt: now(),
		}
		if diff := cmp.Diff(want, row); diff != "" {
			t.Errorf("row (-want +got):\n%s", diff)
		}
	})
}

func TestOneReportEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t).start()
		began := time.Now()
		pass(35 * time.Second)
		var at []time.Duration
		_, beats := s.rows.look()
		for _, beat := range beats {
			at = append(at, beat.Sub(began))
		}
		want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 30 * time.Second}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("heartbeats (-want +got):\n%s", diff)
		}
	})
}

// TestHeartbeatsThatFail checks that a database that is away gets one heartbeat per
// interval, and that the log reports the outage once.
func TestHeartbeatsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t).start()
		s.rows.setAway(errAway)
		pass(35 * time.Second)
		s.rows.setAway(nil)
		pass(10 * time.Second)
		if got := s.rows.row(t, alpha).ReportCount; got != 2 {
			t.Errorf("%d reports, want the first and the last", got)
		}
		if got := strings.Count(s.buf(), "eartbeat"); got != 2 || !strings.Contains(s.buf(), "failed=3") {
			t.Errorf("the log speaks of heartbeats %d times, want that they fail and that they do no more:\n%s", got, s.buf())
		}
	})
}

// TestRemovedRow checks that the next heartbeat recreates a removed row, with its
// causes: a removal must not undo an administrator's disable.
func TestRemovedRow(t *testing.T) {
	tests := []struct {
		name   string
		do     []string
		causes []cinder.Cause
		want   string
	}{
		{"as it was at first", nil, nil, "enabled enabled"},
		{"disabled", nil, []cinder.Cause{{Kind: cinder.CauseAdmin, Reason: new("maint")}}, "disabled 'maint' enabled"},
		{"disabled without a reason", nil, []cinder.Cause{{Kind: cinder.CauseAdmin}}, "disabled enabled"},
		{"frozen", []string{"freeze"}, nil, "disabled 'frozen' frozen enabled"},
		{"frozen, as control knows", nil, []cinder.Cause{{Kind: cinder.CauseFrozen}}, "disabled 'frozen' frozen enabled"},
		{"failed over", []string{"failover site-c"}, nil, "disabled 'failed-over' failed-over on site-c"},
		{"failed over, as only control knows", nil, []cinder.Cause{{Kind: cinder.CauseFailedOver}}, "enabled enabled"},
		{
			"all at once",
			[]string{"failover", "freeze"},
			[]cinder.Cause{{Kind: cinder.CauseFrozen}, {Kind: cinder.CauseAdmin, Reason: new("maint")}, {Kind: cinder.CauseFailedOver}},
			"disabled 'frozen' frozen failed-over on site-b",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t).start()
				if err := s.do(tt.do...); err != nil {
					t.Fatal(err)
				}
				s.rows.set(func(r *rows) { r.causes["cinder-volume "+alpha] = tt.causes })
				s.rows.remove(alpha)
				pass(10 * time.Second)
				s.want(tt.want)
				if row := s.rows.row(t, alpha); row.ID != 2 {
					t.Errorf("row %d, want a new one", row.ID)
				}
				pass(10 * time.Second)
				if row := s.rows.row(t, alpha); row.ReportCount != 1 {
					t.Errorf("%d reports of the new row, want 1", row.ReportCount)
				}
				if got := s.commands(); got[len(got)-1] == "setup" && len(got) > 1 {
					t.Errorf("a backend at work was set up again: %v", got)
				}
			})
		})
	}
}

// TestRegistrationIsFinished checks that a registration interrupted between its two
// writes is completed.
func TestRegistrationIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t).start()
		if err := s.do("failover"); err != nil {
			t.Fatal(err)
		}
		s.rows.remove(alpha)
		s.rows.set(func(r *rows) { r.conflicts = saveAttempts })
		pass(19 * time.Second)
		s.want("enabled enabled")
		pass(10 * time.Second)
		s.want("disabled 'failed-over' failed-over on site-b")
	})
}

func TestStartWithoutADatabase(t *testing.T) {
	s := newSite(t)
	s.rows.setAway(errAway)
	wantKind(t, s.Start(t.Context()), cinder.KindUnavailable)
	s.stop()
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &server{}
		s := newSite(t, func(o *VolumeOptions) {
			o.Serve = func(_ context.Context, v *Volume) (Server, error) {
				if v.working() != nil {
					t.Error("commands are served before the backend is set up")
				}
				return srv, nil
			}
		})
		s.stop() // before any start
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.Start(ctx); err != nil {
			t.Fatal(err)
		}
		cancel() // The context bounds only the start.
		pass(25 * time.Second)
		s.stop()
		s.stop()
		before := s.rows.row(t, alpha)
		pass(time.Minute)
		if diff := cmp.Diff(before, s.rows.row(t, alpha)); diff != "" || before.ReportCount != 3 || srv.closed != 1 {
			t.Errorf("%d reports, %d times closed; after Stop, the row changed (-before +after):\n%s", before.ReportCount, srv.closed, diff)
		}
	})
}

func TestStopReportsWhatWentWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &server{err: errors.New("still at it")}
		s := newSite(t, func(o *VolumeOptions) {
			o.Serve = func(context.Context, *Volume) (Server, error) { return srv, nil }
		})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(t.Context()); !errors.Is(err, srv.err) {
			t.Errorf("Stop gives %v", err)
		}
		synctest.Wait()
	})
}

// TestBackendThatCannotBeSetUp checks that the service runs without its backend: it
// answers, publishes it as down, sends no heartbeat, and retries.
func TestBackendThatCannotBeSetUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.array.set("setup", errors.New("no such array"))
		s.start()
		pass(30 * time.Second)
		if got := s.rows.row(t, alpha).ReportCount; got != 0 {
			t.Errorf("%d reports of a service that does not work", got)
		}
		if got := poolState(s.bus.last()); got != "down" {
			t.Errorf("backend_state %q, want down", got)
		}
		if !strings.Contains(s.buf(), "level=ERROR") || !strings.Contains(s.buf(), "no such array") {
			t.Errorf("the log does not say why:\n%s", s.buf())
		}
		wantKind(t, s.do("freeze"), cinder.KindUnavailable)

		s.array.set("setup", nil)
		pass(40 * time.Second)
		if got := s.rows.row(t, alpha).ReportCount; got == 0 {
			t.Error("no reports of a service that works by now")
		}
		if got := poolState(s.bus.last()); got != "up" {
			t.Errorf("backend_state %q, want up", got)
		}
	})
}

// TestFailoverGetsABackendToWork checks that a backend that cannot be set up on its
// site can be failed over.
func TestFailoverGetsABackendToWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.array.set("setup", errors.New("no such array"))
		s.start()
		if err := s.do("failover site-c"); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		s.want("disabled 'failed-over' failed-over on site-c")
		if got := s.rows.row(t, alpha).ReportCount; got != 1 {
			t.Errorf("%d reports since the failover, want 1", got)
		}
	})
}

func poolState(c cinder.Capabilities) any {
	pools, _ := c.Values["pools"].([]any)
	pool, _ := pools[0].(map[string]any)
	return pool["backend_state"]
}

func TestCapabilitiesArePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t).start()
		both := []string{"update " + alpha, "notify " + alpha}
		wantSaid := func(when string, want []string) {
			t.Helper()
			if diff := cmp.Diff(want, s.bus.take()); diff != "" {
				t.Errorf("said %s (-want +got):\n%s", when, diff)
			}
		}
		wantSaid("at the start", both)
		pass(59 * time.Second)
		wantSaid("before the interval is over", nil)
		pass(time.Second)
		wantSaid("after it", both)
		if err := s.PublishCapabilities(t.Context()); err != nil {
			t.Error(err)
		}
		wantSaid("when asked", both)
		c := s.bus.last()
		if c.Service != "volume" || c.Host != alpha || c.Cluster != "" || !c.Time.Equal(time.Now()) || c.Time.Location() != time.UTC {
			t.Errorf("capabilities of %s %s at %v", c.Service, c.Host, c.Time)
		}

		s.array.set("stats", errors.New("no answer"))
		if err := s.PublishCapabilities(t.Context()); err != nil {
			t.Error(err)
		}
		if got := poolState(s.bus.last()); got != "down" || s.bus.last().Values["volume_backend_name"] != "alpha" {
			t.Errorf("a backend without an answer is published as %v", s.bus.last().Values)
		}
		s.bus.setErr(cinder.Errorf(cinder.KindUndeliverable, "no scheduler"))
		if err := s.PublishCapabilities(t.Context()); err != nil {
			t.Errorf("that there is no scheduler gives %v", err)
		}
		s.bus.setErr(cinder.Errorf(cinder.KindUnavailable, "no bus"))
		wantKind(t, s.PublishCapabilities(t.Context()), cinder.KindUnavailable)
		pass(time.Minute)
		if !strings.Contains(s.buf(), "no bus") {
			t.Errorf("the log does not say that nobody could be told:\n%s", s.buf())
		}
	})
}

func TestReplicationGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t).start()
		pass(65 * time.Second)
		if got := s.array.replicated(); got != 3 {
			t.Errorf("%d rounds in 65 s, want one every 20 s", got)
		}
		s.array.set("replicate", errors.New("site-b is gone"))
		pass(20 * time.Second)
		if !strings.Contains(s.buf(), "site-b is gone") {
			t.Errorf("the log does not say that replication fails:\n%s", s.buf())
		}
	})
}
