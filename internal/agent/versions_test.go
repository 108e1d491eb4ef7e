package agent_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stoker/internal/agent"
	"stoker/internal/cinder"
	"stoker/internal/telemetry"
)

// TestRowsSpeakCindersVersions checks that our rows have the versions of Cinder 26 to
// 29: an unknown object version would stop cinder-api, and an older RPC version would
// make it speak that to its own services.
func TestRowsSpeakCindersVersions(t *testing.T) {
	raw, err := os.ReadFile("testdata/cinder_versions.json")
	if err != nil {
		t.Fatal(err)
	}
	var known struct {
		RPC     map[string]string
		Objects []string
	}
	if err := json.Unmarshal(raw, &known); err != nil {
		t.Fatal(err)
	}

	db := open(t)
	newAlpha(t, db, filepath.Join(t.TempDir(), "alpha"), "mycl@alpha")
	o := agent.Options{
		Host: "host1", Zone: "nova", Store: db, Bus: noBus{},
		Loggers:        telemetry.NewLoggers(telemetry.NewHandler(io.Discard, telemetry.Text), cinder.LogDebug),
		ReportInterval: time.Minute, DownTime: time.Minute,
	}
	for _, s := range []interface {
		Start(context.Context) error
		Stop(context.Context) error
	}{
		agent.NewScheduler(agent.SchedulerOptions{Options: o}),
		agent.NewBackup(agent.BackupOptions{Options: o, StatsInterval: time.Minute}),
		agent.NewFleet(agent.FleetOptions{Size: 2, Store: db, Log: slog.New(slog.DiscardHandler), ReportInterval: time.Minute}),
	} {
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}

	view, err := db.View(t.Context(), cinder.ServiceQuery{})
	if err != nil || len(view.Services) != 5 {
		t.Fatalf("%d services, %v", len(view.Services), err)
	}
	newest := known.Objects[len(known.Objects)-1]
	for _, row := range view.Services {
		if want := known.RPC[row.Binary]; want == "" || row.RPCVersion != want {
			t.Errorf("%s on %s speaks %q, Cinder's %q", row.Binary, row.Host, row.RPCVersion, want)
		}
		if row.ObjectVersion != newest {
			t.Errorf("%s on %s has objects of version %q; Cinder knows %q, newest last", row.Binary, row.Host, row.ObjectVersion, known.Objects)
		}
	}
}
