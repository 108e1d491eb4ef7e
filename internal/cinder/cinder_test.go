package cinder_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
)

func TestUp(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		s    cinder.Service
		want bool
	}{
		{"just beaten", cinder.Service{UpdatedAt: now}, true},
		{"at the last moment", cinder.Service{UpdatedAt: now.Add(-time.Minute)}, true},
		{"too long ago", cinder.Service{UpdatedAt: now.Add(-time.Minute - 1)}, false},
		{"never, but new", cinder.Service{CreatedAt: now.Add(-time.Second)}, true},
		{"never, and old", cinder.Service{CreatedAt: now.Add(-time.Hour)}, false},
		{"a clock that is ahead", cinder.Service{UpdatedAt: now.Add(time.Minute)}, true},
		{"a clock that is far ahead", cinder.Service{UpdatedAt: now.Add(time.Hour)}, false},
		{"a row without times", cinder.Service{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.s.Up(now, time.Minute); got != tt.want {
				t.Errorf("up %v, want %v", got, tt.want)
			}
		})
	}
}

func TestQueriesOfServices(t *testing.T) {
	s := cinder.Service{Host: "host1@alpha", Binary: cinder.BinaryVolume, Cluster: "mycl@alpha"}
	tests := []struct {
		name string
		q    cinder.ServiceQuery
		want bool
	}{
		{"all", cinder.ServiceQuery{}, true},
		{"its host", cinder.ServiceQuery{Host: new("host1")}, true},
		{"its backend", cinder.ServiceQuery{Host: new("host1@alpha")}, true},
		{"part of its host", cinder.ServiceQuery{Host: new("host")}, false},
		{"its host and more", cinder.ServiceQuery{Host: new("host1@alpha#pool")}, false},
		{"another case", cinder.ServiceQuery{Host: new("HOST1")}, false},
		{"no host", cinder.ServiceQuery{Host: new("")}, false},
		{"its cluster", cinder.ServiceQuery{Cluster: new("mycl@alpha")}, true},
		{"its cluster on all backends", cinder.ServiceQuery{Cluster: new("mycl")}, true},
		{"another binary", cinder.ServiceQuery{Host: new("host1"), Binary: new(cinder.BinaryBackup)}, false},
		{"binary and host", cinder.ServiceQuery{Host: new("host1"), Binary: new(cinder.BinaryVolume)}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.q.Matches(&s); got != tt.want {
				t.Errorf("matches %v, want %v", got, tt.want)
			}
		})
	}
}

func TestQueriesOfClusters(t *testing.T) {
	c := cinder.Cluster{Name: "mycl@alpha", Binary: cinder.BinaryVolume, Hosts: 2, DownHosts: 1, ActiveBackendID: new("site-b"), Frozen: true}
	for name, tt := range map[string]struct {
		q    cinder.ClusterQuery
		want bool
	}{
		"all":            {cinder.ClusterQuery{}, true},
		"its name":       {cinder.ClusterQuery{Name: new("mycl@alpha")}, true},
		"no backend":     {cinder.ClusterQuery{Name: new("mycl")}, true},
		"part of a name": {cinder.ClusterQuery{Name: new("my")}, false},
		"up":             {cinder.ClusterQuery{Up: new(true)}, true},
		"down":           {cinder.ClusterQuery{Up: new(false)}, false},
		"hosts":          {cinder.ClusterQuery{Hosts: new(2), DownHosts: new(1)}, true},
		"other hosts":    {cinder.ClusterQuery{Hosts: new(3)}, false},
		"frozen":         {cinder.ClusterQuery{Frozen: new(true), Disabled: new(false)}, true},
		"active":         {cinder.ClusterQuery{ActiveBackendID: new("site-b")}, true},
		"another active": {cinder.ClusterQuery{ActiveBackendID: new("site-c")}, false},
	} {
		if got := tt.q.Matches(&c); got != tt.want {
			t.Errorf("%s: matches %v, want %v", name, got, tt.want)
		}
	}
	c.ActiveBackendID = nil
	if (cinder.ClusterQuery{ActiveBackendID: new("")}).Matches(&c) {
		t.Error("an empty active backend is not none")
	}
}

func TestQueueHost(t *testing.T) {
	alone, member := cinder.Service{Host: "h@b"}, cinder.Service{Host: "h@b", Cluster: "c@b"}
	if alone.QueueHost() != "h@b" || member.QueueHost() != "c@b" {
		t.Errorf("queues of %q and %q, want h@b and c@b", alone.QueueHost(), member.QueueHost())
	}
}

func TestLogLevels(t *testing.T) {
	for in, want := range map[string]cinder.LogLevel{"debug": "DEBUG", "Info": "INFO", "WARNING": "WARNING", "eRRoR": "ERROR"} {
		if got, err := cinder.ParseLogLevel(in); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "WARN", "critical", " INFO", "10"} {
		_, err := cinder.ParseLogLevel(in)
		if want := "Invalid input received: " + in + " is not a valid log level."; cinder.KindOf(err) != cinder.KindInvalid || cinder.Message(err) != want {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

// TestMessagesForCallers checks that internal errors are never sent to a caller,
// however they are wrapped.
func TestMessagesForCallers(t *testing.T) {
	cause := errors.New("no such table")
	tests := []struct {
		name string
		err  error
		kind cinder.Kind
		msg  string
	}{
		{"of the domain", cinder.Errorf(cinder.KindNotFound, "No service %s.", "x"), cinder.KindNotFound, "No service x."},
		{"with context", fmt.Errorf("freeze: %w", cinder.Errorf(cinder.KindConflict, "Busy.")), cinder.KindConflict, "Busy."},
		{"with a cause", cinder.Wrap(cinder.KindUnavailable, cause, "Away."), cinder.KindUnavailable, "Away."},
		{"somebody else's", cause, cinder.KindInternal, ""},
		{"internal", cinder.Wrap(cinder.KindInternal, cause, "at row 5"), cinder.KindInternal, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if kind, msg := cinder.KindOf(tt.err), cinder.Message(tt.err); kind != tt.kind || msg != tt.msg {
				t.Errorf("%v %q, want %v %q", kind, msg, tt.kind, tt.msg)
			}
		})
	}
	if err := cinder.Wrap(cinder.KindUnavailable, cause, "Away."); !errors.Is(err, cause) || err.Error() != "Away: no such table" {
		t.Errorf("the log reads %q", err)
	}
	for k := cinder.KindInternal; k <= cinder.KindNotSupported; k++ {
		if name := k.String(); strings.HasPrefix(name, "kind ") {
			t.Errorf("%s has no name", name)
		}
	}
}
