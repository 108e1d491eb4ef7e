package config

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"stoker/internal/osloconf"
)

// The values of auth_strategy.
const (
	AuthNoauth        = "noauth"
	AuthNoauthProject = "noauth_include_project_id"
	AuthKeystone      = "keystone"
)

// Config is every option, typed. Field comments name the option; the table in
// options.go and doc/configuration.md say what each means. It holds secrets:
// they are in fields of type URL or ReplicationDevice, which do not print them.
type Config struct {
	Host            string        // [DEFAULT] host
	Cluster         string        // [DEFAULT] cluster; "" is none
	Zone            string        // [DEFAULT] storage_availability_zone
	StatePath       string        // [DEFAULT] state_path
	EnabledBackends []string      // [DEFAULT] enabled_backends: sections of Backends
	ReportInterval  time.Duration // [DEFAULT] report_interval
	DownTime        time.Duration // [DEFAULT] service_down_time
	PollInterval    time.Duration // [DEFAULT] backend_stats_polling_interval

	TransportURL    URL           // [DEFAULT] transport_url
	ResponseTimeout time.Duration // [DEFAULT] rpc_response_timeout

	Listen       string // [DEFAULT] osapi_volume_listen: an address or a name, without port
	ListenPort   int    // [DEFAULT] osapi_volume_listen_port
	AuthStrategy string // [DEFAULT] auth_strategy

	Debug   bool // [DEFAULT] debug
	UseJSON bool // [DEFAULT] use_json

	Database URL // [database] connection

	InsecureNoauth   bool          // [stoker] insecure_noauth
	PoolsTimeout     time.Duration // [stoker] pools_timeout
	LogTimeout       time.Duration // [stoker] log_timeout
	FailoverExpiry   time.Duration // [stoker] failover_expiry
	FailoverDeadline time.Duration // [stoker] failover_deadline

	Backends []Backend // one for each of EnabledBackends, in their order

	settings *osloconf.Settings // what it was read from; nil when it was made in code
}

// Default is the Config of an empty file. It is not valid by itself: nobody has
// chosen an auth_strategy that there is.
func Default() Config {
	c, _ := read(nil)
	return c
}

// hostname is the default of host: that of the machine, or "localhost" when the
// machine does not say or says something that no service can be called.
func hostname() string {
	if name, err := os.Hostname(); err == nil && validHost(name) {
		return name
	}
	return "localhost"
}

// ListenAddress is where the API listens: host:port.
func (c Config) ListenAddress() string {
	return net.JoinHostPort(c.Listen, strconv.Itoa(c.ListenPort))
}

// Noauth says whether requests are believed to come from whom they say.
func (c Config) Noauth() bool {
	return c.AuthStrategy == AuthNoauth || c.AuthStrategy == AuthNoauthProject
}

// loopback says whether only this machine reaches the address.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// String is the configuration as a file would have it, secrets left out.
func (c Config) String() string {
	var b strings.Builder
	section := ""
	for _, o := range options() {
		if o.group != section {
			section = o.group
			b.WriteString("[" + section + "]\n")
		}
		b.WriteString(o.name + " = " + o.show(&c) + "\n")
	}
	for _, k := range c.Backends {
		b.WriteString("[" + k.Section + "]\n")
		for _, o := range backendOptions() {
			if text := o.show(&k); text != "" {
				b.WriteString(o.name + " = " + text + "\n")
			}
		}
	}
	return b.String()
}

// GoString is String: %#v must not show secrets either.
func (c Config) GoString() string { return c.String() }
