package cli_test

import (
	"database/sql"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/cinder"
	"stoker/internal/cli"
	"stoker/internal/store"
	"stoker/test/peers"
)

// busCase is a bus as `stoker bus check` finds it, and the database beside it.
type busCase struct {
	t       *testing.T
	broker  *peers.Broker
	full    string // the URL of an account that may do everything
	options string // of the configuration file, besides that of the bus
}

func (c *busCase) must(errs ...error) {
	c.t.Helper()
	for _, err := range errs {
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// channel is that of a client which knows nothing of oslo.messaging.
func (c *busCase) channel() *amqp091.Channel {
	c.t.Helper()
	conn, err := amqp091.Dial("amqp" + strings.TrimPrefix(c.full, "rabbit"))
	c.must(err)
	c.t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	c.must(err)
	return ch
}

// exchanges are made as the services of a cloud make them.
func (c *busCase) exchanges(durable bool) {
	c.t.Helper()
	ch := c.channel()
	c.must(ch.ExchangeDeclare("openstack", "topic", durable, false, false, false, nil),
		ch.ExchangeDeclare("cinder-scheduler_fanout", "fanout", false, true, false, false, nil))
}

// listens has somebody listen to queues.
func (c *busCase) listens(durable bool, queues ...string) {
	c.t.Helper()
	for _, q := range queues {
		ch := c.channel()
		_, err := ch.QueueDeclare(q, durable, false, false, false, nil)
		c.must(err)
		_, err = ch.Consume(q, "", false, false, false, false, nil)
		c.must(err)
	}
}

// limited is an account without some of the permissions.
func (c *busCase) limited(p peers.Permissions) string {
	c.t.Helper()
	account := c.broker.Account(c.t, c.full)
	c.broker.Permit(c.t, account, p)
	return account
}

// services are rows of a new database: those that are up, and those that are down.
func (c *busCase) services(up, down []cinder.Service) {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "stoker.db")
	db, err := store.Open(c.t.Context(), store.Options{URL: "sqlite:///" + path})
	c.must(err)
	_, err = db.Sync(c.t.Context())
	c.must(err)
	for _, s := range slices.Concat(up, down) {
		s.RPCVersion, s.ObjectVersion = cinder.VolumeRPCVersion, "1.38"
		_, err = db.Register(c.t.Context(), s)
		c.must(err)
	}
	c.must(db.Close())
	other, err := sql.Open("sqlite", path)
	c.must(err)
	for _, s := range down {
		_, err := other.ExecContext(c.t.Context(), `UPDATE services SET created_at = '2020-01-01 00:00:00' WHERE host = ?`, s.Host)
		c.must(err)
	}
	c.must(other.Close())
	c.options += "[database]\nconnection = sqlite:///" + path + "\n"
}

// TestBusCheck: what an operator is told of a bus, good or bad.
func TestBusCheck(t *testing.T) {
	broker := engines.RabbitMQ(t)
	volume := func(host, cluster string) cinder.Service {
		return cinder.Service{Binary: cinder.BinaryVolume, Host: host, Cluster: cluster, Zone: "nova"}
	}
	backup := cinder.Service{Binary: cinder.BinaryBackup, Host: "ctl", Zone: "nova"}
	for name, prepare := range map[string]func(c *busCase) (transport string){
		"new": func(c *busCase) string { return c.full },
		"well": func(c *busCase) string {
			c.exchanges(false)
			c.listens(false, "cinder-scheduler", "cinder-volume.h@b.h", "cinder-volume.cl@b.cl", "cinder-backup.ctl")
			c.services([]cinder.Service{volume("h@b", "cl@b"), backup}, nil)
			return c.full
		},
		"services": func(c *busCase) string {
			c.exchanges(false)
			c.listens(false, "cinder-volume.down-heard@b.down-heard")
			c.services([]cinder.Service{volume("up-unheard@b", "")}, []cinder.Service{volume("down-heard@b", ""), volume("down-unheard@b", "")})
			return c.full
		},
		"durable": func(c *busCase) string {
			c.exchanges(true)
			c.listens(true, "cinder-scheduler", "cinder-backup.ctl")
			c.services([]cinder.Service{backup}, nil)
			return c.full
		},
		"durable-here": func(c *busCase) string {
			c.exchanges(true)
			c.listens(true, "cinder-scheduler")
			c.options += "[oslo_messaging_rabbit]\namqp_durable_queues = true\n"
			return c.full
		},
		"no-configure": func(c *busCase) string {
			c.exchanges(false)
			return c.limited(peers.Permissions{Write: ".*", Read: ".*"})
		},
		"no-write": func(c *busCase) string {
			c.exchanges(false)
			return c.limited(peers.Permissions{Configure: ".*", Read: ".*"})
		},
		"no-read": func(c *busCase) string {
			c.exchanges(false)
			return c.limited(peers.Permissions{Configure: ".*", Write: ".*"})
		},
		"password": func(c *busCase) string {
			account := c.limited(peers.All())
			c.broker.SetPassword(c.t, account, "another")
			return account
		},
		"no-vhost": func(c *busCase) string { return c.full + "missing" },
		"not-permitted": func(c *busCase) string {
			return c.broker.Account(c.t, c.full)
		},
		"two-hosts": func(c *busCase) string {
			u, err := url.Parse(c.full)
			c.must(err)
			return strings.Replace(c.full, "@"+u.Host, "@"+peers.Nobody(c.t)+","+u.User.String()+"@"+u.Host, 1)
		},
		"hung": func(c *busCase) string {
			silent, err := (&net.ListenConfig{}).Listen(c.t.Context(), "tcp", "127.0.0.1:0")
			c.must(err)
			c.t.Cleanup(func() { _ = silent.Close() })
			return strings.Replace(c.full, c.broker.Addr(), silent.Addr().String(), 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // a login is refused after three seconds
			c := &busCase{t: t, broker: broker, full: broker.URL(t)}
			transport := prepare(c)
			if !strings.Contains(c.options, "[database]") {
				c.options += "[database]\nconnection = sqlite:////nowhere/x.db\n"
			}
			began := time.Now()
			got := run(t, nil, cli.Servers(), "bus", "check", "--config-file", conf(t, "[DEFAULT]\ntransport_url = "+transport+"\n"+c.options))
			if took := time.Since(began); took > time.Minute { // the command's own bound, and another for a busy machine
				t.Errorf("it took %v", took)
			}
			golden(t, "bus-check-"+name, steady(got.String()))
			if strings.Contains(got.String(), "-pw") {
				t.Error("it prints a password")
			}
		})
	}
}

// steady is the output with what differs from run to run made alike, and the
// borders of tables, which follow from that, left out.
func steady(text string) string {
	for pattern, with := range map[string]string{
		`127\.0\.0\.1:\d+`:                 "ADDRESS",
		`RabbitMQ \d[\w.]*`:                "RabbitMQ VERSION",
		`stoker\d+@[\w.-]+`:                "NODE",
		`reply_[0-9a-f]{32}`:               "reply_ID",
		`account\d+`:                       "ACCOUNT",
		`\bv\d+(missing)?\b`:               "VHOST$1",
		`after [0-9.]+[mµ]?s`:              "after TIME",
		`(configure|write|read) access to`: "access to", // as newer brokers say it
		`\+-[-+]+\+\n`:                     "",
		` +\|`:                             " |",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, with)
	}
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}

// TestBusCheckLeavesNothing: neither where nothing is, nor where everything is.
func TestBusCheckLeavesNothing(t *testing.T) {
	broker := engines.RabbitMQ(t)
	c := &busCase{t: t, broker: broker, full: broker.URL(t)}
	u, err := url.Parse(c.full)
	c.must(err)
	all := func() string {
		t.Helper()
		text := ""
		for _, what := range []string{"list_queues", "list_exchanges", "list_bindings"} {
			text += broker.Control(t, what, "--vhost", u.Path[1:])
		}
		return text
	}
	config := conf(t, "[DEFAULT]\ntransport_url = "+c.full+"\n[database]\nconnection = sqlite:////nowhere/x.db\n")
	check := func() {
		t.Helper()
		before := all()
		if got := run(t, nil, cli.Servers(), "bus", "check", "--config-file", config); got.status != 0 {
			t.Error(got)
		}
		if after := all(); after != before {
			t.Errorf("before\n%s\nafter\n%s", before, after)
		}
	}
	check()
	c.exchanges(false)
	c.listens(false, "cinder-scheduler")
	check()
}
