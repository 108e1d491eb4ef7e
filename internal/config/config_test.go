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
	got, err := config.Load([]string{filepath.Join("testdata", "cinder.conf")}, []string{"OS_DEFAULT__OSAPI_VOLUME_LISTEN_PORT=18776", "PATH=/bin"}, config.ForAll)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Host, want.StatePath, want.EnabledBackends = "ctl1", "/srv/cinder", []string{"ceph-ssd", "mirror1"}
	want.ReportInterval, want.DownTime = 5*time.Second, 25*time.Second
	want.Listen, want.ListenPort, want.PublicEndpoint = "::1", 18776, "https://volume.example.com"
	want.AuthStrategy = config.AuthNoauthProject
	want.Debug, want.LogDir, want.LogFile = true, "/var/log/cinder", "api.log"
	want.PoolsTimeout, want.FailoverDeadline = 250*time.Millisecond, 30*time.Minute
	want.Backends = []config.Backend{
		{Section: "ceph-ssd", Name: "shared", ReplicationDevices: []config.ReplicationDevice{
			{BackendID: "site-b", Params: map[string]string{"conf": "/etc/ceph/b.conf", "secret": "hunter2"}},
			{BackendID: "site-c", Params: map[string]string{"conf": "/etc/ceph/c.conf"}},
		}},
		{Section: "mirror1", Name: "mirrors", MirrorRoot: "/srv/cinder/mirror1"},
	}
	want.Database = "sqlite:////srv/cinder/cinder.db"
	want.Pool = config.Pool{
		Size: 50, Overflow: 1000, Recycle: 10 * time.Second, Timeout: 30 * time.Second, Retries: -1, RetryInterval: 10 * time.Second, WsrepSyncWait: 1,
	}
	want.Rabbit.Exchange, want.Rabbit.QuorumQueues, want.Rabbit.QuorumMaxLength, want.Rabbit.SSL = "cinder", true, 1000, true
	want.Authtoken = config.Authtoken{
		Section: "service_user", Type: "password", URL: "http://ctl1:5000", ProjectName: "service", ProjectDomain: config.Domain{Name: "Default"},
		Username: "cinder", UserDomain: config.Domain{Name: "Default"}, Password: "hunter2",
		WWWAuthenticateURI: "https://keystone.example.com:5000", Interface: "internal", Retries: 3,
		ServiceRoles: []string{"service"}, ServiceRequired: true,
	}
	want.NotifyDrivers = []string{"noop"}
	want.Policy.File, want.Policy.Dirs, want.Policy.EnforceScope = "rules.json", []string{"/etc/cinder/policy.d", "more.d"}, true
	want.Edge.MaxBody, want.Edge.ProxyHeaders, want.Edge.Rate = 100000, true, 12.5
	want.Edge.CORS.Origins = []string{"https://one.example.com", "https://two.example.com"}
	if diff := cmp.Diff(want, got, ignoreOrigin); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := got.ListenAddress(), "[::1]:18776"; got != want {
		t.Errorf("listens on %s, want %s", got, want)
	}

	var unknown strings.Builder
	for _, i := range got.Unknown(config.ForAll) {
		unknown.WriteString(i.String() + "\n")
	}
	golden(t, filepath.Join("testdata", "unknown.txt"), unknown.String())
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
		TransportURL: "memory://", ResponseTimeout: time.Minute, Listen: "0.0.0.0", ListenPort: 8776, AuthStrategy: config.AuthKeystone, ProjectRegex: `[0-9a-f\-]+`,
		Database: "sqlite:////var/lib/cinder/cinder.sqlite",
		Pool: config.Pool{
			Size: 5, Overflow: 50, Recycle: time.Hour, Timeout: 30 * time.Second, Retries: 10, RetryInterval: 10 * time.Second, WsrepSyncWait: 1,
		},
		Rabbit: config.Rabbit{
			Exchange: "openstack", VerifyHost: true, TransientTTL: 30 * time.Minute, LoginMethod: "AMQPLAIN", FailoverStrategy: "round-robin",
			ReconnectDelay: time.Second, RetryInterval: time.Second, RetryBackoff: 2 * time.Second, RetryMax: 30 * time.Second, Heartbeat: time.Minute,
		},
		Authtoken: config.Authtoken{Interface: "internal", Retries: 3, CacheTime: 5 * time.Minute, ServiceRoles: []string{"service"}},
		Policy: config.Policy{
			File: "policy.yaml", Dirs: []string{"policy.d"}, DefaultRule: "default", RemoteContentType: "application/x-www-form-urlencoded",
		},
		Edge: config.Edge{
			MaxBody: 114688, Burst: 20, Keys: 10_000,
			CORS: config.CORS{
				Credentials: true, MaxAge: time.Hour,
				ExposeHeaders: []string{"X-Auth-Token", "X-Subject-Token", "X-Service-Token", "X-OpenStack-Request-ID", "OpenStack-API-Version"},
				Methods:       []string{"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD"},
				Headers: []string{
					"X-Auth-Token", "X-Identity-Status", "X-Roles", "X-Service-Catalog", "X-User-Id", "X-Tenant-Id",
					"X-OpenStack-Request-ID", "X-Trace-Info", "X-Trace-HMAC", "OpenStack-API-Version",
				},
			},
		},
		PoolsTimeout: time.Second, LogTimeout: 5 * time.Second, FailoverExpiry: time.Minute, FailoverDeadline: time.Hour, WatchTime: time.Hour, LeaseTime: 20 * time.Second, JournalDays: 90, NotifyTopics: []string{"notifications"},
	}
	if diff := cmp.Diff(want, got, ignoreOrigin); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := got.Unknown(config.ForAll); len(got) != 0 {
		t.Errorf("unknown options %v", got)
	}
}

