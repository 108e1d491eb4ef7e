package amqp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"stoker/internal/dsn"
)

const (
	// dialTimeout bounds the way to one host; kombu waits as long.
	dialTimeout = 5 * time.Second
	// loginTimeout bounds TLS and login. A broker delays its refusals a little.
	loginTimeout = 10 * time.Second
	// writeTimeout bounds one write to a socket, and so how long a broker may
	// leave us waiting that reads no more.
	writeTimeout = 5 * time.Second
	// channels is how many channels a connection may have: RabbitMQ's default.
	channels = 2047
)

// dial connects with one broker and logs in. The error is one line, without the
// password, and says what an operator can mend.
func dial(ctx context.Context, o *Options, role string, b dsn.Broker) (*amqp091.Connection, *socket, error) {
	logins, err := o.Rabbit.logins(b)
	if err != nil {
		return nil, nil, err
	}
	raw, err := connect(ctx, &o.Rabbit, b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", b.Address(), err)
	}
	s := &socket{Conn: raw, began: time.Now()}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	if err := s.SetDeadline(time.Now().Add(loginTimeout)); err != nil {
		_ = raw.Close()
		return nil, nil, fmt.Errorf("%s: %w", b.Address(), err)
	}
	c, err := amqp091.Open(s, amqp091.Config{
		SASL: logins, Vhost: o.URL.VirtualHost, Heartbeat: o.Rabbit.Heartbeat, ChannelMax: channels,
		Locale: "en_US", FrameSize: 131072, // RabbitMQ's default
		Properties: amqp091.Table{
			"product": "stoker", "platform": "golang",
			"connection_name": fmt.Sprintf("%s:%d:%s", o.Name, os.Getpid(), role),
		},
	})
	if err != nil {
		_ = raw.Close()
		if failed := s.failed.Load(); failed != nil && isAlert(*failed) { // TLS 1.3 says so after the handshake
			return nil, nil, fmt.Errorf("%s: %w", b.Address(), handshakeError(*failed))
		}
		if failed := s.failed.Load(); failed != nil && errors.Is(*failed, os.ErrDeadlineExceeded) {
			return nil, nil, fmt.Errorf("%s: no answer to the login within %s", b.Address(), loginTimeout)
		}
		return nil, nil, fmt.Errorf("%s: %w", b.Address(), loginError(err, o.URL.VirtualHost, b.User))
	}
	s.silence.Store(int64(c.Config.Heartbeat)) // what both sides agreed on
	return c, s, nil
}

// connect makes the connection of TCP and, when asked for, TLS.
func connect(ctx context.Context, r *Rabbit, b dsn.Broker) (net.Conn, error) {
	config, err := r.tls(b.Host)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialTimeout}
	raw, err := d.DialContext(ctx, "tcp", b.Address())
	if err != nil {
		return nil, unreachable(err)
	}
	if config == nil {
		return raw, nil
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	secured := tls.Client(raw, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, handshakeError(err)
	}
	return secured, nil
}

// unreachable is an error of dialling without what is said already.
func unreachable(err error) error {
	var lookup *net.DNSError
	switch {
	case errors.As(err, &lookup):
		return errors.New("no such host name")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("no answer: host down or port blocked")
	default:
		var op *net.OpError
		if errors.As(err, &op) && op.Err != nil {
			return op.Err
		}
		return err
	}
}

func handshakeError(err error) error {
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.As(err, &record):
		return errors.New("TLS failed: the port does not speak TLS")
	case errors.As(err, &unknown):
		return errors.New("TLS failed: the broker's certificate is not signed by one in ssl_ca_file")
	case errors.As(err, &host):
		return fmt.Errorf("TLS failed: the certificate is not of this host: %w. "+
			"It has to name the host as transport_url does, unless [oslo_messaging_rabbit] ssl_enforce_hostname_verification = false", err)
	case isAlert(err):
		return fmt.Errorf("TLS failed: the broker refused us (%w): look at ssl_cert_file and ssl_version", err)
	default:
		return fmt.Errorf("TLS failed: %w", err)
	}
}

// isAlert says whether the other side ended TLS with its reason.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

const noVirtualHost = "The broker does not have the virtual host that transport_url names: create it, or name another."

// lasting is a refusal of the login.
func lasting(told, format string, args ...any) error {
	return &refusal{told: told, err: fmt.Errorf(format, args...)}
}

// loginError is an error of logging in, in words.
func loginError(err error, vhost, user string) error {
	var e *amqp091.Error
	switch {
	case errors.Is(err, amqp091.ErrCredentials), errors.As(err, &e) && e.Server && e.Code == amqp091.AccessRefused:
		return lasting("The broker refuses the login: check user and password in transport_url.",
			"the login of user %q was refused, or the connection closed while logging in", user)
	case errors.Is(err, amqp091.ErrVhost):
		return lasting(noVirtualHost, "the connection closed while opening virtual host %q", vhost)
	case errors.As(err, &e) && e.Server && e.Code == amqp091.NotAllowed && strings.Contains(e.Reason, "not found"):
		return lasting(noVirtualHost, "there is no virtual host %q", vhost)
	case errors.As(err, &e) && e.Server && e.Code == amqp091.NotAllowed:
		return lasting("The broker does not let the user use the virtual host: give him permissions there.",
			"user %q may not use virtual host %q: %s", user, vhost, e.Reason)
	case errors.Is(err, amqp091.ErrSASL):
		return lasting("The broker knows none of our ways to log in: check rabbit_login_method.",
			"the broker knows none of the ways to log in (rabbit_login_method)")
	case errors.As(err, &e) && !e.Server:
		return fmt.Errorf("the connection failed (%s): does the port speak AMQP, and is ssl set as it is there?", e.Reason)
	case errors.As(err, &e):
		return fmt.Errorf("the broker refused us: %s", e.Reason)
	default:
		return err
	}
}

// socket is a connection on which nothing waits without a bound: a write takes
// no longer than writeTimeout, and a broker that has been silent for as long as
// the heartbeat allows is given up. A deadline that is set for both directions,
// as the library does to close, goes first.
type socket struct {
	net.Conn
	silence atomic.Int64          // a time.Duration; 0: without a bound
	began   time.Time             // when it was made
	heard   atomic.Int64          // when something was last read, since then: a clock that is set changes nothing
	fixed   atomic.Bool           // a deadline was set
	failed  atomic.Pointer[error] // of the first Read that failed
}

func (s *socket) Read(p []byte) (int, error) {
	if silence := time.Duration(s.silence.Load()); silence > 0 && !s.fixed.Load() {
		if err := s.Conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return 0, err
		}
	}
	n, err := s.Conn.Read(p)
	if err != nil {
		s.failed.CompareAndSwap(nil, &err)
	} else {
		s.heard.Store(int64(time.Since(s.began)))
	}
	return n, err
}

// silentFor is how long nothing has been read.
func (s *socket) silentFor() time.Duration {
	return time.Since(s.began) - time.Duration(s.heard.Load())
}

func (s *socket) Write(p []byte) (int, error) {
	if !s.fixed.Load() {
		if err := s.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return 0, err
		}
	}
	return s.Conn.Write(p)
}

// SetDeadline sets both deadlines, or gives them back to Read and Write.
func (s *socket) SetDeadline(t time.Time) error {
	s.fixed.Store(!t.IsZero())
	return s.Conn.SetDeadline(t)
}

// SetReadDeadline does nothing: Read has a bound of its own.
func (s *socket) SetReadDeadline(time.Time) error { return nil }
