package config

import (
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"stoker/internal/osloconf"
)

// options are all there are outside of the backends' sections, by section.
func options() []option[Config] {
	const def = osloconf.DefaultGroup
	return []option[Config]{
		text(option[Config]{
			group: def, name: "host", def: hostname(),
			help: "The name this process goes by: that of its services, before the @ and the backend. The default is the machine's host name.",
		}, "a name of at most 255 characters without white space, @ and #", validHost,
			func(c *Config) *string { return &c.Host }),
		text(option[Config]{
			group: def, name: "cluster",
			help: "The active-active cluster that the volume services belong to. Empty: none.",
		}, "empty, or a name of at most 255 characters without white space, @ and #",
			func(s string) bool { return s == "" || validHost(s) },
			func(c *Config) *string { return &c.Cluster }),
		text(option[Config]{
			group: def, name: "storage_availability_zone", def: "nova",
			help: "The availability zone of the services.",
		}, "a name of at most 255 characters", validName, func(c *Config) *string { return &c.Zone }),
		text(option[Config]{
			group: def, name: "state_path", def: "/var/lib/cinder",
			help: "The directory of what is kept across restarts. Other options may refer to it as $state_path.",
		}, "a path", func(s string) bool { return s != "" }, func(c *Config) *string { return &c.StatePath }),
		list(option[Config]{
			group: def, name: "enabled_backends",
			help: "The sections of this file that are volume backends, separated by commas: each is a service HOST@SECTION of its own.",
		}, "section names, each once, without white space, @ and #", validHost,
			func(c *Config) *[]string { return &c.EnabledBackends }),
		seconds(option[Config]{
			group: def, name: "report_interval", def: "10",
			help: "The time between two heartbeats of a service. Below service_down_time.",
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
			group: def, name: "transport_url", def: "memory://",
			help: "The message bus. memory:// is a bus inside the process. Cinder's default is rabbit://; a RabbitMQ bus is not supported yet.",
		}, "memory:// (a bus inside the process): rabbit:// is not supported yet",
			func(u URL) bool { return u == "memory://" || u == "memory:///" },
			func(c *Config) *URL { return &c.TransportURL }),
		seconds(option[Config]{
			group: def, name: "rpc_response_timeout", def: "60",
			help: "How long a freeze or thaw waits for the service's answer.",
		}, func(c *Config) *time.Duration { return &c.ResponseTimeout }),
		text(option[Config]{
			group: def, name: "osapi_volume_listen", def: "127.0.0.1",
			help: "The address the API listens on. Cinder's default is 0.0.0.0, every address of the machine: ours is this machine alone, so that nothing is open to others that nobody asked for.",
		}, "an IP address or a host name", validListen, func(c *Config) *string { return &c.Listen }),
		integer(option[Config]{
			group: def, name: "osapi_volume_listen_port", def: "8776",
			help: "The port the API listens on. 0: any that is free.",
		}, 0, 65535, func(c *Config) *int { return &c.ListenPort }),
		choice(option[Config]{
			group: def, name: "auth_strategy", def: AuthKeystone,
			help: "Who says who a caller is. keystone is Cinder's default and not supported yet; " +
				"noauth and noauth_include_project_id believe the token, USER:PROJECT, and must be chosen on purpose: " +
				"a file without this option does not start an open API.",
		}, func(c *Config) *string { return &c.AuthStrategy }, AuthNoauth, AuthNoauthProject, AuthKeystone),
		boolean(option[Config]{
			group: def, name: "debug", def: "false",
			help: "Log at level DEBUG.",
		}, func(c *Config) *bool { return &c.Debug }),
		boolean(option[Config]{
			group: def, name: "use_json", def: "false",
			help: "Log in JSON, a line for each record.",
		}, func(c *Config) *bool { return &c.UseJSON }),

		url(option[Config]{
			group: "database", name: "connection", def: "sqlite:///$state_path/cinder.sqlite",
			help: "The database, as a SQLAlchemy URL: sqlite:////absolute/path, or sqlite:///path from the working directory. Other databases are not supported yet.",
		}, "sqlite:///path (four slashes before an absolute path), without parameters: other databases are not supported yet",
			func(u URL) bool { _, ok := u.SQLitePath(); return ok },
			func(c *Config) *URL { return &c.Database }),

		boolean(option[Config]{
			group: "stoker", name: "insecure_noauth", def: "false", ours: true,
			help: "Allow auth_strategy noauth on an address that other machines reach. Whoever reaches it is an administrator then.",
		}, func(c *Config) *bool { return &c.InsecureNoauth }),
		fraction(option[Config]{
			group: "stoker", name: "pools_timeout", def: "1", ours: true,
			help: "How long a list waits for a scheduler to tell the state of the backends; without an answer the state is shown as null.",
		}, func(c *Config) *time.Duration { return &c.PoolsTimeout }),
		fraction(option[Config]{
			group: "stoker", name: "log_timeout", def: "5", ours: true,
			help: "How long get-log waits for the services, which it asks all at once; those that do not answer are named.",
		}, func(c *Config) *time.Duration { return &c.LogTimeout }),
		fraction(option[Config]{
			group: "stoker", name: "failover_expiry", def: "$rpc_response_timeout", ours: true,
			help: "A failover that waits in a queue for longer is not carried out any more. At most failover_deadline.",
		}, func(c *Config) *time.Duration { return &c.FailoverExpiry }),
		fraction(option[Config]{
			group: "stoker", name: "failover_deadline", def: "3600", ours: true,
			help: "A failover that has not ended by then is shown as overdue.",
		}, func(c *Config) *time.Duration { return &c.FailoverDeadline }),
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

func validListen(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	ok, _ := regexp.MatchString(`^[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)*$`, s)
	return ok && len(s) <= maxName
}
