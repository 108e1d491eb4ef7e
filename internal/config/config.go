package config

import (
	"context"
	"net"
	"net/netip"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
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
// they are in fields of type URL, Secret or ReplicationDevice, which do not print them.
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

	ProjectRegex   string // [DEFAULT] project_id_regex
	PublicEndpoint string // [DEFAULT] public_endpoint; "" is the address of the request

	Debug   bool   // [DEFAULT] debug
	UseJSON bool   // [DEFAULT] use_json
	LogDir  string // [DEFAULT] log_dir
	LogFile string // [DEFAULT] log_file

	Database  URL // [database] connection
	Pool      Pool
	Rabbit    Rabbit
	Authtoken Authtoken
	Policy    Policy
	Edge      Edge

	InsecureNoauth   bool          // [stoker] insecure_noauth
	NoauthHosts      []string      // [stoker] noauth_hosts
	PoolsTimeout     time.Duration // [stoker] pools_timeout
	LogTimeout       time.Duration // [stoker] log_timeout
	FailoverExpiry   time.Duration // [stoker] failover_expiry
	FailoverDeadline time.Duration // [stoker] failover_deadline
	WatchTime        time.Duration // [stoker] watch_time
	LeaseTime        time.Duration // [stoker] lease_time
	JournalDays      int           // [stoker] journal_retention_days
	MetricsListen    string        // [stoker] metrics_listen: host:port; "" is none

	Upstream       []string // [stoker] upstream: URLs without a path; none: nothing is passed on
	UpstreamCAFile string   // [stoker] upstream_ca_file; "" is whom the system trusts

	NotifyDrivers []string // [oslo_messaging_notifications] driver
	NotifyTopics  []string // [oslo_messaging_notifications] topics

	Backends []Backend // one for each of EnabledBackends, in their order

	settings *osloconf.Settings // what it was read from; nil when it was made in code
	files    []string           // the files of it
}

// Default is the Config of an empty file. It is not valid by itself: nobody has
// said where Keystone is, or that there is none.
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

// ownAddress is the address that this machine has for others, or 127.0.0.1, as
// Cinder finds out: nothing is sent.
func ownAddress() string {
	c, err := (&net.Dialer{}).DialContext(context.Background(), "udp4", "192.0.2.0:80")
	if err != nil {
		return "127.0.0.1"
	}
	defer func() { _ = c.Close() }()
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return a.IP.String()
	}
	return "127.0.0.1"
}

// ListenAddress is where the API listens: host:port.
func (c Config) ListenAddress() string {
	return net.JoinHostPort(c.Listen, strconv.Itoa(c.ListenPort))
}

// Log is the file that a program of that name logs to: "" for standard error.
func (c Config) Log(program string) string {
	switch {
	case c.LogFile != "" && (c.LogDir == "" || filepath.IsAbs(c.LogFile)):
		return c.LogFile
	case c.LogFile != "":
		return filepath.Join(c.LogDir, c.LogFile)
	case c.LogDir != "":
		return filepath.Join(c.LogDir, program+".log")
	default:
		return ""
	}
}

// Find is where a file or directory of a relative name is to be looked for, the
// likeliest place first: beside the configuration files, the last of them first,
// and in Cinder's directory. An absolute name is there alone.
func (c Config) Find(name string) []string {
	if filepath.IsAbs(name) {
		return []string{name}
	}
	var places []string
	for _, f := range slices.Backward(c.files) {
		places = append(places, filepath.Join(filepath.Dir(f), name))
	}
	return append(places, filepath.Join("/etc/cinder", name))
}

// Noauth says whether requests are believed to come from whom they say.
func (c Config) Noauth() bool {
	return c.AuthStrategy == AuthNoauth || c.AuthStrategy == AuthNoauthProject
}

// OwnHosts are those under which this configuration says that the API is reached:
// where it listens, what it is called in public, and noauth_hosts.
func (c Config) OwnHosts() []string {
	hosts := slices.Clone(c.NoauthHosts)
	if a, err := netip.ParseAddr(c.Listen); (err != nil || !a.IsUnspecified()) && c.Listen != "" {
		hosts = append(hosts, c.Listen)
	}
	if u, err := neturl.Parse(c.PublicEndpoint); err == nil && u.Host != "" {
		hosts = append(hosts, u.Hostname())
	}
	return hosts
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
		if in := o.section(&c); in != section {
			section = in
			b.WriteString("[" + section + "]\n")
		}
		b.WriteString(o.name + " = " + o.show(&c) + "\n")
	}
	for _, section := range c.Edge.MoreCORS {
		b.WriteString("[" + section.Section + "]\n")
		own := c.with(section)
		for _, o := range corsOptions() {
			b.WriteString(o.name + " = " + o.show(&own) + "\n")
		}
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