// What String prints is a file that means the same.
func TestStringLoads(t *testing.T) {
	before, err := config.Load([]string{filepath.Join("testdata", "cinder.conf")}, nil, config.ForAll)
	if err != nil {
		t.Fatal(err)
	}
	before.Backends[0].ReplicationDevices = []config.ReplicationDevice{
		{BackendID: "b", Params: map[string]string{}},
		{BackendID: "c", Params: map[string]string{}},
	}
	before.Authtoken.Password = ""
	after, err := config.Load([]string{file(t, before.String())}, nil, config.ForAll)
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
	}, config.ForAll)
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

// One file does for all: what is of no use to a program is no fault for it.
func TestWhatFaultsConcern(t *testing.T) {
	const (
		noKeystone = "[DEFAULT]\n"
		badAPI     = "[DEFAULT]\ntransport_url = rabbit://h/\nauth_strategy = noauth\nosapi_volume_listen_port = x\n"
		badBackend = "[DEFAULT]\ntransport_url = rabbit://h/\nauth_strategy = noauth\nenabled_backends = a\n[a]\nreplication_device = x\n"
		noSection  = "[DEFAULT]\ntransport_url = rabbit://h/\nauth_strategy = noauth\nenabled_backends = a\n"
		noBackend  = "[DEFAULT]\ntransport_url = rabbit://h/\nauth_strategy = noauth\n"
		noBus      = "[DEFAULT]\nauth_strategy = noauth\nenabled_backends = a\n[a]\n"
		badDB      = noBackend + "[database]\nconnection = oracle://h/d\n"
		badBus     = noBackend + "[oslo_messaging_rabbit]\namqp_durable_queues = perhaps\n"
		badTimes   = noBackend + "report_interval = never\n"
	)
	all, api, volume, service, database, bus := config.ForAll, config.ForAPI, config.ForVolume, config.ForService, config.ForDatabase, config.ForBus
	tests := []struct {
		name, text string
		faulty     []config.Use
	}{
		{"no keystone", noKeystone, []config.Use{all, api, volume, service}}, // no bus either
		{"an option of the API", badAPI, []config.Use{all, api, volume}},     // no backend either
		{"an option of a backend", badBackend, []config.Use{all, volume}},
		{"a backend without a section", noSection, []config.Use{all, volume}},
		{"no backend", noBackend, []config.Use{volume}},
		{"no bus", noBus, []config.Use{volume, service}},
		{"a database we do not speak", badDB, []config.Use{all, api, volume, service, database, bus}},
		{"an option of the bus", badBus, []config.Use{all, api, volume, service, bus}},
		{"an option of all", badTimes, []config.Use{all, api, volume, service}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []config.Use
			for _, use := range []config.Use{all, api, volume, service, database, bus} {
				if _, err := config.Load([]string{file(t, tt.text)}, nil, use); err != nil {
					got = append(got, use)
				}
			}
			if diff := cmp.Diff(tt.faulty, got); diff != "" {
				t.Errorf("uses with faults (-want +got):\n%s", diff)
			}
		})
	}
	for _, use := range []config.Use{all, api, volume, service, database} {
		if _, err := config.Load([]string{file(t, "[database\n")}, nil, use); err == nil {
			t.Errorf("use %d: a file that is none is no fault", use)
		}
	}
}

