package control_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// fleetOfLoggers is a site with services of every binary, two of them clustered.
func fleetOfLoggers(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	for _, svc := range []cinder.Service{
		{Host: "ctl1", Binary: cinder.BinaryScheduler},
		{Host: "bak1", Binary: cinder.BinaryBackup},
		{Host: "host1@alpha", Binary: cinder.BinaryVolume},
		{Host: "host1@beta", Binary: cinder.BinaryVolume},
		{Host: "nodea@alpha", Binary: cinder.BinaryVolume, Cluster: "mycl@alpha"},
		{Host: "nodeb@alpha", Binary: cinder.BinaryVolume, Cluster: "mycl@alpha"},
	} {
		svc.Topic, svc.RPCVersion, svc.ObjectVersion = svc.Binary, cinder.VolumeRPCVersion, "1.39"
		row, err := s.db.Register(t.Context(), svc)
		if err != nil {
			t.Fatal(err)
		}
		s.beat(row)
	}
	s.fleet.levels = map[string]map[string]cinder.LogLevel{}
	for _, h := range []string{"ctl1", "bak1", "host1@alpha", "host1@beta", "nodea@alpha", "nodeb@alpha"} {
		s.fleet.levels[h] = map[string]cinder.LogLevel{"stoker.agent": cinder.LogInfo}
	}
	s.fleet.mute = map[string]error{}
	return s
}

