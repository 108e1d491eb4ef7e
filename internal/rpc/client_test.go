package rpc_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/internal/rpc"
)

func alpha() cinder.Service {
	return cinder.Service{Binary: cinder.BinaryVolume, Host: "host1@alpha", RPCVersion: cinder.VolumeRPCVersion}
}

func member(host string) cinder.Service {
	return cinder.Service{Binary: cinder.BinaryVolume, Host: host, Cluster: "mycl@alpha", RPCVersion: cinder.VolumeRPCVersion}
}

func of(binary string) cinder.Service {
	versions := map[string]string{
		cinder.BinaryVolume: cinder.VolumeRPCVersion, cinder.BinaryScheduler: cinder.SchedulerRPCVersion, cinder.BinaryBackup: cinder.BackupRPCVersion,
	}
	return cinder.Service{Binary: binary, Host: "host1", RPCVersion: versions[binary]}
}

// serveVolume serves a volume service that records its commands.
func (b bus) serveVolume(t *testing.T, host, cluster string) *recorder {
	t.Helper()
	r := newRecorder()
	s, err := rpc.ServeVolume(t.Context(), b.Transport, host, cluster, r, b.log)
	closed(t, s, err)
	return r
}

func (b bus) serveScheduler(t *testing.T) *recorder {
	t.Helper()
	r := newRecorder()
	s, err := rpc.ServeScheduler(t.Context(), b.Transport, "host1", r, b.log)
	closed(t, s, err)
	return r
}

func (b bus) serveBackup(t *testing.T) *recorder {
	t.Helper()
	r := newRecorder()
	s, err := rpc.ServeBackup(t.Context(), b.Transport, "host1", r, b.log)
	closed(t, s, err)
	return r
}

