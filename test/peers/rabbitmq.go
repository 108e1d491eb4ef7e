package peers

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
)

// Broker is a RabbitMQ.
type Broker struct {
	*Engine
	TLS        Certificates // what it shows at TLSAddr
	secure     int          // the port for TLS
	management int          // the port of its HTTP API
	made       atomic.Int64
}

// rabbitPrograms is where they are.
type rabbitPrograms struct {
	in            Release
	server, names string
}

func findRabbitMQ(tb testing.TB, r Release) rabbitPrograms {
	tb.Helper()
	return rabbitPrograms{
		r,
		r.Need(tb, "RabbitMQ", "/usr/lib/rabbitmq/bin/rabbitmq-server"),
		r.Need(tb, "RabbitMQ", "epmd"),
	}
}

// StartRabbitMQ returns a RabbitMQ of this test's own.
func StartRabbitMQ(tb testing.TB) *Broker {
	tb.Helper()
	return Bookworm.StartRabbitMQ(tb)
}

// StartRabbitMQ returns a RabbitMQ of the release, of this test's own.
func (r Release) StartRabbitMQ(tb testing.TB) *Broker {
	tb.Helper()
	b, err := startRabbitMQ(findRabbitMQ(tb, r))
	if err != nil {
		tb.Fatal(err)
	}
	b.owned(tb)
	return b
}

// startRabbitMQ starts a node and, for it alone, the daemon by which Erlang's
// nodes find one another: the usual one would be left behind.
func startRabbitMQ(programs rabbitPrograms) (*Broker, error) {
	e, err := newEngine("RabbitMQ")
	if err != nil {
		return nil, err
	}
	b := &Broker{Engine: e}
	e.ready = b.answers
	var names, nodes int
	for _, port := range []*int{&b.management, &b.secure, &names, &nodes} {
		if *port, err = freePort(); err != nil {
			return nil, err
		}
	}
	daemon, err := start(command{in: programs.in, name: "epmd", path: programs.names, args: []string{"-address", "127.0.0.1", "-port", strconv.Itoa(names)}, dir: e.dir})
	if err != nil {
		return nil, err
	}
	e.others = append(e.others, daemon)
	in := func(name string) string { return filepath.Join(e.dir, name) }
	if b.TLS, err = newCertificates(e.dir); err != nil {
		return nil, errors.Join(err, e.close())
	}
	err = errors.Join(
		os.WriteFile(in("plugins"), []byte("[rabbitmq_management].\n"), 0o600),
		os.WriteFile(in("rabbitmq.conf"), fmt.Appendf(nil, `listeners.tcp.default = %s
listeners.ssl.default = %s
ssl_options.cacertfile = %s
ssl_options.certfile = %s
ssl_options.keyfile = %s
management.tcp.ip = 127.0.0.1
management.tcp.port = %d
default_user = %s
default_pass = %s
log.console = true
log.console.level = info
log.file = false
disk_free_limit.absolute = 10MB
`, e.Addr(), b.TLSAddr(), b.TLS.CA, b.TLS.Cert, b.TLS.Key, b.management, userName, password), 0o600))
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	e.launch = command{
		in: programs.in, name: "rabbitmq", path: programs.server, dir: e.dir,
		env: []string{
			"RUNNING_UNDER_SYSTEMD=1", // the node in place of the script, which would not pass signals on
			"ERL_EPMD_PORT=" + strconv.Itoa(names),
			"RABBITMQ_NODENAME=stoker" + strconv.Itoa(e.port) + "@localhost",
			"RABBITMQ_DIST_PORT=" + strconv.Itoa(nodes),
			"RABBITMQ_CONF_ENV_FILE=" + in("none"),
			"RABBITMQ_CONFIG_FILE=" + in("rabbitmq.conf"),
			"RABBITMQ_ADVANCED_CONFIG_FILE=" + in("advanced.config"),
			"RABBITMQ_ENABLED_PLUGINS_FILE=" + in("plugins"),
			"RABBITMQ_MNESIA_BASE=" + in("data"), "RABBITMQ_LOG_BASE=" + in("log"), "RABBITMQ_PID_FILE=" + in("pid"),
			"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
		},
	}
	if err := b.start(); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return b, nil
}

// TLSAddr returns where it listens with TLS: 127.0.0.1:PORT, the same for all its life.
func (b *Broker) TLSAddr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.secure)) }

