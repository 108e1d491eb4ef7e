package agent

import (
	"testing"
	"testing/synctest"

	"stoker/internal/cinder"
)

// TestFailoverThatDoesNotCome checks that a marked failover whose command never comes,
// because its sender died or it expired in the queue of a hung service, does not stay
// open.
func TestFailoverThatDoesNotCome(t *testing.T) {
	const over = "disabled 'failed-over' failed-over on site-b"
	for name, tt := range map[string]struct {
		before  []string // commands
		journal bool     // has an entry
		want    string
	}{
		"a failover":                 {nil, true, "enabled enabled"},
		"a failover by another API":  {nil, false, "enabled enabled"},
		"a way back":                 {[]string{"failover site-b"}, true, over},
		"a way back by another API":  {[]string{"failover site-b"}, false, over},
		"after one that failed":      {[]string{"fail failover", "failover site-b"}, true, "disabled failover-error"},
		"after one that was refused": {[]string{"failover site-b", "failover nowhere"}, true, over},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t).start()
				for _, word := range tt.before {
					_ = s.do(word) // some are expected to fail
				}
				s.want(tt.want)
				was := s.array.is()
				s.announce(t, tt.journal)
				pass(s.vo.FailoverExpiry)
				if got := s.rows.row(t, alpha).ReplicationStatus; got != cinder.ReplicationFailingOver {
					t.Errorf("%s while the command may still come", got)
				}
				pass(2 * s.o.ReportInterval)
				s.want(tt.want)
				wantKind(t, s.Failover(t.Context(), new("site-c")), cinder.KindUnavailable) // it comes after all
				s.want(tt.want)
				if is := s.array.is(); is != was {
					t.Errorf("the backend is %+v, want %+v", is, was)
				}
			})
		})
	}
}

// announce marks a failover and adds its journal entry, as a sender does.
func (s *site) announce(t *testing.T, journal bool) {
	t.Helper()
	row := s.rows.row(t, alpha)
	s.rows.edit(t, alpha, func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationFailingOver })
	if !journal {
		return
	}
	s.rows.set(func(r *rows) {
		r.open = []cinder.Operation{
			{Kind: cinder.OpFreeze, State: cinder.OpMonitoring, Before: cinder.Rows{Services: []cinder.ServiceState{{Binary: row.Binary, Host: alpha}}}},
			{Kind: cinder.OpFailover, State: cinder.OpOpen, StartedAt: now(), Before: cinder.Rows{
				Services: []cinder.ServiceState{{Binary: row.Binary, Host: alpha, ReplicationStatus: row.ReplicationStatus}},
			}},
		}
	})
}

// TestFailoverThatIsAwaited checks that the wait starts again with each failover, and
// that a slow failover is not overdue. In a cluster another member may be failing over.
func TestFailoverThatIsAwaited(t *testing.T) {
	for name, tt := range map[string]struct {
		cluster string
		happens func(t *testing.T, s *site)
		want    string
	}{
		"another one is marked, after one that came": {happens: func(t *testing.T, s *site) {
			t.Helper()
			pass(s.vo.FailoverExpiry - s.o.ReportInterval)
			if err := s.Failover(t.Context(), new("site-b")); err != nil {
				t.Fatal(err)
			}
			s.announce(t, false)
			pass(s.vo.FailoverExpiry)
		}, want: "disabled 'failed-over' failing-over on site-b"},
		"others are marked, as fast as they are undone": {happens: func(t *testing.T, s *site) {
			t.Helper()
			for range 10 {
				pass(s.vo.FailoverExpiry / 2)
				s.want("enabled failing-over")
				s.rows.edit(t, alpha, func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationEnabled })
				s.announce(t, true)
			}
		}, want: "enabled failing-over"},
		"in a cluster": {cluster: cluster, happens: func(t *testing.T, s *site) {
			t.Helper()
			pass(10 * s.vo.FailoverExpiry)
		}, want: "enabled failing-over"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, func(o *VolumeOptions) { o.Cluster = tt.cluster }).start()
				s.announce(t, true)
				tt.happens(t, s)
				s.want(tt.want)
			})
		})
	}
	t.Run("it takes long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t)
			s.array.hold = make(chan struct{})
			s.start()
			ended := make(chan error)
			go func() { ended <- s.do("failover site-b") }()
			pass(10 * s.vo.FailoverExpiry)
			s.want("enabled failing-over")
			close(s.array.hold)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			s.want("disabled 'failed-over' failed-over on site-b")
		})
	})
}
