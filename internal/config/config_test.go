package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/internal/config"
)

var ignoreOrigin = cmpopts.IgnoreUnexported(config.Config{})

// file writes a configuration file and returns its path.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadCinderConf(t *testing.T) {
	got, err := config.Load([]string{filepath.Join("testdata", "cinder.conf")}, []string{"OS_DEFAULT__OSAPI_VOLUME_LISTEN_PORT=18776", "PATH=/bin"})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Host: "ctl1", Zone: "nova", StatePath: "/srv/cinder", EnabledBackends: []string{"ceph-ssd", "mirror1"},
		ReportInterval: 5 * time.Second, DownTime: 25 * time.Second, PollInterval: time.Minute,
		TransportURL: "memory://", ResponseTimeout: time.Minute,
		Listen: "::1", ListenPort: 18776, AuthStrategy: config.AuthNoauthProject, Debug: true,
		Database:     "sqlite:////srv/cinder/cinder.db",
		PoolsTimeout: 250 * time.Millisecond, LogTimeout: 5 * time.Second, FailoverExpiry: time.Minute, FailoverDeadline: 30 * time.Minute,
		Backends: []config.Backend{
			{Section: "ceph-ssd", Name: "shared", ReplicationDevices: []config.ReplicationDevice{
				{BackendID: "site-b", Params: map[string]string{"conf": "/etc/ceph/b.conf", "secret": "hunter2"}},
				{BackendID: "site-c", Params: map[string]string{"conf": "/etc/ceph/c.conf"}},
			}},
			{Section: "mirror1", Name: "mirrors", MirrorRoot: "/srv/cinder/mirror1"},
		},
	}
	if diff := cmp.Diff(want, got, ignoreOrigin); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := got.ListenAddress(), "[::1]:18776"; got != want {
		t.Errorf("listens on %s, want %s", got, want)
	}

	unknown := strings.Join(got.Unknown(), "\n")
	for _, want := range []string{
		"testdata/cinder.conf:4: [DEFAULT] log_dir", "testdata/cinder.conf:23: [ceph-ssd] volume_driver",
		"testdata/cinder.conf:38: [keystone_authtoken] password", "testdata/cinder.conf:41: [oslo_messaging_notifications] transport_url",
	} {
		if !strings.Contains(unknown, want) {
			t.Errorf("unknown options lack %s:\n%s", want, unknown)
		}
	}
	for _, not := range []string{"] host", "volume_backend_name", "replication_device", "hunter2"} {
		if strings.Contains(unknown, not) {
			t.Errorf("unknown options have %s:\n%s", not, unknown)
		}
	}
}

func TestDefault(t *testing.T) {
	got := config.Default()
	if got.Host == "" {
		t.Error("no host")
	}
	got.Host = "h"
	want := config.Config{
		Host: "h", Zone: "nova", StatePath: "/var/lib/cinder",
		ReportInterval: 10 * time.Second, DownTime: time.Minute, PollInterval: time.Minute,
		TransportURL: "memory://", ResponseTimeout: time.Minute, Listen: "127.0.0.1", ListenPort: 8776, AuthStrategy: config.AuthKeystone,
		Database:     "sqlite:////var/lib/cinder/cinder.sqlite",
		PoolsTimeout: time.Second, LogTimeout: 5 * time.Second, FailoverExpiry: time.Minute, FailoverDeadline: time.Hour,
	}
	if diff := cmp.Diff(want, got, ignoreOrigin); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := got.Unknown(); len(got) != 0 {
		t.Errorf("unknown options %v", got)
	}
}

// What String prints is a file that means the same.
func TestStringLoads(t *testing.T) {
	before, err := config.Load([]string{filepath.Join("testdata", "cinder.conf")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	before.Backends[0].ReplicationDevices = []config.ReplicationDevice{
		{BackendID: "b", Params: map[string]string{}},
		{BackendID: "c", Params: map[string]string{}},
	}
	after, err := config.Load([]string{file(t, before.String())}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after, ignoreOrigin); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestSeveralFilesAndTheEnvironment(t *testing.T) {
	one := file(t, "[DEFAULT]\nauth_strategy=noauth\nhost=one\ncluster=one\nstorage_availability_zone=one\n")
	two := file(t, "[DEFAULT]\ncluster=two\nstorage_availability_zone=two\n")
	c, err := config.Load([]string{one, two}, []string{
		"OS_DEFAULT__STORAGE_AVAILABILITY_ZONE=env", "OS_DATABASE__CONNECTION=sqlite:////x/${host}.db",
		"OS_DEFAULT__ENABLED_BACKENDS=a", "OS_A__VOLUME_BACKEND_NAME=from env",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Host, c.Cluster, c.Zone, string(c.Database), c.Backends[0].Name}
	want := []string{"one", "two", "env", "sqlite:////x/one.db", "from env"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNoauth(t *testing.T) {
	for strategy, want := range map[string]bool{"noauth": true, "noauth_include_project_id": true, "keystone": false} {
		if got := (config.Config{AuthStrategy: strategy}).Noauth(); got != want {
			t.Errorf("%s: %v", strategy, got)
		}
	}
}

func TestLoadDatabase(t *testing.T) {
	got, err := config.LoadDatabase([]string{file(t, "[DEFAULT]\nreport_interval = never\n[database]\nconnection = sqlite:////x/y\n")}, nil)
	if err != nil || got != "sqlite:////x/y" {
		t.Errorf("got %q, %v", string(got), err)
	}
	for _, text := range []string{"[database]\nconnection = mysql://h/x\n", "[database\n"} {
		if _, err := config.LoadDatabase([]string{file(t, text)}, nil); err == nil {
			t.Errorf("%q: no fault", text)
		}
	}
}