// URL returns oslo.messaging's transport_url of a new virtual host, which is
// removed when the test ends.
func (b *Broker) URL(tb testing.TB) string {
	tb.Helper()
	vhost := "v" + strconv.FormatInt(b.made.Add(1), 10)
	err := errors.Join(
		b.manage(tb.Context(), http.MethodPut, "/api/vhosts/"+vhost, map[string]any{}),
		b.manage(tb.Context(), http.MethodPut, "/api/permissions/"+vhost+"/"+userName, map[string]any{"configure": ".*", "write": ".*", "read": ".*"}))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if b.proc.exited() {
			return // what a test has killed, it need not tidy
		}
		ctx, cancel := context.WithTimeout(context.Background(), startWithin)
		defer cancel()
		if err := b.manage(ctx, http.MethodDelete, "/api/vhosts/"+vhost, nil); err != nil {
			tb.Log(err)
		}
	})
	u := url.URL{Scheme: "rabbit", User: url.UserPassword(userName, password), Host: b.Addr(), Path: "/" + vhost}
	return u.String()
}

// Control runs rabbitmqctl and returns what it prints.
func (b *Broker) Control(tb testing.TB, args ...string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	cmd := b.launch.in.Command(ctx, filepath.Join(filepath.Dir(b.launch.path), "rabbitmqctl"), append([]string{"--quiet"}, args...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=" + b.dir}, b.launch.env...) // the cookie is there
	cmd.Env = append(cmd.Env, "RABBITMQ_CTL_ERL_ARGS=-dist_listen false")                                     // on one of a few ports that others may have
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("rabbitmqctl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// answers reports whether it takes both AMQP and management.
func (b *Broker) answers(ctx context.Context) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.Addr())
	if err != nil {
		return err
	}
	_ = c.Close()
	return b.manage(ctx, http.MethodGet, "/api/overview", nil)
}

// manage does one request of the management API.
func (b *Broker) manage(ctx context.Context, method, path string, body any) error {
	header := http.Header{}
	header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(userName+":"+password)))
	_, err := rest(ctx, method, "http://127.0.0.1:"+strconv.Itoa(b.management)+path, header, body, nil)
	return err
}

// Permissions are regular expressions: which queues and exchanges an account may
// make, write to and read from. "" is none.
type Permissions struct {
	Configure string `json:"configure"`
	Write     string `json:"write"`
	Read      string `json:"read"`
}

// All is what the account of Broker.URL may do.
func All() Permissions { return Permissions{".*", ".*", ".*"} }

// Account returns the transport_url with a new account, which is removed when the
// test ends. Its permissions are for Permit to give.
func (b *Broker) Account(tb testing.TB, transport string) string {
	tb.Helper()
	u, err := url.Parse(transport)
	if err != nil {
		tb.Fatal(err)
	}
	name := "account" + strconv.FormatInt(b.made.Add(1), 10)
	u.User = url.UserPassword(name, password)
	b.SetPassword(tb, u.String(), password)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startWithin)
		defer cancel()
		if err := b.manage(ctx, http.MethodDelete, "/api/users/"+name, nil); err != nil {
			tb.Log(err)
		}
	})
	return u.String()
}

// SetPassword changes that of the URL's account.
func (b *Broker) SetPassword(tb testing.TB, transport, password string) {
	tb.Helper()
	b.must(tb, transport, func(user, _ string) (string, any) {
		return "/api/users/" + user, map[string]any{"password": password, "tags": ""}
	})
}

// Permit says what the URL's account may do in its virtual host from now on.
func (b *Broker) Permit(tb testing.TB, transport string, p Permissions) {
	tb.Helper()
	b.must(tb, transport, func(user, vhost string) (string, any) { return "/api/permissions/" + vhost + "/" + user, p })
}

// MakeVirtualHost makes that of a URL, which is removed when the test ends.
func (b *Broker) MakeVirtualHost(tb testing.TB, transport string) {
	tb.Helper()
	b.must(tb, transport, func(_, vhost string) (string, any) {
		tb.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), startWithin)
			defer cancel()
			if err := b.manage(ctx, http.MethodDelete, "/api/vhosts/"+vhost, nil); err != nil {
				tb.Log(err)
			}
		})
		return "/api/vhosts/" + vhost, map[string]any{}
	})
}

// must puts something of the management API for the user and virtual host of a URL.
func (b *Broker) must(tb testing.TB, transport string, request func(user, vhost string) (path string, body any)) {
	tb.Helper()
	u, err := url.Parse(transport)
	if err != nil {
		tb.Fatal(err)
	}
	path, body := request(u.User.Username(), u.Path[1:])
	if err := b.manage(tb.Context(), http.MethodPut, path, body); err != nil {
		tb.Fatal(err)
	}
}