// What get-log's binary and server mean (doc/cinder/behaviour.md#log-levels).
func TestWhoIsAskedForLogLevels(t *testing.T) {
	tests := []struct {
		name string
		q    control.LogQuery
		want []string
	}{
		{"everybody", control.LogQuery{}, []string{"cinder-api ctl1", "cinder-scheduler ctl1", "cinder-backup bak1", "cinder-volume host1@alpha", "cinder-volume host1@beta", "cinder-volume nodea@alpha", "cinder-volume nodeb@alpha"}},
		{"a star too", control.LogQuery{Binary: "*", Server: "bak1"}, []string{"cinder-backup bak1"}},
		{"the API alone", control.LogQuery{Binary: cinder.BinaryAPI}, []string{"cinder-api ctl1"}},
		{"the API elsewhere", control.LogQuery{Binary: cinder.BinaryAPI, Server: "bak1"}, nil},
		{"the API's host", control.LogQuery{Server: "ctl1"}, []string{"cinder-api ctl1", "cinder-scheduler ctl1"}},
		{"all backends of a host", control.LogQuery{Server: "host1"}, []string{"cinder-volume host1@alpha", "cinder-volume host1@beta"}},
		{"one backend", control.LogQuery{Server: "host1@alpha"}, []string{"cinder-volume host1@alpha"}},
		{"part of a name", control.LogQuery{Server: "host"}, nil},
		{"a cluster", control.LogQuery{Server: "mycl"}, []string{"cinder-volume nodea@alpha", "cinder-volume nodeb@alpha"}},
		{"a cluster's backend", control.LogQuery{Server: "mycl@alpha"}, []string{"cinder-volume nodea@alpha", "cinder-volume nodeb@alpha"}},
		{"one binary", control.LogQuery{Binary: cinder.BinaryScheduler}, []string{"cinder-scheduler ctl1"}},
	}
	s := fleetOfLoggers(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer, err := s.LogLevels(t.Context(), tt.q)
			if err != nil || len(answer.Silent) > 0 {
				t.Fatalf("silent %v, error %v", answer.Silent, err)
			}
			var got []string
			for _, l := range answer.Levels {
				got = append(got, l.Binary+" "+l.Host)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Services that do not answer are named, the others are shown, and all are
// asked at once (G5).
func TestSilentServicesHarmNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fleetOfLoggers(t)
		s.fleet.mute["host1@alpha"] = errLate
		s.fleet.mute["host1@beta"] = errLate
		s.fleet.mute["bak1"] = cinder.Errorf(cinder.KindUndeliverable, "Nobody listens.")
		start := time.Now()
		answer, err := s.LogLevels(t.Context(), control.LogQuery{})
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %v, want 1s: that long two services are silent, which are asked at once", d)
		}
		if len(answer.Levels) != 4 {
			t.Errorf("%d answered, want 4: %+v", len(answer.Levels), answer.Levels)
		}
		want := []control.SilentService{
			{Host: "bak1", Binary: cinder.BinaryBackup, Why: "Nobody listens."},
			{Host: "host1@alpha", Binary: cinder.BinaryVolume, Why: "no answer"},
			{Host: "host1@beta", Binary: cinder.BinaryVolume, Why: "no answer"},
		}
		if diff := cmp.Diff(want, answer.Silent); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSetLogLevels(t *testing.T) {
	s := fleetOfLoggers(t)
	op, err := s.SetLogLevels(t.Context(), control.LogQuery{Server: "host1", Prefix: "stoker.b"}, cinder.LogDebug)
	if err != nil || op.State != cinder.OpDone || op.Outcome != "" {
		t.Fatalf("%+v, %v", op, err)
	}
	if want := []string{"set-log host1@alpha stoker.b=DEBUG", "set-log host1@beta stoker.b=DEBUG"}; !slices.Equal(s.fleet.sent, want) {
		t.Errorf("sent %v, want %v", s.fleet.sent, want)
	}
	if _, err := s.SetLogLevels(t.Context(), control.LogQuery{Binary: cinder.BinaryAPI, Prefix: "x"}, cinder.LogError); err != nil || !slices.Equal(s.logs.set, []string{"x=ERROR"}) {
		t.Errorf("own loggers: %v, %v", s.logs.set, err)
	}
	s.fleet.mute["host1@alpha"] = cinder.Errorf(cinder.KindUndeliverable, "Nobody listens.")
	op, err = s.SetLogLevels(t.Context(), control.LogQuery{Server: "host1"}, cinder.LogDebug)
	want := "not delivered to cinder-volume on host1@alpha: Nobody listens."
	if err != nil || op.State != cinder.OpDone || op.Outcome != want {
		t.Errorf("%s, outcome %q, %v, want %q", op.State, op.Outcome, err, want)
	}
	// What was sent to nobody is refused, and so is not done.
	op, err = s.SetLogLevels(t.Context(), control.LogQuery{Server: "host1@alpha"}, cinder.LogDebug)
	wantKind(t, err, cinder.KindUndeliverable)
	if op.State != cinder.OpRolledBack || op.Outcome != want {
		t.Errorf("%s, outcome %q, want undone, %q", op.State, op.Outcome, want)
	}
	s.fleet.mute["host1@beta"] = cinder.Errorf(cinder.KindNotSupported, "too old")
	op, err = s.SetLogLevels(t.Context(), control.LogQuery{Server: "host1"}, cinder.LogDebug)
	wantKind(t, err, cinder.KindNotSupported)
	if op.State != cinder.OpFailed {
		t.Errorf("a service is too old: %s, want failed", op.State)
	}
}

func TestBackendStates(t *testing.T) {
	s := newSite(t)
	s.fleet.pools = []cinder.Pool{
		{Name: "host1@alpha#p1", BackendState: "up"},
		{Name: "host1@alpha#p2", BackendState: "down"},
		{Name: "host1@beta#p"},
		{Name: "mycl@alpha#p", BackendState: "up"},
	}
	want := map[string]string{"host1@alpha": "down", "host1@beta": "up", "mycl@alpha": "up"}
	if diff := cmp.Diff(want, s.BackendStates(t.Context())); diff != "" {
		t.Error(diff)
	}
	s.fleet.poolErr = cinder.Errorf(cinder.KindUndeliverable, "no scheduler")
	if got := s.process("another").BackendStates(t.Context()); got != nil {
		t.Errorf("without a scheduler: %v, want none", got)
	}
}

// The scheduler is asked once a second at most, and again after each change of
// ours; a hung one makes one list in a second wait.
func TestTheSchedulerIsAskedSeldom(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.fleet.pools = []cinder.Pool{{Name: "host1@alpha#p", BackendState: "up"}}
	state := func() string { return s.BackendStates(t.Context())["host1@alpha"] }
	if got := state(); got != "up" {
		t.Fatalf("state %q, want up", got)
	}
	s.fleet.pools[0].BackendState = "down"
	if err := s.act("disable"); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != "down" {
		t.Errorf("after a change of ours: %q, want down: it was not asked again", got)
	}
	synctest.Test(t, func(t *testing.T) {
		c := s.process("fresh")
		c.BackendStates(t.Context())
		s.fleet.pools[0].BackendState = "up"
		time.Sleep(time.Second - time.Nanosecond) //nolint:forbidigo // Time in this bubble is ours.
		if got := c.BackendStates(t.Context())["host1@alpha"]; got != "down" {
			t.Errorf("within a second: %q: it was asked again", got)
		}
		time.Sleep(time.Nanosecond) //nolint:forbidigo // Time in this bubble is ours.
		if got := c.BackendStates(t.Context())["host1@alpha"]; got != "up" {
			t.Errorf("after a second: %q, want up", got)
		}
		s.fleet.poolErr = errLate
		time.Sleep(time.Second) //nolint:forbidigo // Time in this bubble is ours.
		began := time.Now()
		for range 5 {
			c.BackendStates(t.Context())
		}
		if d := time.Since(began); d != time.Second {
			t.Errorf("five lists waited %v for a hung scheduler, want 1s", d)
		}
	})
}

// A list never waits for the scheduler longer than the bound (G5).
func TestAHungSchedulerIsNotWaitedFor(t *testing.T) {
	s := newSite(t)
	s.fleet.poolErr = errLate
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if got := s.BackendStates(t.Context()); got != nil {
			t.Errorf("states %v, want none", got)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("waited %v, want 1s", d)
		}
	})
}

