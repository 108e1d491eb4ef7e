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

// The schemes that Transport has. oslo.messaging's other names for RabbitMQ
// become SchemeRabbit.
const (
	SchemeRabbit = "rabbit" // RabbitMQ
	SchemeMemory = "memory" // the bus inside the process; ours alone
)

// Defaults of what a URL leaves out, as oslo.messaging and kombu fill it in.
const (
	defaultBroker      = "localhost"
	defaultBrokerPort  = 5672 // with TLS as well
	defaultBrokerLogin = "guest"
	defaultVirtualHost = "/"
)

// Transport is a message bus, as [DEFAULT] transport_url names it. It holds
// passwords and does not print them.
type Transport struct {
	Scheme      string
	Brokers     []Broker // in the order of the URL; one or more for SchemeRabbit
	VirtualHost string   // "/" when the URL names none
	// Query are options of [oslo_messaging_rabbit] that the URL overrides. Of one
	// that is there twice, the values are joined by commas, as oslo.messaging does.
	Query map[string]string
}

// Broker is one host of a bus, with what to log in with there.
type Broker struct {
	Host     string // name or address, an IPv6 one without brackets
	Port     int
	User     string
	Password string
}

// Address is host and port, to be dialled.
func (b Broker) Address() string { return net.JoinHostPort(b.Host, strconv.Itoa(b.Port)) }

// String is the broker without its password.
func (b Broker) String() string { return b.User + "@" + b.Address() }

// GoString is String: %#v shows no password either.
func (b Broker) GoString() string { return b.String() }

// LogValue is String.
func (b Broker) LogValue() slog.Value { return slog.StringValue(b.String()) }

// String is the bus without passwords and options.
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

// GoString is String: %#v shows no password either.
func (t Transport) GoString() string { return t.String() }

// LogValue is String.
func (t Transport) LogValue() slog.Value { return slog.StringValue(t.String()) }

// ParseTransport reads a transport URL as oslo.messaging does and fills in what
// it and kombu fill in: "" is rabbit://, which is guest at localhost. Every host
// has its own credentials; one without logs in as guest. What oslo.messaging
// accepts and can never connect with is refused here, and what it cannot tell
// apart is, where possible, understood: testdata/transport.json has its answers.
// Errors say what to mend and repeat nothing of the URL but a known scheme.
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

// cutScheme takes the scheme off, as one of ours. Blanks before it and line
// breaks and tabs anywhere do not count.
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

// joined is a query with the values of options that are there twice joined by
// commas.
func joined(query string) map[string]string {
	options := map[string]string{}
	for name, values := range readQuery(query) {
		options[name] = strings.Join(values, ",")
	}
	return options
}

// virtualHost reads the path. oslo.messaging hands the decoded name to kombu
// within a URL, where these characters would end it or be decoded once more.
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

// parseBroker reads [user[:password]@]host[:port].
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

// cutPort takes a host and its port apart.
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

// parsePort reads a port; none and 0 are the default.
func parsePort(text string) (int, error) {
	if text == "" {
		return defaultBrokerPort, nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	switch {
	case err != nil: // which would repeat what may be half a password
		return 0, errors.New("the port is no number from 1 to 65535; in a password, # / ? : @ and , are written %23 %2F %3F %3A %40 and %2C")
	case port == 0:
		return defaultBrokerPort, nil
	default:
		return int(port), nil
	}
}
