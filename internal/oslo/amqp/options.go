package amqp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/cinder"
	"stoker/internal/dsn"
)

// Options are what a Transport is made of. URL and Log are required; what else
// is empty is as oslo.messaging has it.
type Options struct {
	// URL is [DEFAULT] transport_url. Its Query is not looked at: whoever reads
	// the configuration lets it override Rabbit, as oslo.messaging does.
	URL dsn.Transport
	// Exchange is [DEFAULT] control_exchange: that of topic and server queues.
	// "" is openstack, as in Cinder.
	Exchange string
	Rabbit   Rabbit // [oslo_messaging_rabbit]; start from DefaultRabbit
	// Name is what the broker lists our connections as, the process's id added.
	// "" is stoker.
	Name string
	// NoWait lets New return before there is a connection: for a process that has
	// work to do without one. That there is none is logged then.
	NoWait bool
	Log    *slog.Logger
}

// Rabbit is [oslo_messaging_rabbit], by oslo.messaging's names. Options of it
// that are not here have no meaning for us, and are ignored: those of its
// connection pool (rpc_conn_pool_size, conn_pool_min_size, conn_pool_ttl: we
// have two connections), of its threads (heartbeat_in_pthread), of queue names
// that outlive a process (use_queue_manager, hostname, processname),
// ssl_enforce_fips_mode (Go's own setting is GODEBUG=fips140=on),
// direct_mandatory_flag (always on), heartbeat_rate (half the threshold),
// kombu_missing_consumer_retry_timeout (a reply without a queue is tried for ten
// seconds) and kombu_reconnect_splay (our waits are always spread).
type Rabbit struct {
	SSL bool // ssl
	// SSLVersion is ssl_version: "", TLS or SSLv23 for any from 1.2, TLSv1, TLSv1_1,
	// TLSv1_2 or TLSv1_3 for that one, in any case.
	SSLVersion string
	// SSLCAFile is ssl_ca_file. Without it, as in oslo.messaging, the broker's
	// certificate is not verified; that is logged.
	SSLCAFile   string
	SSLCertFile string // ssl_cert_file: ours, with SSLKeyFile
	SSLKeyFile  string // ssl_key_file
	// SSLVerifyHostname is ssl_enforce_hostname_verification: with SSLCAFile, the
	// certificate must be of the host that was dialled. oslo.messaging has it on
	// since 18.1. That it is off is logged.
	SSLVerifyHostname bool

	// DurableQueues is amqp_durable_queues: exchange, topic and server queues
	// survive the broker. Fanout and reply queues do not.
	DurableQueues bool
	// AutoDelete is amqp_auto_delete: exchange, topic and server queues go with
	// their last user.
	AutoDelete bool
	// QuorumQueue is rabbit_quorum_queue: topic and server queues are quorum
	// queues, and with the exchange durable.
	QuorumQueue bool
	// TransientQuorumQueue is rabbit_transient_quorum_queue: fanout and reply
	// queues are quorum queues, and durable.
	TransientQuorumQueue bool
	// The limits of quorum queues: rabbit_quorum_delivery_limit (0 is the broker's
	// own; -1, which RabbitMQ takes from 4.0 on, is none),
	// rabbit_quorum_max_memory_length and rabbit_quorum_max_memory_bytes (0 is none;
	// both are rabbit_quroum_... in releases before 2023.2).
	QuorumDeliveryLimit   int
	QuorumMaxMemoryLength int
	QuorumMaxMemoryBytes  int
	// HAQueues is rabbit_ha_queues: queues are declared with x-ha-policy. It
	// excludes QuorumQueue and TransientQuorumQueue.
	HAQueues bool
	// TransientQueuesTTL is rabbit_transient_queues_ttl: a fanout or reply queue
	// that nobody has used for so long is deleted by the broker; 0 is never.
	TransientQueuesTTL time.Duration
	// StreamFanout is rabbit_stream_fanout: Python services share one stream for
	// the fanouts of a topic. It needs TransientQuorumQueue and Prefetch, or New
	// fails, as oslo.messaging does. Our queues are the same with and without it:
	// see topology.queue.
	StreamFanout bool
	// Prefetch is rabbit_qos_prefetch_count: how many messages of a topic or
	// server queue the broker hands to a listener before it has begun with the
	// first. 0, which is without limit in oslo.messaging, is 1 for us: a process
	// that hangs holds one message, and what else waits is still in the queue,
	// where it expires and where others find it.
	Prefetch int
	// CancelOnFailover is enable_cancel_on_failover: listeners hear when their
	// mirrored queue moves, and listen anew.
	CancelOnFailover bool

	// Heartbeat is heartbeat_timeout_threshold: a broker that has been silent for
	// so long is gone. 0 leaves it to the broker.
	Heartbeat time.Duration
	// LoginMethod is rabbit_login_method: PLAIN, AMQPLAIN (whichever of the two
	// comes second is tried as well) or EXTERNAL, which takes the user from our
	// certificate. RABBIT-CR-DEMO is not supported.
	LoginMethod string
	// RetryInterval, RetryBackoff and IntervalMax are rabbit_retry_interval,
	// rabbit_retry_backoff and rabbit_interval_max: the wait before the next try
	// to connect, by how much it grows each time, and where that ends. It ends at
	// three seconds at the latest: two connections for each process are no burden
	// to a broker that returns, and service should return with it.
	RetryInterval time.Duration
	RetryBackoff  time.Duration
	IntervalMax   time.Duration
	// ReconnectDelay is kombu_reconnect_delay: the wait before the first try after
	// a connection or a listener was lost.
	ReconnectDelay time.Duration
	// Shuffle is kombu_failover_strategy = shuffle: hosts are tried in random
	// order. Otherwise the order is that of the URL, and after one that was lost
	// the next is first.
	Shuffle bool
	// Compression is kombu_compression: it is not supported: New fails unless
	// it is "".
	Compression string
}