func TestClusters(t *testing.T) {
	s := newSite(t)
	s.volume("nodea@alpha", "mycl@alpha", cinder.ReplicationEnabled)
	s.volume("nodeb@alpha", "mycl@alpha", cinder.ReplicationEnabled)
	s.volume("nodea@beta", "mycl@beta", cinder.ReplicationDisabled)
	all, err := s.Clusters(t.Context(), cinder.ClusterQuery{})
	if err != nil || len(all) != 2 || all[0].Hosts != 2 || all[0].DownHosts != 0 || all[0].LastHeartbeat.IsZero() || !all[0].Up() {
		t.Fatalf("%+v, %v", all, err)
	}
	found, err := s.Clusters(t.Context(), cinder.ClusterQuery{Hosts: new(1), Up: new(true)})
	if err != nil || len(found) != 1 || found[0].Name != "mycl@beta" {
		t.Errorf("one host: %+v, %v", found, err)
	}
	cl, op, err := s.DisableCluster(t.Context(), "mycl@alpha", cinder.BinaryVolume, new("why"))
	if err != nil || !cl.Disabled || *cl.DisabledReason != "why" || cl.Hosts != 2 || op.State != cinder.OpDone {
		t.Errorf("disable: %+v, %+v, %v", cl, op, err)
	}
	cl, _, err = s.EnableCluster(t.Context(), "mycl@alpha", cinder.BinaryVolume)
	if err != nil || cl.Disabled || cl.DisabledReason != nil {
		t.Errorf("enable: %+v, %v", cl, err)
	}
	cl, op, err = s.DisableCluster(t.Context(), "mycl", cinder.BinaryVolume, nil)
	if err != nil || cl.Name != "mycl@alpha" || op.Cluster != "mycl@alpha" {
		t.Errorf("disable without a backend: %+v, %+v, %v", cl, op, err)
	}
	if cl, err = s.Cluster(t.Context(), "mycl@beta", cinder.BinaryVolume); err != nil || cl.Name != "mycl@beta" {
		t.Errorf("by its whole name: %+v, %v", cl, err)
	}
	_, _, err = s.EnableCluster(t.Context(), "nope", cinder.BinaryVolume)
	wantKind(t, err, cinder.KindNotFound)
	if got, want := cinder.Message(err), "Cluster {'binary': 'cinder-volume', 'name': 'nope'} could not be found."; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

// The dead are not asked, and counted as down.
func TestTheDead(t *testing.T) {
	s := fleetOfLoggers(t)
	answer, err := s.blind().LogLevels(t.Context(), control.LogQuery{Binary: cinder.BinaryVolume})
	if err != nil || len(answer.Levels)+len(answer.Silent) > 0 {
		t.Errorf("%+v, %v, want nobody asked", answer, err)
	}
	cl, err := s.blind().Cluster(t.Context(), "mycl@alpha", cinder.BinaryVolume)
	if err != nil || cl.Hosts != 2 || cl.DownHosts != 2 || cl.Up() {
		t.Errorf("%+v, %v, want both of its members down", cl, err)
	}
}

func TestNamesOfServices(t *testing.T) {
	s := newSite(t)
	s.volume("host1@alpha", "", cinder.ReplicationEnabled)
	s.volume("host1@beta", "", cinder.ReplicationEnabled)
	s.volume("host2@alpha", "", cinder.ReplicationEnabled)
	s.volume("host2", "", cinder.ReplicationEnabled)
	s.volume("host3@x", "", cinder.ReplicationEnabled)
	tests := []struct {
		name, host string
		kind       cinder.Kind
		hit        string
	}{
		{"one backend", "host1@alpha", 0, "host1@alpha"},
		{"several backends", "host1", cinder.KindInvalid, ""},
		{"the host itself before its backends", "host2", 0, "host2"},
		{"its only backend", "host3", 0, "host3@x"},
		{"nobody", "host4", cinder.KindNotFound, ""},
		{"another case", "HOST3@x", cinder.KindNotFound, ""},
		{"a wildcard", "host%", cinder.KindNotFound, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op, err := s.Disable(t.Context(), tt.host, cinder.BinaryVolume)
			if tt.hit == "" {
				wantKind(t, err, tt.kind)
				return
			}
			if err != nil || op.Host != tt.hit {
				t.Errorf("disabled %q, %v, want %q", op.Host, err, tt.hit)
			}
		})
	}
}
