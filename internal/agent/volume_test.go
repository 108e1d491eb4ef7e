package agent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
)

// do runs commands given as words, after marking the row as a sender does. It returns
// the error of the last one.
func (s *site) do(words ...string) (err error) {
	s.t.Helper()
	ctx := s.t.Context()
	host := s.row.Host
	mark := func(fn func(*cinder.Service)) { s.rows.edit(s.t, host, fn) }
	for _, word := range words {
		verb, arg, _ := strings.Cut(word, " ")
		switch verb {
		case "freeze":
			mark(func(r *cinder.Service) { r.Frozen = true })
			err = s.FreezeHost(ctx)
		case "thaw":
			mark(func(r *cinder.Service) { r.Frozen = false })
			err = s.ThawHost(ctx)
		case "failover":
			mark(func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationFailingOver })
			target := &arg
			if arg == "" {
				target = nil
			}
			err = s.Failover(ctx, target)
		case "disable":
			mark(func(r *cinder.Service) { r.Disabled, r.DisabledReason = true, &arg })
		case "enable":
			mark(func(r *cinder.Service) { r.Disabled = false })
		case "fail":
			s.array.set(arg, errors.New("the array is on fire"))
		case "refuse":
			s.array.set(arg, cinder.Errorf(cinder.KindConflict, "not today"))
		case "heal":
			s.array.set(arg, nil)
		default:
			s.t.Fatalf("no command %q", word)
		}
	}
	return err
}

// TestCommands checks what commands do to the service's own row, as recorded from
// Cinder (doc/cinder/behaviour.md#freeze-and-thaw), except where Cinder loses a cause.
func TestCommands(t *testing.T) {
	const fine = cinder.Kind(-1)
	tests := []struct {
		name string
		do   []string
		want string
		kind cinder.Kind // of the last command's error
	}{
		{"freeze", []string{"freeze"}, "disabled 'frozen' frozen enabled", fine},
		{"freeze twice", []string{"freeze", "freeze"}, "disabled 'frozen' frozen enabled", fine},
		{"thaw", []string{"freeze", "thaw"}, "enabled enabled", fine},
		{"freeze over an administrator's disable", []string{"disable maint", "freeze"}, "disabled 'frozen' frozen enabled", fine},
		{"freeze fails", []string{"disable maint", "fail freeze", "freeze"}, "disabled 'maint' frozen enabled", cinder.KindInternal},
		{"freeze is refused", []string{"refuse freeze", "freeze"}, "enabled frozen enabled", cinder.KindConflict},
		{"thaw is refused", []string{"freeze", "refuse thaw", "thaw"}, "disabled 'frozen' enabled", cinder.KindConflict},
		{"thaw fails", []string{"freeze", "fail thaw", "thaw"}, "disabled 'frozen' enabled", cinder.KindInternal},

		{"failover", []string{"failover site-c"}, "disabled 'failed-over' failed-over on site-c", fine},
		{"failover to the backend's choice", []string{"failover"}, "disabled 'failed-over' failed-over on site-b", fine},
		{"failover to another", []string{"failover", "failover site-c"}, "disabled 'failed-over' failed-over on site-c", fine},
		{"failback", []string{"failover", "failover default"}, "enabled enabled", fine},
		{"failback of one that was enabled meanwhile", []string{"failover", "enable", "failover default"}, "enabled enabled", fine},
		{"failover to nowhere", []string{"failover nowhere"}, "enabled enabled", cinder.KindInvalid},
		{"failover to nowhere while failed over", []string{"failover", "failover nowhere"}, "disabled 'failed-over' failed-over on site-b", cinder.KindInvalid},
		{"failover to nowhere while disabled", []string{"disable maint", "failover nowhere"}, "disabled 'maint' enabled", cinder.KindInvalid},
		{"failover is refused", []string{"refuse failover", "failover"}, "enabled enabled", cinder.KindConflict},
		{"failover fails", []string{"fail failover", "failover"}, "disabled failover-error", cinder.KindInternal},
		{"failover fails, and the reason stays", []string{"disable maint", "fail failover", "failover"}, "disabled 'maint' failover-error", cinder.KindInternal},
		{"failover fails while failed over", []string{"failover", "fail failover", "failover site-c"}, "disabled 'failed-over' failover-error on site-b", cinder.KindInternal},
		{"failback after that", []string{"failover", "fail failover", "failover site-c", "heal failover", "failover default"}, "enabled enabled", fine},

		{"freeze while failed over", []string{"failover", "freeze"}, "disabled 'frozen' frozen failed-over on site-b", fine},
		{"failover while frozen", []string{"freeze", "failover"}, "disabled 'failed-over' frozen failed-over on site-b", fine},
		{"failback while frozen", []string{"failover", "freeze", "failover default"}, "disabled 'frozen' frozen enabled", fine},
		{"failback while frozen, failover last", []string{"freeze", "failover", "failover default"}, "disabled 'frozen' frozen enabled", fine},
		{"thaw while failed over", []string{"freeze", "failover", "thaw"}, "disabled 'failed-over' failed-over on site-b", fine},
		{"thaw while failed over, freeze last", []string{"failover", "freeze", "thaw"}, "disabled 'failed-over' failed-over on site-b", fine},
		{"both ended", []string{"failover", "freeze", "thaw", "failover default"}, "enabled enabled", fine},
		{"thaw after a failover that failed", []string{"freeze", "fail failover", "failover", "thaw"}, "disabled failover-error", fine},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t).start()
				err := s.do(tt.do...)
				if tt.kind == fine && err != nil {
					t.Errorf("error %v", err)
				} else if tt.kind != fine {
					wantKind(t, err, tt.kind)
				}
				s.want(tt.want)
			})
		})
	}
}

