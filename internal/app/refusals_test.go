package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/app"
	"stoker/internal/config"
	"stoker/test/peers"
)

// onBroker starts an API on a bus; its rows are in a file.
func onBroker(t *testing.T, transport string) *site {
	t.Helper()
	o := standalone(t, t.TempDir())
	o = app.Options{Config: o.Config, API: true, Sync: true}
	o.Config.TransportURL, o.Config.MetricsListen = config.URL(transport), "127.0.0.1:0"
	return start(t, o)
}

// channel is that of a client which knows nothing of oslo.messaging.
func channel(t *testing.T, transport string) *amqp091.Channel {
	t.Helper()
	conn, err := amqp091.Dial("amqp" + strings.TrimPrefix(transport, "rabbit"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// TestHealthTellsWhatTheBrokerRefuses: what no command gets past is told in health,
// with the remedy, in a metric and once in the log, and no more once it is mended.
func TestHealthTellsWhatTheBrokerRefuses(t *testing.T) {
	broker := engines.RabbitMQ(t)
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// without has an account without some of the permissions.
	without := func(p peers.Permissions) func(*testing.T, string) (string, func()) {
		return func(t *testing.T, full string) (string, func()) {
			t.Helper()
			limited := broker.Account(t, full)
			broker.Permit(t, limited, p)
			return limited, func() { broker.Permit(t, limited, peers.All()) }
		}
	}
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, full string) (transport string, mend func())
		tells []string
		hides string // the server's own word for it, which is for the log
	}{
		{
			name: "an exchange that the other services made durable", hides: "PRECONDITION_FAILED",
			tells: []string{"The exchange openstack is already there with other properties", "amqp_durable_queues"},
			spoil: func(t *testing.T, full string) (string, func()) {
				t.Helper()
				ch := channel(t, full)
				must(t, ch.ExchangeDeclare("openstack", "topic", true, false, false, false, nil))
				return full, func() { must(t, ch.ExchangeDelete("openstack", false, false)) }
			},
		},
		{
			name: "a fanout exchange that the other services made durable", hides: "PRECONDITION_FAILED",
			tells: []string{"The exchange cinder-scheduler_fanout is already there with other properties", "rabbit_transient_quorum_queue"},
			spoil: func(t *testing.T, full string) (string, func()) {
				t.Helper()
				ch := channel(t, full)
				must(t, ch.ExchangeDeclare("cinder-scheduler_fanout", "fanout", true, true, false, false, nil))
				return full, func() { must(t, ch.ExchangeDelete("cinder-scheduler_fanout", false, false)) }
			},
		},
		{
			name: "no permission to make anything", hides: "ACCESS_REFUSED",
			tells: []string{"the exchange openstack: the user needs permission to configure", "the queue reply_"},
			spoil: without(peers.Permissions{Write: ".*", Read: ".*"}),
		},
		{
			name: "no permission to make queues of replies", hides: "ACCESS_REFUSED",
			tells: []string{"the queue reply_"},
			spoil: without(peers.Permissions{Configure: "^(?!reply_)", Write: ".*", Read: ".*"}),
		},
		{
			name: "no permission to write to the exchange", hides: "ACCESS_REFUSED",
			tells: []string{"The broker does not let us send to the exchange openstack: the user needs permission to write to the exchange."},
			spoil: without(peers.Permissions{Configure: ".*", Write: "^(?!openstack)", Read: ".*"}),
		},
		{
			name: "no permission to read replies", hides: "ACCESS_REFUSED",
			tells: []string{"The broker does not let us listen to the queue reply_", "the user needs permission to read the queue."},
			spoil: without(peers.Permissions{Configure: ".*", Write: ".*", Read: "^(?!reply_)"}),
		},
		{
			name: "a wrong password", hides: "account",
			tells: []string{"The broker refuses the login: check user and password in transport_url."},
			spoil: func(t *testing.T, full string) (string, func()) {
				t.Helper()
				limited := broker.Account(t, full)
				broker.Permit(t, limited, peers.All())
				broker.SetPassword(t, limited, "another")
				u, err := url.Parse(limited)
				must(t, err)
				right, _ := u.User.Password()
				return limited, func() { broker.SetPassword(t, limited, right) }
			},
		},
		{
			name: "no permission in the virtual host", hides: "account",
			tells: []string{"The broker does not let the user use the virtual host"},
			spoil: func(t *testing.T, full string) (string, func()) {
				t.Helper()
				limited := broker.Account(t, full)
				return limited, func() { broker.Permit(t, limited, peers.All()) }
			},
		},
		{
			name: "no such virtual host", hides: "missing",
			tells: []string{"The broker does not have the virtual host that transport_url names"},
			spoil: func(t *testing.T, full string) (string, func()) {
				t.Helper()
				u, err := url.Parse(full)
				must(t, err)
				u.Path += "missing"
				return u.String(), func() {
					broker.MakeVirtualHost(t, u.String())
					broker.Permit(t, u.String(), peers.All())
				}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // a login is refused after three seconds
			transport, mend := tc.spoil(t, broker.URL(t))
			s := onBroker(t, transport)
			var said string
			eventually(t, "health tells of it", func() bool {
				status, parts := s.health(t)
				said = parts["bus"]
				tells := true
				for _, part := range tc.tells {
					tells = tells && strings.Contains(said, part)
				}
				return status == http.StatusServiceUnavailable && tells
			})
			if strings.Contains(said, tc.hides) || strings.Contains(said, broker.Addr()) {
				t.Errorf("everybody is told\n%s", said)
			}
			eventually(t, "the metrics tell of it", func() bool {
				got := s.scrape(t, "stoker_bus_")
				return got["stoker_bus_up"] == "0" && got["stoker_bus_refusals"] != "0" && got["stoker_bus_refusals"] != ""
			})
			eventually(t, "the log tells of it", func() bool { return strings.Contains(s.logs.String(), tc.hides) })
			for range 10 {
				s.health(t)
			}
			if n := strings.Count(s.logs.String(), "the broker refuses what is needed"); n > 4 {
				t.Errorf("it is logged %d times", n)
			}

			mend()
			eventually(t, "health has recovered", func() bool { status, _ := s.health(t); return status == http.StatusOK })
			want := map[string]string{"stoker_bus_up": "1", "stoker_bus_refusals": "0"}
			eventually(t, "the metrics have recovered", func() bool {
				got := s.scrape(t, "stoker_bus_")
				return got["stoker_bus_up"] == want["stoker_bus_up"] && got["stoker_bus_refusals"] == want["stoker_bus_refusals"]
			})
		})
	}
}
