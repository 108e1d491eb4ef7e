package amqp_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
	"stoker/test/peers"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	try(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	try(tb, err)
	cert, err := x509.ParseCertificate(der)
	try(tb, err)
	a := &authority{cert: cert, key: key, file: filepath.Join(tb.TempDir(), "ca.pem")}
	try(tb, os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return a
}

// sign makes a certificate for a host, and writes it and its key to files.
func (a *authority) sign(tb testing.TB, host string) (pair tls.Certificate, certFile, keyFile string) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	try(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	try(tb, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	try(tb, err)
	dir := tb.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	try(tb, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	pair, err = tls.LoadX509KeyPair(certFile, keyFile)
	try(tb, err)
	return pair, certFile, keyFile
}

// secured is a way to a broker that speaks TLS, and its address.
func secured(tb testing.TB, broker string, config *tls.Config) string {
	tb.Helper()
	plain, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	try(tb, err)
	l := tls.NewListener(plain, config)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { pass(client, broker) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return plain.Addr().String()
}

// pass passes on what a client and a broker say until one of them hangs up.
func pass(client net.Conn, broker string) {
	defer func() { _ = client.Close() }()
	if client.(*tls.Conn).Handshake() != nil { //nolint:noctx // Ends with the client.
		return
	}
	server, err := net.Dial("tcp", broker) //nolint:noctx // On loopback.
	if err != nil {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = client.Close(), server.Close()
		})
	}
	both.Wait()
}

func TestTLS(t *testing.T) {
	broker := engines.RabbitMQ(t)
	trusted, stranger := newAuthority(t), newAuthority(t)
	ours, ourCert, ourKey := trusted.sign(t, "127.0.0.1")
	elsewhere, _, _ := trusted.sign(t, "rabbit.example.org")
	_, strangersCert, strangersKey := stranger.sign(t, "client")
	clients := x509.NewCertPool()
	clients.AddCert(trusted.cert)
	open := func(cert tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	mutual := open(ours)
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, clients
	old := open(ours)
	old.MaxVersion = tls.VersionTLS12

	for _, tc := range []struct {
		name   string
		server *tls.Config
		change func(*amqp.Rabbit)
		want   string // the error; "" for none
	}{
		{"the broker is verified", open(ours), func(r *amqp.Rabbit) { r.SSLCAFile = trusted.file }, ""},
		{"the broker is verified, but not its name", open(elsewhere), func(r *amqp.Rabbit) { r.SSLCAFile, r.SSLVerifyHostname = trusted.file, false }, ""},
		{"the broker has another name", open(elsewhere), func(r *amqp.Rabbit) { r.SSLCAFile = trusted.file }, "unless [oslo_messaging_rabbit] ssl_enforce_hostname_verification = false"},
		{"a stranger, and no name is asked for", open(ours), func(r *amqp.Rabbit) { r.SSLCAFile, r.SSLVerifyHostname = stranger.file, false }, "not signed by one in ssl_ca_file"},
		{"the broker is a stranger", open(ours), func(r *amqp.Rabbit) { r.SSLCAFile = stranger.file }, "not signed by one in ssl_ca_file"},
		{"nothing is verified", open(elsewhere), func(*amqp.Rabbit) {}, ""},
		{"we are verified", mutual, func(r *amqp.Rabbit) { r.SSLCAFile, r.SSLCertFile, r.SSLKeyFile = trusted.file, ourCert, ourKey }, ""},
		{"we show nothing", mutual, func(r *amqp.Rabbit) { r.SSLCAFile = trusted.file }, "look at ssl_cert_file"},
		{"we are a stranger", mutual, func(r *amqp.Rabbit) { r.SSLCertFile, r.SSLKeyFile = strangersCert, strangersKey }, "look at ssl_cert_file"},
		{"we do not speak TLS", open(ours), func(r *amqp.Rabbit) { r.SSL = false }, "does the port speak AMQP, and is ssl set as it is there?"},
		{"version 1.2", open(ours), func(r *amqp.Rabbit) { r.SSLVersion = "TLSv1_2" }, ""},
		{"version 1.3 of an old broker", old, func(r *amqp.Rabbit) { r.SSLVersion = "TLSv1_3" }, "TLS failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			address := secured(t, broker.Addr(), tc.server)
			o := options(t, changed(t, broker.URL(t), func(u *url.URL) { u.Host = address }))
			o.Rabbit.SSL = true
			tc.change(&o.Rabbit)
			bus, err := amqp.New(t.Context(), o)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got error %v, want one line with %q", err, tc.want)
				}
				return
			}
			try(t, err)
			in := make(chan oslo.Message, 1)
			listen(t, bus, func(m oslo.Message) { in <- m }, oslo.ToAny("topic"))
			try(t, bus.Send(t.Context(), oslo.ToAny("topic"), oslo.Message{Body: []byte("secret")}))
			if got := string(next(t, in).Body); got != "secret" {
				t.Errorf("got %q", got)
			}
			try(t, bus.Close(t.Context()))
		})
	}
}

// What is not verified of a broker is logged, once and at the start.
func TestWhatIsNotVerifiedIsLogged(t *testing.T) {
	const whole, name = "the broker's certificate is not verified", "the broker's certificate may be of any host"
	file := newAuthority(t).file
	for _, tc := range []struct {
		name   string
		change func(*amqp.Rabbit)
		want   string // "" for nothing
	}{
		{"no TLS", func(r *amqp.Rabbit) { r.SSL, r.SSLVerifyHostname = false, false }, ""},
		{"all is verified", func(r *amqp.Rabbit) { r.SSLCAFile = file }, ""},
		{"but for the name", func(r *amqp.Rabbit) { r.SSLCAFile, r.SSLVerifyHostname = file, false }, name},
		{"nothing is", func(*amqp.Rabbit) {}, whole},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			o := options(t, "rabbit://"+peers.Nobody(t)+"/")
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			o.Rabbit.SSL = true
			tc.change(&o.Rabbit)
			if _, err := amqp.New(t.Context(), o); cinder.KindOf(err) != cinder.KindUnavailable {
				t.Fatalf("got error %v, want one of kind %s", err, cinder.KindUnavailable)
			}
			for _, text := range []string{whole, name} {
				if got, want := strings.Count(log.String(), text), strings.Count(tc.want, text); got != want {
					t.Errorf("%q is logged %d times, want %d", text, got, want)
				}
			}
		})
	}
}
