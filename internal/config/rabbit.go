package config

import (
	"slices"
	"strings"
	"time"

	"stoker/internal/dsn"
	"stoker/internal/osloconf"
)

// Rabbit is how a RabbitMQ bus is used: [DEFAULT] control_exchange and
// [oslo_messaging_rabbit]. What concerns the declaration of queues must be the
// same as that of all others on the bus, or the broker refuses it.
type Rabbit struct {
	Exchange string // [DEFAULT] control_exchange

	DurableQueues       bool          // amqp_durable_queues
	AutoDelete          bool          // amqp_auto_delete
	QuorumQueues        bool          // rabbit_quorum_queue
	TransientQuorum     bool          // rabbit_transient_quorum_queue
	QuorumDeliveryLimit int           // rabbit_quorum_delivery_limit; 0 is the broker's, -1 is none
	QuorumMaxLength     int           // rabbit_quorum_max_memory_length; 0 is none
	QuorumMaxBytes      int           // rabbit_quorum_max_memory_bytes; 0 is none
	HAQueues            bool          // rabbit_ha_queues
	StreamFanout        bool          // rabbit_stream_fanout
	Compression         string        // kombu_compression, which has to be empty
	CancelOnFailover    bool          // enable_cancel_on_failover
	TransientTTL        time.Duration // rabbit_transient_queues_ttl
	Prefetch            int           // rabbit_qos_prefetch_count; 0 is no limit

	SSL        bool   // ssl
	SSLVersion string // ssl_version
	CAFile     string // ssl_ca_file
	CertFile   string // ssl_cert_file
	KeyFile    string // ssl_key_file
	VerifyHost bool   // ssl_enforce_hostname_verification

	LoginMethod      string        // rabbit_login_method
	FailoverStrategy string        // kombu_failover_strategy
	ReconnectDelay   time.Duration // kombu_reconnect_delay
	RetryInterval    time.Duration // rabbit_retry_interval
	RetryBackoff     time.Duration // rabbit_retry_backoff
	RetryMax         time.Duration // rabbit_interval_max
	Heartbeat        time.Duration // heartbeat_timeout_threshold; 0 is none
}

const groupRabbit = "oslo_messaging_rabbit"

// maxCount bounds numbers that have no bound of their own.
const maxCount = 1 << 30

