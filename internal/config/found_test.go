package config_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/config"
)

// What stands in files that start Cinder starts Stoker, and means the same.
func TestWhatDeployersWrite(t *testing.T) {
	const bus = "[DEFAULT]\nauth_strategy = noauth\ntransport_url = rabbit://h/\nenabled_backends = a,b\n"
	one := func(v any) []any { return []any{v} }
	tests := []struct {
		name, text string
		get        func(config.Config) []any
		want       []any
	}{
		{
			"heartbeats as rare as service_down_time", "report_interval = 60\n[a]\n[b]\n",
			func(c config.Config) []any { return []any{c.DownTime, c.ServiceDownTime()} },
			[]any{time.Minute, 150 * time.Second},
		},
		{
			"a short service_down_time", "service_down_time = 9\nreport_interval = 9\n[a]\n[b]\n",
			func(c config.Config) []any { return []any{c.DownTime, c.ServiceDownTime()} },
			[]any{9 * time.Second, 22 * time.Second},
		},
		{
			"times that go together", "service_down_time = 11\n[a]\n[b]\n",
			func(c config.Config) []any { return one(c.ServiceDownTime()) }, one(11 * time.Second),
		},
		{
			"blank numbers", "report_interval =\nrpc_response_timeout =\nosapi_volume_listen_port = \n[stoker]\nrate_limit =\nlease_time = \n" +
				"[database]\nmax_pool_size =\nconnection_recycle_time=\n[cors.x]\nmax_age =\n[cors]\nmax_age = 7\n[a]\n[b]\n",
			func(c config.Config) []any {
				return []any{
					c.ReportInterval, c.ResponseTimeout, c.FailoverExpiry, c.ListenPort, c.Edge.Rate, c.LeaseTime, c.Pool.Size, c.Pool.Recycle, c.Edge.MoreCORS[0].MaxAge,
				}
			},
			[]any{10 * time.Second, time.Minute, time.Minute, 8776, 0.0, 20 * time.Second, 5, time.Hour, 7 * time.Second},
		},
		{
			"an interface as Keystone v2 called it", "[keystone_authtoken]\ninterface = adminURL\n[a]\n[b]\n",
			func(c config.Config) []any { return one(c.Authtoken.Interface) }, one("admin"),
		},
		{
			"the old name of connection", "[a]\n[b]\n[DATABASE]\nsql_connection = sqlite:////x\n",
			func(c config.Config) []any { return one(string(c.Database)) }, one("sqlite:////x"),
		},
		{
			"the old names of notifications", "notification_driver = messagingv2\nnotification_topics = n,m\n[a]\n[b]\n",
			func(c config.Config) []any { return []any{c.NotifyDrivers, c.NotifyTopics} },
			[]any{[]string{"messagingv2"}, []string{"n", "m"}},
		},
		{
			"an older name of notification topics", "[rpc_notifier2]\ntopics = n\n[a]\n[b]\n",
			func(c config.Config) []any { return one(c.NotifyTopics) }, one([]string{"n"}),
		},
		{
			"several drivers", "[oslo_messaging_notifications]\ndriver = messagingv2\ndriver = log\n[a]\n[b]\n",
			func(c config.Config) []any { return one(c.NotifyDrivers) }, one([]string{"messagingv2", "log"}),
		},
		{
			"replication devices of drivers with keys of their own", "[a]\nreplication_device = target_device_id:12345,qosnode:q\nreplication_device = target_device_id:6\n[b]\nreplication_device =\n",
			func(c config.Config) []any {
				return []any{c.Backends[0].ReplicationDevices[1].Params, len(c.Backends[1].ReplicationDevices)}
			},
			[]any{map[string]string{"target_device_id": "6"}, 0},
		},
		{
			"the host and zone of a backend", "[backend_defaults]\nbackend_host = no\nbackend_availability_zone = z\n[a]\nbackend_host = rbd:volumes\n[b]\nbackend_availability_zone = y\n",
			func(c config.Config) []any {
				return []any{c.Backends[0].Host, c.Backends[0].Zone, c.Backends[1].Host, c.Backends[1].Zone, len(c.Unknown(config.ForAll))}
			},
			[]any{"rbd:volumes", "z", "", "y", 1},
		},
		{
			"an address that the machine has", "host = $my_ip\n[a]\n[b]\n",
			func(c config.Config) []any { return one(netip.MustParseAddr(c.Host).Is4()) }, one(true),
		},
		{
			"an address that the file has", "my_ip = 192.0.2.1\nhost = $my_ip\n[a]\n[b]\n",
			func(c config.Config) []any { return one(c.Host) }, one("192.0.2.1"),
		},
		{
			"every address of IPv6", "osapi_volume_listen = ::\n[a]\n[b]\n[stoker]\ninsecure_noauth = true\n",
			func(c config.Config) []any { return one(c.ListenAddress()) }, one("[::]:8776"),
		},
		{
			"a host that is left open", "host =\n[a]\n[b]\n",
			func(c config.Config) []any { return one(c.Host == config.Default().Host) }, one(true),
		},
		{
			"what a project is called", "project_id_regex = [0-9a-zA-Z\\-_]+\n[a]\n[b]\n",
			func(c config.Config) []any { return one(c.ProjectRegex) }, one(`[0-9a-zA-Z\-_]+`),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := config.Load([]string{file(t, bus+tt.text)}, nil, config.ForAll)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tt.get(c)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("blank in the environment", func(t *testing.T) {
		c, err := config.Load([]string{file(t, bus+"report_interval = 3\n[a]\n[b]\n")}, []string{"OS_DEFAULT__REPORT_INTERVAL="}, config.ForAll)
		if err != nil || c.ReportInterval != 10*time.Second {
			t.Errorf("got %v, %v", c.ReportInterval, err)
		}
	})
}

// A mirror backend is told by name where to fail over to; nobody else needs it.
func TestDevicesThatNoMirrorCanUse(t *testing.T) {
	path := file(t, "[DEFAULT]\nauth_strategy = noauth\ntransport_url = rabbit://h/\nenabled_backends = a\n[a]\n"+
		"replication_device =\nreplication_device = backend_id:b\nreplication_device = san_ip:192.0.2.1,password:hunter2\n")
	for use, want := range map[config.Use]string{
		config.ForAll: "", config.ForAPI: "", config.ForService: "", config.ForDatabase: "",
		config.ForVolume: path + ":8: [a] replication_device = ***: needs a backend_id: the mirror backend of stoker volume is failed over to it by that name",
	} {
		got := ""
		if _, err := config.Load([]string{path}, nil, use); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("use %d: got %q, want %q", use, got, want)
		}
	}
}

// What is ignored matters when Stoker behaves otherwise than it asks: for the
// program that it is asked of, and for a value that asks for anything.
func TestWhatMatters(t *testing.T) {
	all, api, volume, service := config.ForAll, config.ForAPI, config.ForVolume, config.ForService
	tests := []struct {
		name, text string
		uses       []config.Use // for which the last line of the text matters
	}{
		{"a driver", "[a]\nvolume_driver = x", []config.Use{all, volume}},
		{"a driver of all", "[a]\n[backend_defaults]\nvolume_driver = x", []config.Use{all, volume}},
		{"a driver in odd case", "enabled_backends = LVM\n[Lvm]\nvolume_driver = x", []config.Use{all, volume}},
		{"a driver that is not enabled", "[a]\n[b]\nvolume_driver = x", nil},
		{"a pipeline", "api_paste_config = /etc/x", []config.Use{all, api}},
		{"a file that ends service", "[healthcheck]\ndisable_by_file_path = /etc/x", []config.Use{all, api}},
		{"syslog", "use_syslog = True", []config.Use{all, api, volume, service}},
		{"no syslog", "use_syslog = False", nil},
		{"rotation", "log_rotation_type = size", []config.Use{all, api, volume, service}},
		{"no rotation", "log_rotation_type = none", nil},
		{"logging", "log_config_append = /etc/x", []config.Use{all, api, volume, service}},
		{"logging left open", "log_config_append =", nil},
		{"notifications on another bus", "[oslo_messaging_notifications]\ndriver = messagingv2\ntransport_url = rabbit://i/", []config.Use{all, api, volume, service}},
		{"notifications on the same bus", "[oslo_messaging_notifications]\ndriver = messagingv2\ntransport_url = rabbit://h/", nil},
		{"notifications on the bus that is referred to", "[oslo_messaging_notifications]\ndriver = messagingv2\ntransport_url = $DEFAULT.transport_url", nil},
		{"notifications on no bus", "[oslo_messaging_notifications]\ndriver = noop\ntransport_url = rabbit://i/", nil},
		{"notifications again and again", "[oslo_messaging_notifications]\ndriver = messagingv2\nretry = -1", []config.Use{all, api, volume, service}},
		{"an option of ours that there is not", "[stoker]\nnosuch =", []config.Use{all, api, volume, service}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := "[DEFAULT]\nauth_strategy = noauth\ntransport_url = rabbit://h/\nenabled_backends = a\n" + tt.text + "\n"
			c, err := config.Load([]string{file(t, text)}, nil, config.ForAPI)
			if err != nil {
				t.Fatal(err)
			}
			for _, use := range []config.Use{all, api, volume, service} {
				unknown := c.Unknown(use)
				last := unknown[len(unknown)-1]
				if want := slices.Contains(tt.uses, use); last.Matters != want || last.Line != strings.Count(text, "\n") {
					t.Errorf("use %d: %v matters: %v, want %v", use, last, last.Matters, want)
				}
			}
		})
	}
}

