package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	neturl "net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"stoker/internal/dsn"
	"stoker/internal/osloconf"
)

const (
	enabledBackends = "enabled_backends"
	transportURL    = "transport_url"
	volumeDriver    = "volume_driver" // of Cinder's

	ownGroup           = "stoker"
	groupNotifications = "oslo_messaging_notifications"

	// NotifyBus is the driver of [oslo_messaging_notifications] that Stoker has.
	NotifyBus = "messagingv2"
)

// options are all there are outside of the backends' sections, by section.
func options() []option[Config] {
	return slices.Concat(defaultOptions(), databaseOptions(), rabbitOptions(), authtokenOptions(), policyOptions(), edgeOptions(), corsOptions(), ownOptions())
}

func defaultOptions() []option[Config] {
	const def = osloconf.DefaultGroup
	return []option[Config]{
		text(option[Config]{
			group: def, name: "host", def: hostname(),
			blank: true,
			help:  "The name this process goes by: that of its services, before the @ and the backend. The default is the machine's host name, also when it is set to nothing.",
		}, "a name of at most 255 characters without white space, @ and #", validHost,
			func(c *Config) *string { return &c.Host }),
		text(option[Config]{
			group: def, name: "cluster",
			help: "The active-active cluster that the volume services belong to. Empty: none.",
		}, "empty, or a name of at most 255 characters without white space, @ and #",
			optionalHost, func(c *Config) *string { return &c.Cluster }),
		text(option[Config]{
			group: def, name: "storage_availability_zone", def: "nova",
			help: "The availability zone of the services.",
		}, "a name of at most 255 characters", validName, func(c *Config) *string { return &c.Zone }),
		text(option[Config]{
			group: def, name: "state_path", def: "/var/lib/cinder",
			help: "The directory of what is kept across restarts. Other options may refer to it as $state_path.",
		}, "a path", func(s string) bool { return s != "" }, func(c *Config) *string { return &c.StatePath }),
		list(option[Config]{
			group: def, name: enabledBackends,
			help: "The sections of this file that are volume backends, separated by commas: each is a service HOST@SECTION of its own.",
		}, "section names, each once, without white space, @ and #", validHost,
			func(c *Config) *[]string { return &c.EnabledBackends }),
		seconds(option[Config]{
			group: def, name: "report_interval", def: "10",
			help: "The time between two heartbeats of a service. A service that reports no more often than service_down_time takes 2.5 times this as its own service_down_time, and warns.",
		}, func(c *Config) *time.Duration { return &c.ReportInterval }),
		seconds(option[Config]{
			group: def, name: "service_down_time", def: "60",
			help: "A service whose last heartbeat is older is shown as down. The same on all machines.",
		}, func(c *Config) *time.Duration { return &c.DownTime }),
		seconds(option[Config]{
			group: def, name: "backend_stats_polling_interval", def: "60",
			help: "The time between two looks at the statistics of a backend.",
		}, func(c *Config) *time.Duration { return &c.PollInterval }),
		url(option[Config]{
			group: def, name: transportURL, def: "memory://",
			help: "The message bus: rabbit://USER:PASSWORD@HOST:PORT/VHOST, with several USER:PASSWORD@HOST:PORT separated by commas. " +
				"memory:// is a bus inside the process. Cinder's default is rabbit://, a broker on this machine: ours has to be asked for.",
		}, "rabbit://..., or memory:// (a bus inside the process)", validTransport, func(c *Config) *URL { return &c.TransportURL }),
		text(option[Config]{
			group: def, name: "control_exchange", def: "openstack",
			help: "The exchange of the bus. The same for all that are to reach each other.",
		}, "a name of at most 127 characters", func(s string) bool { return validName(s) && len(s) <= 127 },
			func(c *Config) *string { return &c.Rabbit.Exchange }),
		seconds(option[Config]{
			group: def, name: "rpc_response_timeout", def: "60",
			help: "How long a freeze or thaw waits for the service's answer.",
		}, func(c *Config) *time.Duration { return &c.ResponseTimeout }),
		text(option[Config]{
			group: def, name: "osapi_volume_listen", api: true,
			help: "The address the API listens on. The default is Cinder's, 0.0.0.0 (every address of the machine), with auth_strategy = keystone, " +
				"and 127.0.0.1 (this machine alone) without, so that nothing is open to others that nobody asked for.",
		}, "an IP address or a host name", validListen, func(c *Config) *string { return &c.Listen }),
		integer(option[Config]{
			group: def, name: "osapi_volume_listen_port", def: "8776", api: true,
			help: "The port the API listens on. 0: any that is free.",
		}, 0, 65535, func(c *Config) *int { return &c.ListenPort }),
		projectRegex(option[Config]{
			group: def, name: "project_id_regex", def: `[0-9a-f\-]+`, api: true,
			help: "What the ids of projects in the paths of requests look like, as a whole. Empty: anything without a slash. What is called as a part of the API, such as clusters, is no project.",
		}),
		boolean(option[Config]{
			group: def, name: "osapi_volume_use_ssl", def: "false", api: true,
			help: "Serve TLS. Needs [ssl] cert_file and key_file.",
		}, func(c *Config) *bool { return &c.Edge.UseSSL }),
		text(option[Config]{
			group: def, name: "public_endpoint", api: true,
			help: "What the links in answers begin with, where clients reach the API by another address than this process sees. Empty: the address of the request.",
		}, "an http or https URL, or empty", optionalHTTP, func(c *Config) *string { return &c.PublicEndpoint }),
		choice(option[Config]{
			group: def, name: "auth_strategy", def: AuthKeystone, api: true,
			help: "Who says who a caller is: keystone, with [keystone_authtoken]. " +
				"noauth and noauth_include_project_id believe the token, USER:PROJECT, and must be chosen on purpose.",
		}, func(c *Config) *string { return &c.AuthStrategy }, AuthNoauth, AuthNoauthProject, AuthKeystone),
		boolean(option[Config]{
			group: def, name: "debug", def: "false",
			help: "Log at level DEBUG.",
		}, func(c *Config) *bool { return &c.Debug }),
		boolean(option[Config]{
			group: def, name: "use_json", def: "false",
			help: "Log in JSON, a line for each record.",
		}, func(c *Config) *bool { return &c.UseJSON }),

		path(option[Config]{
			group: def, name: "log_dir", old: []string{"DEFAULT.logdir"},
			help: "The directory of log_file; without that, the log goes to stoker-api.log, stoker-volume.log and so on in it. Files are opened again on SIGHUP.",
		}, func(c *Config) *string { return &c.LogDir }),
		path(option[Config]{
			group: def, name: "log_file", old: []string{"DEFAULT.logfile"},
			help: "The file to log to. Empty, and no log_dir: standard error.",
		}, func(c *Config) *string { return &c.LogFile }),
	}
}