func rabbitOptions() []option[Config] {
	at := func(name, def, help string, old ...string) option[Config] {
		return option[Config]{group: groupRabbit, name: name, def: def, help: help, old: old}
	}
	const queues = " As all others on the bus have it, or the broker refuses the queues."
	return []option[Config]{
		boolean(at("amqp_durable_queues", "false", "Topic queues and the exchange survive a restart of the broker."+queues, "DEFAULT.amqp_durable_queues", "DEFAULT.rabbit_durable_queues"),
			func(c *Config) *bool { return &c.Rabbit.DurableQueues }),
		boolean(at("amqp_auto_delete", "false", "Queues go with their last consumer."+queues, "DEFAULT.amqp_auto_delete"),
			func(c *Config) *bool { return &c.Rabbit.AutoDelete }),
		boolean(at("rabbit_quorum_queue", "false", "Topic queues are quorum queues, and durable."+queues),
			func(c *Config) *bool { return &c.Rabbit.QuorumQueues }),
		boolean(at("rabbit_transient_quorum_queue", "false", "Fanout and reply queues are quorum queues as well."+queues),
			func(c *Config) *bool { return &c.Rabbit.TransientQuorum }),
		integer(at("rabbit_quorum_delivery_limit", "0", "How often a quorum queue delivers a message again. 0: as the broker has it, which is 20 times from RabbitMQ 4.0 on, and without limit before. -1: without limit, from RabbitMQ 4.0 on."+queues), -1, maxCount,
			func(c *Config) *int { return &c.Rabbit.QuorumDeliveryLimit }),
		integer(at("rabbit_quorum_max_memory_length", "0", "How many messages a quorum queue keeps in memory. 0: without limit."+queues,
			groupRabbit+".rabbit_quroum_max_memory_length"), 0, maxCount,
			func(c *Config) *int { return &c.Rabbit.QuorumMaxLength }),
		integer(at("rabbit_quorum_max_memory_bytes", "0", "How many bytes of messages a quorum queue keeps in memory. 0: without limit."+queues,
			groupRabbit+".rabbit_quroum_max_memory_bytes"), 0, maxCount,
			func(c *Config) *int { return &c.Rabbit.QuorumMaxBytes }),
		boolean(at("rabbit_ha_queues", "false", "Queues are mirrored, where a broker before RabbitMQ 3.0 must be told so."+queues, "DEFAULT.rabbit_ha_queues"),
			func(c *Config) *bool { return &c.Rabbit.HAQueues }),
		boolean(at("rabbit_stream_fanout", "false", "The other services on the bus share a stream for each topic's fanouts. Stoker keeps a queue of its own beside it, and is not told anything old when it starts. Needs rabbit_transient_quorum_queue and a rabbit_qos_prefetch_count above 0."),
			func(c *Config) *bool { return &c.Rabbit.StreamFanout }),
		word(at("kombu_compression", "", "How messages are compressed. Not supported: leave it empty, here and everywhere else."),
			func(c *Config) *string { return &c.Rabbit.Compression }),
		boolean(at("enable_cancel_on_failover", "false", "Listen anew when a mirrored queue has moved."),
			func(c *Config) *bool { return &c.Rabbit.CancelOnFailover }),
		period(at("rabbit_transient_queues_ttl", "1800", "How long fanout and reply queues stay without a consumer. 0: for ever."+queues),
			func(c *Config) *time.Duration { return &c.Rabbit.TransientTTL }),
		integer(at("rabbit_qos_prefetch_count", "0", "How many messages of a queue a listener is sent ahead. 0: one, so that what a process that hangs has not begun with can still expire."), 0, 65535,
			func(c *Config) *int { return &c.Rabbit.Prefetch }),

		boolean(at("ssl", "false", "Connect with TLS.", groupRabbit+".rabbit_use_ssl"),
			func(c *Config) *bool { return &c.Rabbit.SSL }),
		text(at("ssl_version", "", "The version of TLS to speak. Empty: any from 1.2.", groupRabbit+".kombu_ssl_version"),
			"empty, TLS, SSLv23, TLSv1, TLSv1_1, TLSv1_2 or TLSv1_3", validTLSVersion,
			func(c *Config) *string { return &c.Rabbit.SSLVersion }),
		path(at("ssl_ca_file", "", "Whom to trust as a broker: certificates in PEM. Empty: with ssl, any broker is believed, as oslo.messaging does.", groupRabbit+".kombu_ssl_ca_certs"),
			func(c *Config) *string { return &c.Rabbit.CAFile }),
		path(at("ssl_cert_file", "", "The certificate to show the broker, in PEM.", groupRabbit+".kombu_ssl_certfile"),
			func(c *Config) *string { return &c.Rabbit.CertFile }),
		path(at("ssl_key_file", "", "Its key.", groupRabbit+".kombu_ssl_keyfile"),
			func(c *Config) *string { return &c.Rabbit.KeyFile }),
		boolean(at("ssl_enforce_hostname_verification", "true", "With ssl_ca_file, the broker's certificate must name the host as transport_url does. oslo.messaging has this on since 18.1."),
			func(c *Config) *bool { return &c.Rabbit.VerifyHost }),

		choice(at("rabbit_login_method", "AMQPLAIN", "How to log in. Of PLAIN and AMQPLAIN the other is tried as well.", "DEFAULT.rabbit_login_method"),
			func(c *Config) *string { return &c.Rabbit.LoginMethod }, "AMQPLAIN", "PLAIN", "EXTERNAL"),
		choice(at("kombu_failover_strategy", "round-robin", "Which of several brokers is tried next."),
			func(c *Config) *string { return &c.Rabbit.FailoverStrategy }, "round-robin", "shuffle"),
		period(at("kombu_reconnect_delay", "1.0", "How long to wait before a lost connection is made again.", "DEFAULT.kombu_reconnect_delay"),
			func(c *Config) *time.Duration { return &c.Rabbit.ReconnectDelay }),
		period(at("rabbit_retry_interval", "1", "How long to wait after the first try to connect that failed."),
			func(c *Config) *time.Duration { return &c.Rabbit.RetryInterval }),
		period(at("rabbit_retry_backoff", "2", "How much longer to wait after each further one.", "DEFAULT.rabbit_retry_backoff"),
			func(c *Config) *time.Duration { return &c.Rabbit.RetryBackoff }),
		period(at("rabbit_interval_max", "30", "How long to wait at most; three seconds are the most in any case, so that service returns with the broker."),
			func(c *Config) *time.Duration { return &c.Rabbit.RetryMax }),
		period(at("heartbeat_timeout_threshold", "60", "A connection without a sign of life for so long is given up. 0: as the broker has it."),
			func(c *Config) *time.Duration { return &c.Rabbit.Heartbeat }),
	}
}

func validTLSVersion(s string) bool {
	return slices.Contains([]string{"", "tls", "sslv23", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3"}, strings.ToLower(s))
}

// rabbit finds what cannot be had together, or at all.
func (v *validator) rabbit() {
	r := v.c.Rabbit
	if r.HAQueues && (r.QuorumQueues || r.TransientQuorum) {
		v.rule(groupRabbit, "rabbit_ha_queues", "excludes quorum queues: a queue is mirrored or a quorum queue")
	}
	if r.StreamFanout && (!r.TransientQuorum || r.Prefetch == 0) { // oslo.messaging says the same
		v.rule(groupRabbit, "rabbit_stream_fanout", "needs rabbit_transient_quorum_queue = true and a rabbit_qos_prefetch_count above 0")
	}
	if r.Compression != "" {
		v.rule(groupRabbit, "kombu_compression", "is not supported")
	}
}

// override lets the query of transport_url have the last word about
// [oslo_messaging_rabbit], as oslo.messaging does.
func (r *reader) override() {
	t, err := dsn.ParseTransport(string(r.c.TransportURL))
	if err != nil {
		return // a fault, found by validate
	}
	for _, o := range rabbitOptions() {
		value, there := t.Query[o.name]
		if there && !o.set(r.c, value) {
			v, _ := r.c.settings.Get(osloconf.DefaultGroup, "transport_url")
			r.faults = append(r.faults, r.c.fault(osloconf.DefaultGroup, "transport_url", v, r.c.TransportURL.String(), o.name+" must be "+o.allowed))
		}
	}
}
