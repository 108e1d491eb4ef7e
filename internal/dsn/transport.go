package dsn

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// Schemes of a Transport. oslo.messaging's other names for RabbitMQ become
// SchemeRabbit.
const (
	SchemeRabbit = "rabbit" // RabbitMQ
	SchemeMemory = "memory" // the bus within the process; only in Stoker
)

// Defaults of oslo.messaging and kombu.
const (
	defaultBroker      = "localhost"
	defaultBrokerPort  = 5672 // also with TLS
	defaultBrokerLogin = "guest"
	defaultVirtualHost = "/"
)

// Transport is a parsed [DEFAULT] transport_url. It contains passwords and does not
// print them.
type Transport struct {
	Scheme      string
	Brokers     []Broker // in the order of the URL; at least one for SchemeRabbit
	VirtualHost string   // "/" when not given
	// Query overrides options of [oslo_messaging_rabbit]. The values of a repeated
	// option are joined by commas, as in oslo.messaging.
	Query map[string]string
}

// Broker is a host of a bus, with its credentials.
type Broker struct {
	Host     string // name or address, IPv6 without brackets
	Port     int
	User     string
	Password string
}

// Address is host:port, for dialling.
func (b Broker) Address() string { return net.JoinHostPort(b.Host, strconv.Itoa(b.Port)) }

// String omits the password.
func (b Broker) String() string { return b.User + "@" + b.Address() }

// GoString is String, to keep the password out of dumps.
func (b Broker) GoString() string { return b.String() }

// LogValue is String.
func (b Broker) LogValue() slog.Value { return slog.StringValue(b.String()) }

// String omits passwords and options.
func (t Transport) String() string {
	if t.Scheme != SchemeRabbit {
		return t.Scheme + "://"
	}
	brokers := make([]string, len(t.Brokers))
	for i, b := range t.Brokers {
		brokers[i] = b.String()
	}
	return t.Scheme + "://" + strings.Join(brokers, ",") + "/" + url.PathEscape(t.VirtualHost)
}

// GoString is String, to keep passwords out of dumps.
func (t Transport) GoString() string { return t.String() }

// LogValue is String.
func (t Transport) LogValue() slog.Value { return slog.StringValue(t.String()) }

// ParseTransport parses a transport URL like oslo.messaging and applies its and kombu's
// defaults: "" means rabbit://, that is guest at localhost. Each host has its own
// credentials; without any it is guest. It refuses URLs that oslo.messaging accepts but
// can never connect with, and, where possible, accepts URLs that oslo.messaging
// misreads: testdata/transport.json has its results. Errors say what to fix and quote
// nothing of the URL but a known scheme.
func ParseTransport(s string) (Transport, error) {
	if s == "" {
		s = "rabbit://"
	}
	scheme, rest, err := cutScheme(s)
	if err != nil {
		return Transport{}, err
	}
	rest = validUTF8(rest)
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	var hosts, path string
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		hosts, path, _ = strings.Cut(after, "/")
	} else {
		path = strings.TrimPrefix(rest, "/")
	}
	if scheme == SchemeMemory {
		if hosts != "" || path != "" || query != "" {
			return Transport{}, errors.New("memory:// takes neither hosts nor options")
		}
		return Transport{Scheme: scheme}, nil
	}
	t := Transport{Scheme: scheme, Query: joined(query)}
	if t.VirtualHost, err = virtualHost(path); err != nil {
		return Transport{}, err
	}
	if t.Brokers, err = parseBrokers(hosts); err != nil {
		return Transport{}, err
	}
	return t, nil
}