// A backend is called what its service is called.
func TestIgnoredOfBackends(t *testing.T) {
	path := file(t, "[DEFAULT]\nauth_strategy = noauth\nenabled_backends = LVM\n[Lvm]\nvolume_driver = x\n[Other]\nx = y\n")
	c, err := config.Load([]string{path}, nil, config.ForAPI)
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, i := range c.Unknown(config.ForAll) {
		sections = append(sections, i.Section)
	}
	if diff := cmp.Diff([]string{"LVM", "other"}, sections); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestProjectsThatGoCannotMatch(t *testing.T) {
	path := file(t, "[DEFAULT]\nauth_strategy = noauth\ntransport_url = rabbit://h/\nproject_id_regex = (?!x)[a-z]+\n")
	_, err := config.Load([]string{path}, nil, config.ForAPI)
	want := path + ":4: [DEFAULT] project_id_regex = (?!x)[a-z]+: is not a regular expression that Go knows: invalid or unsupported Perl syntax: `(?!`"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := config.Load([]string{path}, nil, config.ForService); err != nil {
		t.Errorf("it is no business of a scheduler's: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	const (
		fine     = "[DEFAULT]\nauth_strategy = noauth\n"
		memory   = " (the default): reaches no other process: no command gets to a service. Name a broker, rabbit://USER:PASSWORD@HOST:PORT/VHOST"
		interval = ": is not below service_down_time (10): services take 25 as service_down_time. Set it for cinder-api and stoker api too, or they show them as down"
	)
	all, api, volume, service, database := config.ForAll, config.ForAPI, config.ForVolume, config.ForService, config.ForDatabase
	tests := []struct {
		name, text string
		uses       []config.Use
		want       string
	}{
		{"nothing", fine + "transport_url = rabbit://h/\n", []config.Use{all, api, volume, service, database}, ""},
		{"no bus", fine, []config.Use{all, api}, "[DEFAULT] transport_url = memory://" + memory},
		{"no bus, which is no warning", fine, []config.Use{volume, service, database}, ""}, // but a fault, or of no use
		{"a broker of old", fine + "rabbit_host = h\n", []config.Use{all, api}, "[DEFAULT] transport_url = memory://" + memory + "; rabbit_host and the like are not read, as in Cinder"},
		{"a broker of old, elsewhere", fine + "[oslo_messaging_rabbit]\nrabbit_hosts = h\n", []config.Use{api}, "[DEFAULT] transport_url = memory://" + memory + "; rabbit_host and the like are not read, as in Cinder"},
		{"on purpose", fine + "transport_url = memory://\n", []config.Use{api}, "c.conf:3: [DEFAULT] transport_url = memory://" + strings.TrimPrefix(memory, " (the default)")},
		{"rare heartbeats", fine + "transport_url = rabbit://h/\nservice_down_time = 10\n", []config.Use{all, volume, service}, "[DEFAULT] report_interval = 10 (the default)" + interval},
		{
			"a cluster told by streams", fine + "transport_url = rabbit://h/\ncluster = c\n[oslo_messaging_rabbit]\nrabbit_stream_fanout = true\nrabbit_transient_quorum_queue = true\nrabbit_qos_prefetch_count = 1\n",
			[]config.Use{all, volume},
			"c.conf:6: [oslo_messaging_rabbit] rabbit_stream_fanout = true: in a cluster: each cinder-volume that starts is told once more of the cluster's last failover, however old, " +
				"and disables itself again if that led to another site. doc/guarantees.md says what is put right; Stoker's own members do not listen to it",
		},
		{"rare heartbeats of others", fine + "transport_url = rabbit://h/\nservice_down_time = 10\n", []config.Use{api, database}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := file(t, tt.text)
			c, _ := config.Check([]string{path}, nil, config.ForAll)
			for _, use := range tt.uses {
				got := strings.ReplaceAll(config.FaultsError(c.Warnings(use)).Error(), path, "c.conf")
				if got != tt.want {
					t.Errorf("use %d\ngot  %s\nwant %s", use, got, tt.want)
				}
			}
		})
	}
	if got := config.Default().Warnings(config.ForAll); len(got) != 1 {
		t.Errorf("of a Config made in code: %v", got)
	}
}
