package amqp_test

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
	"stoker/test/peers"
)

// changed is a URL of a broker, changed.
func changed(tb testing.TB, text string, change func(*url.URL)) string {
	tb.Helper()
	u, err := url.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	change(u)
	return u.String()
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	broker := engines.RabbitMQ(t)
	good := broker.URL(t)
	silent := peers.NewProxy(t, broker.Addr())
	silent.Stall()
	refused := peers.Nobody(t)
	user := ""
	hunter := changed(t, good, func(u *url.URL) {
		user = u.User.Username()
		u.User = url.UserPassword(user, "hunter2")
	})
	for _, tc := range []struct {
		name, url string
		change    func(*amqp.Rabbit)
		want      string
		limit     time.Duration // of the wait; patience
	}{
		{
			name: "a wrong password", url: hunter,
			want: fmt.Sprintf("%s: the login of user %q was refused, or the connection closed while logging in", broker.Addr(), user),
		},
		{
			name: "a wrong password for PLAIN", url: hunter, change: func(r *amqp.Rabbit) { r.LoginMethod = "PLAIN" },
			want: "was refused, or the connection closed while logging in",
		},
		{
			name: "no such virtual host", url: changed(t, good, func(u *url.URL) { u.Path = "/missing" }),
			want: broker.Addr() + `: there is no virtual host "missing"`,
		},
		{
			name: "nobody there", url: changed(t, good, func(u *url.URL) { u.Host = refused }),
			want: refused + ": connection refused",
		},
		{
			name: "no such host", url: changed(t, good, func(u *url.URL) { u.Host = "nowhere.invalid" }),
			want: "nowhere.invalid:5672: no such host name",
		},
		{
			name: "a broker that says nothing", url: silent.In(t, good),
			want: "no broker answered in time", limit: 5 * time.Second,
		},
		{
			name: "TLS to a port without", url: good, change: func(r *amqp.Rabbit) { r.SSL = true },
			want: broker.Addr() + ": TLS failed: the port does not speak TLS",
		},
		{
			name: "a way to log in that the broker has not", url: good, change: func(r *amqp.Rabbit) { r.LoginMethod = "EXTERNAL" },
			want: "the broker knows none of the ways to log in (rabbit_login_method)",
		},
		{
			name: "two hosts", url: strings.Replace(hunter, "@", "@"+refused+","+user+":hunter2@", 1),
			want: refused + ": connection refused; " + broker.Addr() + ": the login of user",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // RabbitMQ takes three seconds to refuse a login
			o := options(t, tc.url)
			if tc.change != nil {
				tc.change(&o.Rabbit)
			}
			_, err := amqp.New(within(t, cmp.Or(tc.limit, patience)), o)
			if cinder.KindOf(err) != cinder.KindUnavailable {
				t.Fatalf("got error %v, want one of kind %s", err, cinder.KindUnavailable)
			}
			text := err.Error()
			if !strings.Contains(text, tc.want) || strings.Contains(text, "\n") || strings.Contains(text, "hunter") {
				t.Errorf("the error is\n\t%s\nwant one line, without the password, with\n\t%s", text, tc.want)
			}
		})
	}
}

func TestOptionsThatCannotBeHad(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*amqp.Rabbit)
		want   string
	}{
		{"mirrored quorum queues", func(r *amqp.Rabbit) { r.HAQueues, r.QuorumQueue = true, true }, "rabbit_ha_queues excludes rabbit_quorum_queue"},
		{"streams beside transient queues", func(r *amqp.Rabbit) { r.StreamFanout, r.Prefetch = true, 1 }, "rabbit_stream_fanout needs rabbit_transient_quorum_queue = true and"},
		{"streams without a prefetch count", func(r *amqp.Rabbit) { r.StreamFanout, r.TransientQuorumQueue = true, true }, "and a rabbit_qos_prefetch_count above 0"},
		{"compression", func(r *amqp.Rabbit) { r.Compression = "gzip" }, "kombu_compression is not supported"},
		{"a way to log in", func(r *amqp.Rabbit) { r.LoginMethod = "RABBIT-CR-DEMO" }, "rabbit_login_method must be"},
		{"a version of TLS", func(r *amqp.Rabbit) { r.SSL, r.SSLVersion = true, "SSLv3" }, "ssl_version must be"},
		{"an authority that is not there", func(r *amqp.Rabbit) { r.SSL, r.SSLCAFile = true, "/nowhere" }, "ssl_ca_file cannot be read"},
		{"a certificate that is not there", func(r *amqp.Rabbit) { r.SSL, r.SSLCertFile = true, "/nowhere" }, "ssl_cert_file and ssl_key_file cannot be used"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t, "rabbit://"+peers.Nobody(t)+"/")
			tc.change(&o.Rabbit)
			_, err := amqp.New(t.Context(), o)
			if cinder.KindOf(err) != cinder.KindInvalid || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one of kind %s with %q", err, cinder.KindInvalid, tc.want)
			}
		})
	}
}

func TestTheFirstHostIsDead(t *testing.T) {
	good := engines.RabbitMQ(t).URL(t)
	for _, shuffle := range []bool{false, true} {
		t.Run(fmt.Sprintf("shuffle %t", shuffle), func(t *testing.T) {
			o := options(t, strings.Replace(good, "@", "@"+peers.Nobody(t)+",stoker:stoker@", 1))
			o.URL.Brokers[1] = options(t, good).URL.Brokers[0]
			o.Rabbit.Shuffle = shuffle
			bus := open(t, o)
			if n, err := bus.Consumers(t.Context(), oslo.ToAny("nobody")); err != nil || n != 0 {
				t.Errorf("got %d consumers, %v; want none", n, err)
			}
		})
	}
}