func TestCommandsReachTheService(t *testing.T) {
	caller := cinder.Caller{
		UserID: "u1", ProjectID: "p1", Roles: []string{"admin", "member"}, IsAdmin: true,
		RequestID: "req-1", GlobalRequestID: "req-0", Address: "192.0.2.7",
	}
	old := alpha()
	old.RPCVersion = "3.0"
	unversioned := alpha()
	unversioned.RPCVersion = ""
	request := cinder.CleanupRequest{ServiceID: new(int64(7)), Until: time.Date(2026, 11, 24, 20, 59, 1, 0, time.UTC)}
	outcome := cinder.FailoverOutcome{
		ReplicationStatus: cinder.ReplicationFailedOver, ActiveBackendID: new("site-b"),
		Disabled: new(true), DisabledReason: new("failed-over"),
	}
	for _, tc := range []struct {
		name string
		do   func(context.Context, bus) error
		want command
	}{
		{"freeze", func(ctx context.Context, b bus) error { return b.Freeze(ctx, alpha()) }, command{Name: "freeze"}},
		{"thaw", func(ctx context.Context, b bus) error { return b.Thaw(ctx, alpha()) }, command{Name: "thaw"}},
		{"freeze of a member of a cluster", func(ctx context.Context, b bus) error { return b.Freeze(ctx, member("host1@alpha")) }, command{Name: "freeze"}},
		{"freeze of an old service", func(ctx context.Context, b bus) error { return b.Freeze(ctx, old) }, command{Name: "freeze"}},
		{
			"failover", func(ctx context.Context, b bus) error { return b.Failover(ctx, alpha(), new("site-b")) },
			command{Name: "failover", Arg: new("site-b")},
		},
		{
			"failover to any site", func(ctx context.Context, b bus) error { return b.Failover(ctx, alpha(), nil) },
			command{Name: "failover", Arg: (*string)(nil)},
		},
		{
			"failover of an old service", func(ctx context.Context, b bus) error { return b.Failover(ctx, old, new("site-b")) },
			command{Name: "failover", Arg: new("site-b")},
		},
		{
			"failover of one that does not say how old it is", func(ctx context.Context, b bus) error { return b.Failover(ctx, unversioned, new("site-b")) },
			command{Name: "failover", Arg: new("site-b")},
		},
		{
			"cleanup", func(ctx context.Context, b bus) error { return b.Cleanup(ctx, member("host1@alpha"), request) },
			command{Name: "cleanup", Arg: request},
		},
		{
			"failover completed", func(ctx context.Context, b bus) error { return b.FailoverCompleted(ctx, "mycl@alpha", outcome) },
			command{Name: "failover completed", Arg: outcome},
		},
		{
			"failover completed, status alone",
			func(ctx context.Context, b bus) error {
				return b.FailoverCompleted(ctx, "mycl@alpha", cinder.FailoverOutcome{ReplicationStatus: cinder.ReplicationFailoverError})
			},
			command{Name: "failover completed", Arg: cinder.FailoverOutcome{ReplicationStatus: cinder.ReplicationFailoverError}},
		},
		{"publish", func(ctx context.Context, b bus) error { return b.PublishServiceCapabilities(ctx) }, command{Name: "publish"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			service := b.serveVolume(t, "host1@alpha", "mycl@alpha")
			if err := tc.do(cinder.WithCaller(t.Context(), caller), b); err != nil {
				t.Fatal(err)
			}
			tc.want.Caller = caller
			if diff := cmp.Diff(tc.want, service.next(t)); diff != "" {
				t.Errorf("what reached the service (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCapabilitiesReachTheScheduler(t *testing.T) {
	b := newBus(t)
	scheduler, backup := b.serveScheduler(t), b.serveBackup(t)
	caps := cinder.Capabilities{
		Service: "volume", Host: "nodea@alpha", Cluster: "mycl@alpha", Values: map[string]any{"vendor_name": "x"},
		Time: time.Date(2026, 11, 23, 8, 52, 15, 359484000, time.UTC),
	}
	if err := b.UpdateServiceCapabilities(t.Context(), caps); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(caps, scheduler.next(t).Arg); diff != "" {
		t.Errorf("update (-sent +received):\n%s", diff)
	}
	if err := b.NotifyServiceCapabilities(t.Context(), caps); err != nil {
		t.Fatal(err)
	}
	caps.Host, caps.Cluster = "mycl@alpha", "" // all that the message says
	if diff := cmp.Diff(caps, scheduler.next(t).Arg); diff != "" {
		t.Errorf("notify (-sent +received):\n%s", diff)
	}
	if err := b.PublishServiceCapabilities(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := backup.next(t).Name; got != "publish" {
		t.Errorf("the backup service was told to %s, want publish", got)
	}
}

func TestNobodyHearsOfCapabilities(t *testing.T) {
	b := newBus(t)
	for what, err := range map[string]error{
		"update":    b.UpdateServiceCapabilities(t.Context(), cinder.Capabilities{Service: "volume", Host: "host1@alpha"}),
		"notify":    b.NotifyServiceCapabilities(t.Context(), cinder.Capabilities{Service: "volume", Host: "host1@alpha"}),
		"publish":   b.PublishServiceCapabilities(t.Context()),
		"completed": b.FailoverCompleted(t.Context(), "mycl@alpha", cinder.FailoverOutcome{}),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestPools(t *testing.T) {
	b := newBus(t)
	b.serveScheduler(t)
	got, err := b.Pools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []cinder.Pool{
		{Name: "host1@alpha#alpha", BackendState: "up"},
		{Name: "host1@beta#beta", BackendState: "down"},
		{Name: "host1@gamma#gamma"}, // its state was not a state
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	b := newBus(t)
	service := b.serveVolume(t, "host1@alpha", "")
	service.fails = cinder.Errorf(cinder.KindConflict, "The array is being rebuilt.")
	for what, err := range map[string]error{"freeze": b.Freeze(t.Context(), alpha()), "thaw": b.Thaw(t.Context(), alpha())} {
		if got := cinder.Message(err); cinder.KindOf(err) != cinder.KindConflict || got != "The array is being rebuilt." {
			t.Errorf("%s: got %s error %q", what, cinder.KindOf(err), got)
		}
	}
}

// respond replies to every call to a destination, like a service in Python.
func (b bus) respond(t *testing.T, at oslo.Destination, reply oslo.Reply) {
	t.Helper()
	_, err := b.Listen(t.Context(), []oslo.Destination{at}, func(ctx context.Context, m oslo.Message) {
		r, err := oslo.DecodeRequest(m.Body)
		if err != nil {
			t.Errorf("a request: %v", err)
		}
		reply.MsgID, reply.Ending = r.MsgID, true
		body, err := oslo.EncodeReply(reply)
		if err != nil {
			t.Errorf("a reply: %v", err)
		}
		if err := b.Send(ctx, oslo.ToReplies(r.ReplyTo), oslo.Message{Body: body}); err != nil {
			t.Errorf("reply: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnswersOfOtherServices(t *testing.T) {
	volume := oslo.ToServer("cinder-volume.host1@alpha", "host1")
	thaw := func(ctx context.Context, b bus) error { return b.Thaw(ctx, alpha()) }
	levels := func(ctx context.Context, b bus) error { _, err := b.LogLevels(ctx, alpha(), ""); return err }
	pools := func(ctx context.Context, b bus) error { _, err := b.Pools(ctx); return err }
	for _, tc := range []struct {
		name  string
		at    oslo.Destination
		do    func(context.Context, bus) error
		reply oslo.Reply
		kind  cinder.Kind
		words string
	}{
		{"true", volume, thaw, oslo.Reply{Result: []byte("true")}, 0, ""},
		{
			"false without words", volume, thaw,
			oslo.Reply{Result: []byte("false")},
			cinder.KindConflict, "Backend reported error during thaw_host operation.",
		},
		{
			"null", volume, func(ctx context.Context, b bus) error { return b.Freeze(ctx, alpha()) },
			oslo.Reply{},
			cinder.KindConflict, "Backend reported error during freeze_host operation.",
		},
		{
			"an exception", volume, thaw,
			oslo.Reply{Failure: &oslo.Failure{Class: "ValueError", Module: "builtins", Message: "nope", Trace: []string{"Traceback (most recent call last):\n"}}},
			cinder.KindRemote, "nope",
		},
		{
			"too old for the question", volume, levels,
			oslo.Reply{Failure: &oslo.Failure{Class: "UnsupportedVersion", Module: "oslo_messaging.rpc.dispatcher", Message: "no"}},
			cinder.KindNotSupported, "no",
		},
		{"no list of levels", volume, levels, oslo.Reply{Result: []byte("[]")}, cinder.KindRemote, "The service sent an answer that cannot be read."},
		{"no levels", volume, levels, oslo.Reply{}, cinder.KindRemote, "The service sent an answer that cannot be read."},
		{"no list of pools", oslo.ToAny("cinder-scheduler"), pools, oslo.Reply{Result: []byte("{}")}, cinder.KindRemote, "The service sent an answer that cannot be read."},
		{"no pools", oslo.ToAny("cinder-scheduler"), pools, oslo.Reply{}, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			b.respond(t, tc.at, tc.reply)
			err := tc.do(t.Context(), b)
			if tc.words == "" {
				if err != nil {
					t.Errorf("got error %v", err)
				}
				return
			}
			if cinder.KindOf(err) != tc.kind || cinder.Message(err) != tc.words {
				t.Errorf("got %s error %q, want %s error %q", cinder.KindOf(err), cinder.Message(err), tc.kind, tc.words)
			}
		})
	}
}

// everything returns every call and cast of a Client.
func everything() map[string]func(context.Context, bus) error {
	return map[string]func(context.Context, bus) error{
		"freeze":   func(ctx context.Context, b bus) error { return b.Freeze(ctx, alpha()) },
		"thaw":     func(ctx context.Context, b bus) error { return b.Thaw(ctx, alpha()) },
		"failover": func(ctx context.Context, b bus) error { return b.Failover(ctx, alpha(), nil) },
		"pools":    func(ctx context.Context, b bus) error { _, err := b.Pools(ctx); return err },
		"get-log": func(ctx context.Context, b bus) error {
			_, err := b.LogLevels(ctx, of(cinder.BinaryBackup), "")
			return err
		},
		"set-log": func(ctx context.Context, b bus) error {
			return b.SetLogLevel(ctx, of(cinder.BinaryScheduler), "", cinder.LogInfo)
		},
	}
}

func TestNobodyListens(t *testing.T) {
	for name, do := range everything() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				start := time.Now()
				if err := do(t.Context(), b); cinder.KindOf(err) != cinder.KindUndeliverable {
					t.Errorf("got error %v, want one of kind %s", err, cinder.KindUndeliverable)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestHungService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		service := b.serveVolume(t, "host1@alpha", "")
		service.hangs = make(chan struct{})
		start := time.Now()
		if err := b.Freeze(t.Context(), alpha()); cinder.KindOf(err) != cinder.KindTimeout {
			t.Errorf("freeze: got error %v, want one of kind %s", err, cinder.KindTimeout)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("freeze took %s, want the response timeout", took)
		}
		if err := b.Failover(t.Context(), alpha(), nil); err != nil {
			t.Errorf("a failover is delivered, not waited for: %v", err)
		}
		close(service.hangs)
	})
}

// TestCommandsExpire checks that a failover that waited too long for a hung process is
// not carried out.
func TestCommandsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		wake := make(chan struct{})
		var methods []string
		_, err := b.Listen(t.Context(), []oslo.Destination{oslo.ToServer("cinder-volume.host1@alpha", "host1")},
			func(_ context.Context, m oslo.Message) {
				r, err := oslo.DecodeRequest(m.Body)
				if err != nil {
					t.Error(err)
				}
				methods = append(methods, r.Method)
				<-wake
			})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := b.Failover(t.Context(), alpha(), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.SetLogLevel(t.Context(), alpha(), "", cinder.LogDebug); err != nil {
			t.Fatal(err)
		}
		<-time.After(30 * time.Second)
		close(wake)
		synctest.Wait()
		if diff := cmp.Diff([]string{"failover"}, methods); diff != "" {
			t.Errorf("what reached the service (-want +got):\n%s", diff)
		}
	})
}

func TestClosedBus(t *testing.T) {
	for name, do := range everything() {
		t.Run(name, func(t *testing.T) {
			b := newBus(t)
			if err := b.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := do(t.Context(), b); cinder.KindOf(err) != cinder.KindUnavailable {
				t.Errorf("got error %v, want one of kind %s", err, cinder.KindUnavailable)
			}
		})
	}
}

// TestCleanup checks that any scheduler cleans up for all, and that backup services do
// not.
func TestCleanup(t *testing.T) {
	b := newBus(t)
	scheduler := b.serveScheduler(t)
	gone := of(cinder.BinaryScheduler)
	gone.Host = "another"
	if err := b.Cleanup(t.Context(), gone, cinder.CleanupRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := scheduler.next(t).Name; got != "cleanup" {
		t.Errorf("the scheduler got %s", got)
	}
	for name, want := range map[string]cinder.Kind{cinder.BinaryBackup: cinder.KindNotSupported, cinder.BinaryVolume: cinder.KindUndeliverable} {
		if err := b.Cleanup(t.Context(), of(name), cinder.CleanupRequest{}); cinder.KindOf(err) != want {
			t.Errorf("%s: got error %v, want one of kind %s", name, err, want)
		}
	}
}