// TestRefusalKeepsItsWords checks that the sender gets the backend's own message.
func TestRefusalKeepsItsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t).start()
		if got := cinder.Message(s.do("freeze", "refuse thaw", "thaw")); got != "not today" {
			t.Errorf("message %q, want the backend's words", got)
		}
	})
}

// TestCommandsDoNotLookLikeHeartbeats checks that commands change modified_at and not
// updated_at, which belongs to heartbeats.
func TestCommandsDoNotLookLikeHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(o *VolumeOptions) { o.ReportInterval = time.Hour }).start()
		before := s.rows.row(t, alpha)
		for _, command := range []string{"freeze", "thaw", "failover", "failover default", "fail failover", "failover"} {
			pass(time.Minute)
			if err := s.do(command); err != nil && command != "failover" {
				t.Fatal(err)
			}
			after := s.rows.row(t, alpha)
			modified := after.ModifiedAt.Equal(now())
			if !after.UpdatedAt.Equal(before.UpdatedAt) || after.ReportCount != before.ReportCount ||
				modified == strings.HasPrefix(command, "fail ") {
				t.Errorf("after %s: updated %v, modified %v; it is %v", command, after.UpdatedAt, after.ModifiedAt, now())
			}
		}
		s.rows.edit(t, alpha, func(r *cinder.Service) { r.ModifiedAt = time.Time{} })
		if err := s.do("heal failover", "failover nowhere"); cinder.KindOf(err) != cinder.KindInvalid {
			t.Fatal(err)
		}
		if got := s.rows.row(t, alpha).ModifiedAt; !got.IsZero() {
			t.Errorf("modified at %v by a failover that never began", got)
		}
	})
}

// TestFreezeThatCannotBeWrittenIsTakenBack checks that the backend is reverted when the
// row cannot be written.
func TestFreezeThatCannotBeWrittenIsTakenBack(t *testing.T) {
	for _, tt := range []struct {
		command string
		before  []string
		want    bool
	}{{"freeze", nil, false}, {"thaw", []string{"freeze"}, true}, {"freeze", []string{"freeze"}, true}} {
		t.Run(tt.command, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t).start()
				if err := s.do(tt.before...); err != nil {
					t.Fatal(err)
				}
				s.rows.setAway(errAway)
				wantKind(t, s.do(tt.command), cinder.KindUnavailable)
				if got := s.array.is().Frozen; got != tt.want {
					t.Errorf("the backend is frozen: %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestWritesThatLoseARace(t *testing.T) {
	tests := []struct {
		name      string
		conflicts int
		want      string
		fails     bool
	}{
		{"a few", saveAttempts - 1, "disabled 'frozen' frozen enabled", false},
		// Not KindConflict, which means a refusal by the backend.
		{"all", saveAttempts, "enabled frozen enabled", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t).start()
				s.rows.set(func(r *rows) { r.conflicts = tt.conflicts })
				err := s.do("freeze")
				if tt.fails {
					wantKind(t, err, cinder.KindUnavailable)
				} else if err != nil {
					t.Error(err)
				}
				s.want(tt.want)
			})
		})
	}
}