func TestTransportURLOverridesOptions(t *testing.T) {
	c, err := config.Load([]string{file(t, "[DEFAULT]\nauth_strategy = noauth\ntransport_url = rabbit://h/?ssl=1&rabbit_quorum_queue=on&heartbeat_rate=3\n"+
		"[oslo_messaging_rabbit]\nssl = false\nrabbit_qos_prefetch_count = 7\n")}, nil, config.ForAPI)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default().Rabbit
	want.SSL, want.QuorumQueues, want.Prefetch = true, true, 7
	if diff := cmp.Diff(want, c.Rabbit); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhereTheLogGoes(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"log_dir = /var/log/cinder":         "/var/log/cinder/stoker-api.log",
		"log_file = /x/c.log":               "/x/c.log",
		"log_file = c.log":                  "c.log",
		"logdir = /d\nlogfile = c.log":      "/d/c.log",
		"log_dir = /d\nlog_file = /x/c.log": "/x/c.log",
		"state_path = /s\nlog_dir=$state_path/log": "/s/log/stoker-api.log",
	} {
		c, err := config.Load([]string{file(t, "[DEFAULT]\nauth_strategy = noauth\n"+text+"\n")}, nil, config.ForAPI)
		if err != nil || c.Log("stoker-api") != want {
			t.Errorf("%q: %q, %v; want %q", text, c.Log("stoker-api"), err, want)
		}
	}
}

func TestWhereFilesAreLookedFor(t *testing.T) {
	one, two := file(t, "[DEFAULT]\nauth_strategy = noauth\n"), file(t, "")
	c, err := config.Load([]string{one, two}, nil, config.ForAPI)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(filepath.Dir(two), "p.yaml"), filepath.Join(filepath.Dir(one), "p.yaml"), "/etc/cinder/p.yaml"}
	if diff := cmp.Diff(want, c.Find("p.yaml")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/a/p.yaml"}, c.Find("/a/p.yaml")); diff != "" {
		t.Errorf("absolute (-want +got):\n%s", diff)
	}
}

// What the operator calls the API is its own, and no address that stands for all.
func TestOwnHosts(t *testing.T) {
	for _, tt := range []struct {
		listen, public string
		named, want    []string
	}{
		{"127.0.0.1", "", nil, []string{"127.0.0.1"}},
		{"0.0.0.0", "", []string{"lab1", "192.0.2.7"}, []string{"lab1", "192.0.2.7"}},
		{"::", "https://cloud.example:8776/volume", nil, []string{"cloud.example"}},
		{"ctl1.example", "http://[2001:db8::1]:80", []string{"lab1"}, []string{"lab1", "ctl1.example", "2001:db8::1"}},
	} {
		c := config.Default()
		c.Listen, c.PublicEndpoint, c.NoauthHosts = tt.listen, tt.public, tt.named
		if diff := cmp.Diff(tt.want, c.OwnHosts()); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt, diff)
		}
	}
}