func ownOptions() []option[Config] {
	return []option[Config]{
		boolean(option[Config]{
			group: ownGroup, name: "insecure_noauth", def: "false", ours: true, api: true,
			help: "Allow auth_strategy noauth on an address that other machines reach. Whoever reaches it is an administrator then. " +
				"They reach it by a name or address in noauth_hosts.",
		}, func(c *Config) *bool { return &c.InsecureNoauth }),
		list(option[Config]{
			group: ownGroup, name: "noauth_hosts", ours: true, api: true,
			help: "With auth_strategy noauth, the names and addresses that requests may be sent to (their Host, whatever the port), " +
				"beside those of loopback, osapi_volume_listen and public_endpoint. Others are refused: a page in a browser could " +
				"have a name of its own lead here, and act as an administrator.",
		}, "host names and IP addresses without ports, separated by commas", validListen, func(c *Config) *[]string { return &c.NoauthHosts }),
		fraction(option[Config]{
			group: ownGroup, name: "pools_timeout", def: "1", ours: true,
			help: "How long a list waits for a scheduler to tell the state of the backends; without an answer the state is shown as null.",
		}, func(c *Config) *time.Duration { return &c.PoolsTimeout }),
		fraction(option[Config]{
			group: ownGroup, name: "log_timeout", def: "5", ours: true,
			help: "How long get-log waits for the services, which it asks all at once; those that do not answer are named.",
		}, func(c *Config) *time.Duration { return &c.LogTimeout }),
		fraction(option[Config]{
			group: ownGroup, name: "failover_expiry", def: "$rpc_response_timeout", ours: true,
			help: "A failover that waits in a queue for longer is not carried out any more, and a service of Stoker's that is not told of it for as long ends it. At most failover_deadline.",
		}, func(c *Config) *time.Duration { return &c.FailoverExpiry }),
		fraction(option[Config]{
			group: ownGroup, name: "failover_deadline", def: "3600", ours: true,
			help: "A failover that has not ended by then is shown as overdue.",
		}, func(c *Config) *time.Duration { return &c.FailoverDeadline }),
		number(option[Config]{
			group: ownGroup, name: "rate_limit", def: "0", ours: true, api: true,
			help: "How many requests a second one caller may send. 0: as many as he likes.",
		}, 1e6, func(c *Config) *float64 { return &c.Edge.Rate }),
		integer(option[Config]{
			group: ownGroup, name: "rate_limit_burst", def: "20", ours: true, api: true,
			help: "How many of them at once.",
		}, 1, 1_000_000, func(c *Config) *int { return &c.Edge.Burst }),
		integer(option[Config]{
			group: ownGroup, name: "idempotency_keys_per_caller", def: "10000", ours: true, api: true,
			help: "How many changes with an Idempotency-Key one caller may send a day. One more is refused with 429 until the oldest key is a day old: " +
				"to forget a key sooner would let its request be carried out twice.",
		}, 1, 1_000_000, func(c *Config) *int { return &c.Edge.Keys }),
		fraction(option[Config]{
			group: ownGroup, name: "watch_time", def: "3600", ours: true,
			help: "How long a freeze or thaw that nobody answered is monitored after its deadline: should the service carry it out late, it is undone.",
		}, func(c *Config) *time.Duration { return &c.WatchTime }),
		span(option[Config]{
			group: ownGroup, name: "lease_time", def: "20", ours: true,
			help: "How long an operation may go without a sign of life from the process that has it in hand, until another API process takes it over. " +
				"Longer where processes or the database may stand still for a while, as in a move of a virtual machine.",
		}, 5, 3600, func(c *Config) *time.Duration { return &c.LeaseTime }),
		integer(option[Config]{
			group: ownGroup, name: "journal_retention_days", def: "90", ours: true,
			help: "How many days the journal keeps an operation.",
		}, 1, 3650, func(c *Config) *int { return &c.JournalDays }),
		text(option[Config]{
			group: ownGroup, name: "metrics_listen", ours: true, api: true,
			help: "Where Prometheus may ask for metrics: plain HTTP, GET /metrics, without a token. It names hosts and the reasons why services are disabled: " +
				"an address that only the monitoring reaches. Port 0: any that is free. Empty: nowhere.",
		}, "HOST:PORT, or empty", optionalHostPort, func(c *Config) *string { return &c.MetricsListen }),
		upstreams(option[Config]{
			group: "stoker", name: "upstream", ours: true, api: true,
			help: "The cinder-api that answers what Stoker does not serve, such as http://127.0.0.1:8778. Several are tried in their order. " +
				"Empty: what Stoker does not serve is answered with 404, and a proxy has to send it to cinder-api.",
		}, func(c *Config) *[]string { return &c.Upstream }),
		path(option[Config]{
			group: "stoker", name: "upstream_ca_file", ours: true, api: true,
			help: "Who signs the certificates of an https upstream, in PEM. Empty: whom the system trusts.",
		}, func(c *Config) *string { return &c.UpstreamCAFile }),
		repeated(option[Config]{
			group: groupNotifications, name: "driver", old: []string{"DEFAULT.notification_driver"},
			help: "messagingv2: tell the bus of services that are enabled, disabled, frozen, thawed and failed over. Other drivers of oslo.messaging do nothing here. May be repeated.",
		}, "names of drivers, separated by commas", validName, func(c *Config) *[]string { return &c.NotifyDrivers }),
		list(option[Config]{
			group: groupNotifications, name: "topics", def: "notifications", old: []string{"DEFAULT.notification_topics", "rpc_notifier2.topics"},
			help: "The queues that notifications go to: each of these names, with .info or .error. They are lost while nobody has declared them.",
		}, "names, separated by commas", validName, func(c *Config) *[]string { return &c.NotifyTopics }),
	}
}