// TestOutcomeThatCannotBeWrittenIsOwed checks that an outcome is written later when the
// database was away.
func TestOutcomeThatCannotBeWrittenIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t).start()
		s.rows.edit(t, alpha, func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationFailingOver })
		s.rows.setAway(errAway)
		wantKind(t, s.Failover(t.Context(), new("site-c")), cinder.KindUnavailable)
		pass(time.Minute)
		s.rows.setAway(nil)
		s.want("enabled failing-over")
		pass(s.o.ReportInterval + time.Second)
		s.want("disabled 'failed-over' failed-over on site-c")
	})
}

// TestCommandsTakeTurns checks that commands run one after another, and that heartbeats
// do not wait for them.
func TestCommandsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.array.hold = make(chan struct{})
		s.start()
		failed := make(chan error, 2)
		go func() { failed <- s.do("failover site-b") }()
		synctest.Wait()
		s.rows.edit(t, alpha, func(r *cinder.Service) { r.Frozen = true })
		go func() { failed <- s.FreezeHost(t.Context()) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		wantKind(t, s.ThawHost(ctx), cinder.KindTimeout)
		if beats := s.rows.row(t, alpha).ReportCount; beats < 6 {
			t.Errorf("%d heartbeats in the minute of a failover", beats)
		}
		s.want("enabled frozen failing-over")
		close(s.array.hold)
		for range 2 {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
		s.want("disabled 'frozen' frozen failed-over on site-b")
		if diff := cmp.Diff([]string{"setup", "failover", "completed", "freeze"}, s.commands()); diff != "" {
			t.Errorf("the backend was told (-want +got):\n%s", diff)
		}
	})
}

// commands returns the backend's commands, without replication.
func (s *site) commands() []string {
	s.array.mu.Lock()
	defer s.array.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.array.did), func(c string) bool { return c == "replicate" })
}

// TestFailoverOutlivesItsCaller checks that a failover is concluded when its caller
// goes away.
func TestFailoverOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.array.hold = make(chan struct{})
		s.start()
		s.rows.edit(t, alpha, func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationFailingOver })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Failover(ctx, new("site-b")) }()
		synctest.Wait()
		cancel()
		if err := <-ended; err == nil {
			t.Error("a failover that was cut off reports no error")
		}
		s.want("disabled failover-error")
	})
}

// TestFailoverThatCameTooLate checks that a failover that its sender has given up is
// not carried out: others rely on the backend being where the row says.
func TestFailoverThatCameTooLate(t *testing.T) {
	for name, in := range map[string]string{"a service": "", "a cluster": cluster} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, func(o *VolumeOptions) { o.Cluster = in }).start()
				wantKind(t, s.Failover(t.Context(), new("site-b")), cinder.KindUnavailable)
				s.want("enabled enabled")
				if got := s.commands(); !slices.Equal(got, []string{"setup"}) {
					t.Errorf("the backend was told %q", got)
				}
				if in != "" { // the cluster's row counts as well
					s.rows.editCluster(func(c *cinder.Cluster) { c.ReplicationStatus = cinder.ReplicationFailingOver })
					if err := s.Failover(t.Context(), new("site-b")); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

func TestLogLevelsOfAService(t *testing.T) {
	s := newSite(t)
	s.o.Loggers.Logger("stoker.backend.mirror")
	s.SetLogLevel("stoker.agent", cinder.LogError)
	want := map[string]cinder.LogLevel{"stoker.agent": cinder.LogError, "stoker.backend.mirror": cinder.LogDebug}
	if diff := cmp.Diff(want, s.LogLevels("stoker")); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
	if got := s.LogLevels("stoker.b"); len(got) != 1 {
		t.Errorf("levels of a prefix: %v", got)
	}
	s.log.Error("heard")
	s.log.Warn("not heard")
	if got := s.buf(); !strings.Contains(got, "msg=heard") || strings.Contains(got, "not heard") {
		t.Errorf("log:\n%s", got)
	}
}

func (s *site) buf() string { return s.out.String() }