// cutScheme splits off the scheme and normalises it. It ignores leading blanks, and
// line breaks and tabs anywhere.
func cutScheme(s string) (scheme, rest string, err error) {
	s = strings.TrimLeftFunc(s, func(r rune) bool { return r <= ' ' })
	s = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(s)
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return "", "", errors.New("it has no scheme: it must begin with rabbit:// or memory://")
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case SchemeRabbit, SchemeMemory:
		return scheme, rest, nil
	case "kombu+rabbit", "kombu+amqp", "kombu+pyamqp":
		return SchemeRabbit, rest, nil
	case "kombu", "kombu+amqps", "kombu+memory", "amqp", "kafka", "fake":
		return "", "", fmt.Errorf("the scheme %s is not supported: it must be rabbit or memory", scheme)
	default:
		return "", "", errors.New("the scheme is unknown: it must be rabbit or memory")
	}
}

// joined parses a query, with the values of repeated options joined by commas.
func joined(query string) map[string]string {
	options := map[string]string{}
	for name, values := range readQuery(query) {
		options[name] = strings.Join(values, ",")
	}
	return options
}

// virtualHost parses the path. oslo.messaging passes the decoded name to kombu in a
// URL, where these characters would end it or be decoded again.
func virtualHost(path string) (string, error) {
	name := unquote(path)
	switch {
	case name == "":
		return defaultVirtualHost, nil
	case strings.ContainsAny(name, "?#;") || unquote(name) != name:
		return "", errors.New("a virtual host with ? # ; or an encoded percent sign in its name cannot be used")
	default:
		return name, nil
	}
}

func parseBrokers(hosts string) ([]Broker, error) {
	var all []Broker
	for text := range strings.SplitSeq(hosts, ",") {
		if text == "" {
			continue
		}
		b, err := parseBroker(text)
		if err != nil {
			return nil, fmt.Errorf("host %d: %w", len(all)+1, err)
		}
		all = append(all, b)
	}
	if len(all) == 0 {
		return []Broker{{defaultBroker, defaultBrokerPort, defaultBrokerLogin, defaultBrokerLogin}}, nil
	}
	return all, nil
}

// parseBroker parses [user[:password]@]host[:port].
func parseBroker(text string) (b Broker, err error) {
	at := strings.LastIndexByte(text, '@')
	if at >= 0 {
		user, password, _ := strings.Cut(text[:at], ":")
		b.User, b.Password = unquote(user), unquote(password)
	}
	if b.User == "" {
		b.User = defaultBrokerLogin
	}
	if b.Password == "" {
		b.Password = defaultBrokerLogin
	}
	var port string
	if b.Host, port, err = cutPort(text[at+1:]); err != nil {
		return Broker{}, err
	}
	if b.Port, err = parsePort(port); err != nil {
		return Broker{}, err
	}
	return b, nil
}

// cutPort splits a host and its port.
func cutPort(text string) (host, port string, err error) {
	if inside, ok := strings.CutPrefix(text, "["); ok {
		host, port, ok = strings.Cut(inside, "]")
		host = unquote(host)
		if address, err := netip.ParseAddr(host); !ok || err != nil || !address.Is6() {
			return "", "", errors.New("what stands in brackets is no IPv6 address")
		}
		if port != "" && port[0] != ':' {
			return "", "", errors.New("only a port may follow an address in brackets")
		}
		return host, strings.TrimPrefix(port, ":"), nil
	}
	host, port, _ = strings.Cut(text, ":")
	host = strings.ToLower(host)
	switch {
	case host == "":
		return defaultBroker, port, nil
	case strings.ContainsFunc(host, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`;%[]\`, r)
	}):
		return "", "", errors.New("the name has characters that no host name has")
	default:
		return host, port, nil
	}
}

// parsePort parses a port; "" and 0 mean the default.
func parsePort(text string) (int, error) {
	if text == "" {
		return defaultBrokerPort, nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	switch {
	case err != nil: // err may quote part of a password
		return 0, errors.New("the port is no number from 1 to 65535; in a password, # / ? : @ and , are written %23 %2F %3F %3A %40 and %2C")
	case port == 0:
		return defaultBrokerPort, nil
	default:
		return int(port), nil
	}
}