// maxName is the width of Cinder's columns for names, in characters.
const maxName = 255

func validName(s string) bool { return s != "" && utf8.RuneCountInString(s) <= maxName }

// validHost leaves out @ and #, which separate host, backend and pool.
func validHost(s string) bool {
	return validName(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '@' || r == '#' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

func optionalHost(s string) bool { return s == "" || validHost(s) }

// defaultListen is where the API listens when nobody said.
func defaultListen(strategy string) string {
	if strategy == AuthKeystone {
		return "0.0.0.0"
	}
	return "127.0.0.1"
}

// projectRegex is a regular expression that we can apply: Python's has more to
// it than ours.
func projectRegex(o option[Config]) option[Config] {
	compile := func(c *Config) error {
		_, err := regexp.Compile(c.ProjectRegex)
		return err
	}
	o = text(o, "a regular expression", nil, func(c *Config) *string { return &c.ProjectRegex })
	o.set = func(c *Config, s string) bool { c.ProjectRegex = cmp.Or(s, "[^/]+"); return true }
	o.valid = func(c *Config) bool { return compile(c) == nil }
	o.problem = func(c *Config) string {
		return "is not a regular expression that Go knows: " + strings.TrimPrefix(fmt.Sprint(compile(c)), "error parsing regexp: ")
	}
	return o
}

// validTransport fails for a URL of no bus that we speak.
func validTransport(u URL) error {
	_, err := dsn.ParseTransport(string(u))
	return err
}

// optionalHTTP takes URLs of HTTP without user and password, and nothing at all.
func optionalHTTP(s string) bool {
	if s == "" {
		return true
	}
	u, err := neturl.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// optionalHostPort takes an address to listen on with its port, and nothing at all.
func optionalHostPort(s string) bool {
	if s == "" {
		return true
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil && validListen(host)
}

func validListen(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	ok, _ := regexp.MatchString(`^[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)*$`, s)
	return ok && len(s) <= maxName
}
