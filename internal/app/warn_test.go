package app_test

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/app"
	"stoker/internal/client"
	"stoker/internal/config"
)

// A process whose bus ends with it says so, unless there is nobody else to reach.
func TestABusThatReachesNobody(t *testing.T) {
	const word = "reaches no other process"
	alone := start(t, standalone(t, t.TempDir()))
	_, said := alone.health(t)
	if log := alone.logs.String(); said["bus"] != "OK/" || strings.Contains(log, word) {
		t.Errorf("a standalone process says %q of its bus, and logs\n%s", said["bus"], log)
	}
	o := app.Options{Config: standalone(t, t.TempDir()).Config, API: true, Sync: true}
	s := start(t, o)
	status, said := s.health(t)
	want := map[string]string{"database": "OK/", "bus": "OK/inside this process: no command gets to a service of another", "policy": "OK/"}
	if diff := cmp.Diff(want, said); status != 200 || diff != "" {
		t.Errorf("health %d (-want +got):\n%s", status, diff)
	}
	if log := s.logs.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, word) {
		t.Errorf("the log does not warn:\n%s", log)
	}
}

// Heartbeats that come no more often than service_down_time do not keep a service
// from starting: it waits longer for others, as Cinder does, and says so.
func TestHeartbeatsAsRareAsTheDownTime(t *testing.T) {
	o := app.Options{Config: config.Default(), Scheduler: true, Sync: true}
	o.Config.Database = config.URL("sqlite:///" + filepath.Join(t.TempDir(), "x.db"))
	o.Config.ReportInterval, o.Config.DownTime = 60*time.Second, 60*time.Second
	logs := &syncBuffer{}
	o.Log = logs
	a, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if got, want := a.DownTime(), 150*time.Second; got != want {
		t.Errorf("the scheduler takes %v for service_down_time, want %v", got, want)
	}
	if log := logs.String(); !strings.Contains(log, "services take 150 as service_down_time") {
		t.Errorf("the log does not warn:\n%s", log)
	}
}

// The row of a backend's service has the backend's own host and zone, and its
// commands find it by them.
func TestABackendWithAHostAndAZone(t *testing.T) {
	o := standalone(t, t.TempDir())
	o.Config.Backends = []config.Backend{{Section: "a", Name: "a", Host: "shared", Zone: "z2"}, {Section: "b", Name: "b"}}
	o.Volumes = app.VolumeServices(o.Config)
	s := start(t, o)
	got := map[string]string{}
	services, err := s.Services(t.Context(), client.ServiceFilter{Binary: "cinder-volume"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range services {
		got[row.Host] = row.Zone
	}
	if diff := cmp.Diff(map[string]string{"shared@a": "z2", "stoker@b": "nova"}, got); diff != "" {
		t.Errorf("zones (-want +got):\n%s", diff)
	}
	if _, err := s.Freeze(t.Context(), client.Target{Host: "shared@a"}); err != nil {
		t.Error(err)
	}
}

// A project may be called what project_id_regex says.
func TestProjectsOfOtherNames(t *testing.T) {
	o := standalone(t, t.TempDir())
	o.Config.ProjectRegex, o.Log = "[A-Za-z_]+", io.Discard
	s, err := app.New(t.Context(), o) // openapi.yaml, to which start holds answers, knows Keystone's own ids
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	for path, want := range map[string]int{"Acme_Inc/os-services": 200, "os-services": 200, "acme-1/os-services": 404} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/v3/"+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Auth-Token", "admin:Acme_Inc")
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
}