// DefaultRabbit is [oslo_messaging_rabbit] when nothing is set.
func DefaultRabbit() Rabbit {
	return Rabbit{
		SSLVerifyHostname: true, TransientQueuesTTL: 30 * time.Minute, Heartbeat: time.Minute, LoginMethod: "AMQPLAIN",
		RetryInterval: time.Second, RetryBackoff: 2 * time.Second, IntervalMax: 30 * time.Second, ReconnectDelay: time.Second,
	}
}

// Validate says what of the options cannot be had, and reads the files they name.
func (r *Rabbit) Validate() error {
	switch {
	case r.HAQueues && (r.QuorumQueue || r.TransientQuorumQueue):
		return wrong("rabbit_ha_queues excludes rabbit_quorum_queue and rabbit_transient_quorum_queue: a queue is mirrored or a quorum queue")
	case r.StreamFanout && (!r.TransientQuorumQueue || r.Prefetch <= 0):
		return wrong("rabbit_stream_fanout needs rabbit_transient_quorum_queue = true and a rabbit_qos_prefetch_count above 0")
	case r.Compression != "":
		return wrong("kombu_compression is not supported")
	}
	if _, err := r.tls(""); err != nil {
		return err
	}
	_, err := r.logins(dsn.Broker{})
	return err
}

func wrong(format string, args ...any) error {
	return cinder.Errorf(cinder.KindInvalid, "[oslo_messaging_rabbit] "+format, args...)
}

// logins are the ways to log in at a broker, best first.
func (r *Rabbit) logins(b dsn.Broker) ([]amqp091.Authentication, error) {
	plain := &amqp091.PlainAuth{Username: b.User, Password: b.Password}
	table := &amqp091.AMQPlainAuth{Username: b.User, Password: b.Password}
	switch r.LoginMethod {
	case "PLAIN":
		return []amqp091.Authentication{plain, table}, nil
	case "", "AMQPLAIN":
		return []amqp091.Authentication{table, plain}, nil
	case "EXTERNAL":
		return []amqp091.Authentication{&amqp091.ExternalAuth{}}, nil
	default:
		return nil, wrong("rabbit_login_method must be PLAIN, AMQPLAIN or EXTERNAL")
	}
}

// tls is the configuration of TLS for a host; nil when there is none.
func (r *Rabbit) tls(host string) (*tls.Config, error) {
	if !r.SSL {
		return nil, nil //nolint:nilnil // No TLS is no configuration.
	}
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	switch strings.ToLower(r.SSLVersion) {
	case "", "tls", "sslv23":
	case "tlsv1":
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	case "tlsv1_1":
		c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	case "tlsv1_2":
		c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	case "tlsv1_3":
		c.MinVersion = tls.VersionTLS13
	default:
		return nil, wrong("ssl_version must be empty, TLS, SSLv23, TLSv1, TLSv1_1, TLSv1_2 or TLSv1_3")
	}
	if r.SSLCertFile != "" || r.SSLKeyFile != "" {
		key := r.SSLKeyFile
		if key == "" { // Python then looks for the key beside the certificate
			key = r.SSLCertFile
		}
		pair, err := tls.LoadX509KeyPair(r.SSLCertFile, key)
		if err != nil {
			return nil, wrong("ssl_cert_file and ssl_key_file cannot be used: %v", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	c.InsecureSkipVerify = true //nolint:gosec // What oslo.messaging does without ssl_ca_file; logged by New.
	if r.SSLCAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(r.SSLCAFile)
	if err != nil {
		return nil, wrong("ssl_ca_file cannot be read: %v", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, wrong("ssl_ca_file %s holds no certificate", r.SSLCAFile)
	}
	if r.SSLVerifyHostname {
		c.InsecureSkipVerify = false
	} else {
		c.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(c.RootCAs, s) }
	}
	return c, nil
}

// verifyChain verifies the broker's certificate, whichever host it names.
func verifyChain(roots *x509.CertPool, s tls.ConnectionState) error {
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := s.PeerCertificates[0].Verify(o); err != nil {
		return fmt.Errorf("the broker's certificate: %w", err)
	}
	return nil
}
