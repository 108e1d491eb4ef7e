package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/config"
)

func TestFaults(t *testing.T) {
	const fine = "[DEFAULT]\nauth_strategy = noauth\n" // two lines
	tests := []struct {
		name, text string
		env        []string
		want       []string
	}{
		{name: "fine", text: fine},
		{
			name: "nobody chose an auth strategy", text: "",
			want: []string{
				"[keystone_authtoken] auth_type: is needed with auth_strategy = keystone: password or v3applicationcredential",
				"[keystone_authtoken] auth_url: is needed with auth_strategy = keystone",
			},
		},
		{
			name: "all at once, by line", text: fine + `
host = a@b
cluster = c#d
storage_availability_zone =
state_path =
report_interval = 0
service_down_time = -5
backend_stats_polling_interval = 1.5
rpc_response_timeout = soon
osapi_volume_listen = "not a name"
osapi_volume_listen_port = 65536
debug = maybe
use_json = 2
[stoker]
insecure_noauth = perhaps
pools_timeout = 0
log_timeout = nan
failover_deadline = 1e300
`, want: []string{
				"c.conf:4: [DEFAULT] host = a@b: must be a name of at most 255 characters without white space, @ and #",
				"c.conf:5: [DEFAULT] cluster = c#d: must be empty, or a name of at most 255 characters without white space, @ and #",
				"c.conf:6: [DEFAULT] storage_availability_zone = : must be a name of at most 255 characters",
				"c.conf:7: [DEFAULT] state_path = : must be a path",
				"c.conf:8: [DEFAULT] report_interval = 0: must be a whole number of seconds from 1 to 31536000",
				"c.conf:9: [DEFAULT] service_down_time = -5: must be a whole number of seconds from 1 to 31536000",
				"c.conf:10: [DEFAULT] backend_stats_polling_interval = 1.5: must be a whole number of seconds from 1 to 31536000",
				"c.conf:11: [DEFAULT] rpc_response_timeout = soon: must be a whole number of seconds from 1 to 31536000",
				`c.conf:12: [DEFAULT] osapi_volume_listen = not a name: must be an IP address or a host name`,
				"c.conf:13: [DEFAULT] osapi_volume_listen_port = 65536: must be an integer from 0 to 65535",
				"c.conf:14: [DEFAULT] debug = maybe: must be true or false (1, yes, on; 0, no, off)",
				"c.conf:15: [DEFAULT] use_json = 2: must be true or false (1, yes, on; 0, no, off)",
				"c.conf:17: [stoker] insecure_noauth = perhaps: must be true or false (1, yes, on; 0, no, off)",
				"c.conf:18: [stoker] pools_timeout = 0: must be a number of seconds from 0.001 to 31536000",
				"c.conf:19: [stoker] log_timeout = nan: must be a number of seconds from 0.001 to 31536000",
				"c.conf:20: [stoker] failover_deadline = 1e300: must be a number of seconds from 0.001 to 31536000",
			},
		},
		{
			name: "URLs of nothing that we speak", text: "[DEFAULT]\nauth_strategy = noauth\ntransport_url = kafka://openstack:hunter2@rabbit:5672/\n" +
				"[database]\nconnection = oracle://cinder:hunter2@db/cinder?charset=utf8\n", want: []string{
				"c.conf:3: [DEFAULT] transport_url = kafka://***@rabbit:5672/: the scheme kafka is not supported: it must be rabbit or memory",
				`c.conf:5: [database] connection = oracle://***@db/cinder?***: database engine "oracle" is not supported: use mysql, postgresql or sqlite`,
			},
		},
		{name: "a deployment", text: "[DEFAULT]\ntransport_url = rabbit://openstack:hunter2@rabbit:5672/\n" +
			"[database]\nconnection = mysql+pymysql://cinder:hunter2@db/cinder?charset=utf8\n" +
			"[keystone_authtoken]\nauth_type=password\nauth_url=http://k:5000\nusername=cinder\nuser_domain_id=default\npassword=hunter2\n"},
		{
			name: "a password is not enough", text: "[keystone_authtoken]\nauth_type=v3password\nauth_url=k:5000\nusername=cinder\n", want: []string{
				"c.conf:3: [keystone_authtoken] auth_url = k:5000: must be an http or https URL",
				"c.conf:4: [keystone_authtoken] username = cinder: needs user_domain_id or user_domain_name beside it",
				"[keystone_authtoken] password: is needed with auth_type = v3password",
			},
		},
		{
			name: "application credential", text: "[keystone_authtoken]\nauth_section=s\n[s]\nauth_type=v3applicationcredential\nauth_url=https://k\napplication_credential_name=n\n", want: []string{
				"[s] application_credential_secret: is needed with auth_type = v3applicationcredential",
				"[s] application_credential_id: is needed with auth_type = v3applicationcredential; or application_credential_name and whose it is",
			},
		},
		{
			name: "TLS without a certificate", text: fine + "osapi_volume_use_ssl = true\n", want: []string{
				"[ssl] cert_file: is needed with osapi_volume_use_ssl", "[ssl] key_file: is needed with osapi_volume_use_ssl",
			},
		},
		{
			name: "the query of a transport URL", text: fine + "transport_url = rabbit://u:hunter2@h/?ssl=perhaps&rabbit_qos_prefetch_count=5\n", want: []string{
				"c.conf:3: [DEFAULT] transport_url = rabbit://***@h/?***: ssl must be true or false (1, yes, on; 0, no, off)",
			},
		},
		{
			name: "numbers out of range", text: fine + "[database]\nmax_overflow=-2\nconnection_recycle_time=-2\n[stoker]\nrate_limit=NaN\nrate_limit_burst=0\n" +
				"[keystone_authtoken]\ntoken_cache_time=-2\n[oslo_messaging_rabbit]\nkombu_failover_strategy=any\nssl_version=SSLv3\nkombu_compression=gzip\nrabbit_ha_queues=1\nrabbit_quorum_queue=1\nrabbit_stream_fanout=1\n", want: []string{
				"c.conf:4: [database] max_overflow = -2: must be an integer from -1 to 1073741824",
				"c.conf:5: [database] connection_recycle_time = -2: must be -1, or a number of seconds from 0 to 31536000",
				"c.conf:7: [stoker] rate_limit = NaN: must be a number from 0 to 1e+06",
				"c.conf:8: [stoker] rate_limit_burst = 0: must be an integer from 1 to 1000000",
				"c.conf:10: [keystone_authtoken] token_cache_time = -2: must be -1, or a number of seconds from 0 to 31536000",
				"c.conf:12: [oslo_messaging_rabbit] kombu_failover_strategy = any: must be one of round-robin, shuffle",
				"c.conf:13: [oslo_messaging_rabbit] ssl_version = SSLv3: must be empty, TLS, SSLv23, TLSv1, TLSv1_1, TLSv1_2 or TLSv1_3",
				"c.conf:14: [oslo_messaging_rabbit] kombu_compression = gzip: is not supported",
				"c.conf:15: [oslo_messaging_rabbit] rabbit_ha_queues = 1: excludes quorum queues: a queue is mirrored or a quorum queue",
				"c.conf:17: [oslo_messaging_rabbit] rabbit_stream_fanout = 1: needs rabbit_transient_quorum_queue = true and a rabbit_qos_prefetch_count above 0",
			},
		},
		{
			name: "streams as deployers have them", text: fine + "[oslo_messaging_rabbit]\nrabbit_quorum_queue = true\nrabbit_transient_quorum_queue = true\nrabbit_stream_fanout = true\nrabbit_qos_prefetch_count = 50\nuse_queue_manager = true\n",
		},
		{
			name: "streams without a prefetch count", text: fine + "[oslo_messaging_rabbit]\nrabbit_stream_fanout = true\nrabbit_transient_quorum_queue = true\n", want: []string{
				"c.conf:4: [oslo_messaging_rabbit] rabbit_stream_fanout = true: needs rabbit_transient_quorum_queue = true and a rabbit_qos_prefetch_count above 0",
			},
		},
		{
			name: "streams beside transient queues", text: fine + "[oslo_messaging_rabbit]\nrabbit_stream_fanout = true\nrabbit_qos_prefetch_count = 50\n", want: []string{
				"c.conf:4: [oslo_messaging_rabbit] rabbit_stream_fanout = true: needs rabbit_transient_quorum_queue = true and a rabbit_qos_prefetch_count above 0",
			},
		},
		{name: "metrics", text: fine + "[stoker]\nmetrics_listen = 127.0.0.1:9776\n"},
		{name: "metrics on IPv6", text: fine + "[stoker]\nmetrics_listen = [::1]:0\n"},
		{
			name: "metrics on any address, unsaid", text: fine + "[stoker]\nmetrics_listen = :9776\n",
			want: []string{"c.conf:4: [stoker] metrics_listen = :9776: must be HOST:PORT, or empty"},
		},
		{
			name: "metrics without a port", text: fine + "[stoker]\nmetrics_listen = 127.0.0.1\n",
			want: []string{"c.conf:4: [stoker] metrics_listen = 127.0.0.1: must be HOST:PORT, or empty"},
		},
		{
			name: "metrics on a port that there is not", text: fine + "[stoker]\nmetrics_listen = 127.0.0.1:65536\n",
			want: []string{"c.conf:4: [stoker] metrics_listen = 127.0.0.1:65536: must be HOST:PORT, or empty"},
		},
		{
			name: "no such strategy", text: "[DEFAULT]\nauth_strategy = none\n",
			want: []string{"c.conf:2: [DEFAULT] auth_strategy = none: must be one of noauth, noauth_include_project_id, keystone"},
		},
		{
			name: "open to everybody", text: fine + "osapi_volume_listen = 0.0.0.0\n",
			want: []string{"c.conf:3: [DEFAULT] osapi_volume_listen = 0.0.0.0: with auth_strategy = noauth it must be a loopback address (127.0.0.1, ::1, localhost), or [stoker] insecure_noauth = true: whoever reaches it is an administrator"},
		},
		{
			name: "open to everybody by a name", text: "[DEFAULT]\nauth_strategy = noauth_include_project_id\nosapi_volume_listen = ctl1.example.com\n",
			want: []string{"c.conf:3: [DEFAULT] osapi_volume_listen = ctl1.example.com: with auth_strategy = noauth_include_project_id it must be a loopback address (127.0.0.1, ::1, localhost), or [stoker] insecure_noauth = true: whoever reaches it is an administrator"},
		},
		{name: "open to everybody on purpose", text: fine + "osapi_volume_listen = ::\n[stoker]\ninsecure_noauth = yes\n"},
		{name: "loopback in other words", text: fine + "osapi_volume_listen = 127.1.2.3\n"},
		{name: "loopback by name", text: fine + "osapi_volume_listen = localhost\n"},
		{name: "loopback, mapped", text: fine + "osapi_volume_listen = ::ffff:127.0.0.1\n"},
		{name: "heartbeats too rare", text: fine + "report_interval = 60\n"}, // a warning
		{name: "down before the next heartbeat", text: fine + "service_down_time = 10\n"},
		{
			name: "expires after its deadline", text: fine + "[stoker]\nfailover_expiry = 100\nfailover_deadline = 99.5\n",
			want: []string{"c.conf:4: [stoker] failover_expiry = 100: must be at most failover_deadline (99.5)"},
		},
		{
			name: "from the environment", text: fine, env: []string{"OS_DEFAULT__HOST=a b", "OS_DATABASE__CONNECTION=postgresql://u:hunter2@h"},
			want: []string{
				"OS_DEFAULT__HOST: [DEFAULT] host = a b: must be a name of at most 255 characters without white space, @ and #",
				"OS_DATABASE__CONNECTION: [database] connection = postgresql://***@h: the database connection names no database: it has to look like postgresql://user:password@host/cinder",
			},
		},
		{
			name: "options that refer to nothing", text: fine + "osapi_volume_listen = $my_name\n[database]\nconnection = sqlite:///$nowhere/x\n", want: []string{
				"c.conf:3: [DEFAULT] osapi_volume_listen = $my_name: $my_name is set nowhere and has no default here",
				"c.conf:5: [database] connection = sqlite:///$nowhere/x: $nowhere is set nowhere and has no default here",
			},
		},
		{
			name: "a circle", text: fine + "state_path = $host/x\nhost = $state_path\n", want: []string{
				"c.conf:3: [DEFAULT] state_path = $host/x: options refer to each other in a circle: DEFAULT.host -> DEFAULT.state_path -> DEFAULT.host",
				"c.conf:4: [DEFAULT] host = $state_path: options refer to each other in a circle: DEFAULT.state_path -> DEFAULT.host -> DEFAULT.state_path",
			},
		},
		{
			name: "backends that are not there", text: fine + "enabled_backends = a,b,c\n[b]\n",
			want: []string{"c.conf:3: [DEFAULT] enabled_backends = a,b,c: there is no section [a], [c]"},
		},
		{
			name: "a backend twice", text: fine + "enabled_backends = a,a\n[a]\n",
			want: []string{"c.conf:3: [DEFAULT] enabled_backends = a,a: must be section names, each once, without white space, @ and #"},
		},
		{
			name: "a backend without a name", text: fine + "enabled_backends = a,,b\n[a]\n[b]\n",
			want: []string{"c.conf:3: [DEFAULT] enabled_backends = a,,b: must be section names, each once, without white space, @ and #"},
		},
		{
			name: "devices", text: fine + "enabled_backends = a,b,c,d,e\n" +
				"[a]\nreplication_device = backend_id:x,password:hunter2\nreplication_device = backend_id:x\n" +
				"[b]\nreplication_device = password:hunter2\n[c]\nreplication_device = backend_id:default\n" +
				"[d]\nreplication_device = hunter2\n[e]\nreplication_device = backend_id:x,k:1,k:2\n", want: []string{
				"c.conf:6: [a] replication_device = ***: must be " + devices,
				"c.conf:10: [c] replication_device = ***: must be " + devices,
				"c.conf:12: [d] replication_device = ***: must be " + devices,
				"c.conf:14: [e] replication_device = ***: must be " + devices,
			},
		},
		{
			name: "a long value, and one of several lines", text: fine + "host = " + strings.Repeat("x", 300) + "\ndebug = a\n  b\n", want: []string{
				"c.conf:3: [DEFAULT] host = " + strings.Repeat("x", 120) + "...: must be a name of at most 255 characters without white space, @ and #",
				`c.conf:4: [DEFAULT] debug = a\nb: must be true or false (1, yes, on; 0, no, off)`,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := file(t, tt.text)
			_, err := config.Load([]string{path}, tt.env, config.ForAll)
			var got []string
			if err != nil {
				got = strings.Split(strings.ReplaceAll(err.Error(), path, "c.conf"), "\n")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

const devices = "key:value pairs separated by commas, each key once; no two devices of a backend with one backend_id, and none with default"

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long.conf")
	if err := os.WriteFile(long, make([]byte, 4<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := file(t, "[DEFAULT]\nconnection hunter2\n")
	_, err := config.Load([]string{filepath.Join(dir, "none.conf"), dir, long, broken}, nil, config.ForAll)
	want := filepath.Join(dir, "none.conf") + ": no such file or directory\n" +
		dir + ": is a directory\n" + long + ": longer than 4194304 bytes\n" +
		broken + ":2: neither a section, a comment nor an assignment: no = or : in the line"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestValidateOfAConfigMadeInCode(t *testing.T) {
	c := config.Default()
	c.AuthStrategy, c.Listen = config.AuthNoauth, "127.0.0.1"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Listen, c.ListenPort, c.ReportInterval, c.Host = "10.0.0.1", -1, time.Hour, ""
	c.EnabledBackends = []string{"a", "b"}
	c.Backends = []config.Backend{{Section: "a"}}
	err := c.Validate()
	want := `[DEFAULT] host = : must be a name of at most 255 characters without white space, @ and #
[DEFAULT] osapi_volume_listen_port = -1: must be an integer from 0 to 65535
[DEFAULT] enabled_backends = a,b: there is no section [b]
[DEFAULT] osapi_volume_listen = 10.0.0.1: with auth_strategy = noauth it must be a loopback address (127.0.0.1, ::1, localhost), or [stoker] insecure_noauth = true: whoever reaches it is an administrator
[a] volume_backend_name = : must be a name of at most 255 characters`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
