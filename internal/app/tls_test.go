package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stoker/internal/app"
)

// authority signs certificates for a test.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.issue(t, "ca")
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name+".pem") }

// issue writes a certificate and its key under a name; the first is the authority's own.
func (a *authority) issue(t *testing.T, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: a.cert == nil,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	if err := os.WriteFile(a.path(name)+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(a.path(name)+".new", a.path(name)); err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// visitor is a client that trusts the authority, and shows the certificate of
// that name, if any.
func (a *authority) visitor(t *testing.T, name string, more func(*tls.Config)) *http.Client {
	t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AddCert(a.cert)
	if name != "" {
		pair, err := tls.LoadX509KeyPair(a.path(name), a.path(name))
		if err != nil {
			t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if more != nil {
		more(c)
	}
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: c.NextProtos == nil}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// overTLS are options whose API shows the certificate "api".
func overTLS(t *testing.T, a *authority) app.Options {
	t.Helper()
	a.issue(t, "api")
	o := standalone(t, t.TempDir())
	o.Config.Edge.UseSSL, o.Config.Edge.CertFile, o.Config.Edge.KeyFile = true, a.path("api"), a.path("api")
	return o
}

// visit is what a visitor saw.
type visit struct {
	status, protocol int
	serial           *big.Int // of the certificate that was shown
}

func get(t *testing.T, c *http.Client, url string) (visit, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		return visit{}, err
	}
	v := visit{status: res.StatusCode, protocol: res.ProtoMajor}
	if res.TLS != nil {
		v.serial = res.TLS.PeerCertificates[0].SerialNumber
	}
	return v, res.Body.Close()
}

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	s := start(t, overTLS(t, ca))
	if !strings.HasPrefix(s.URL(), "https://") {
		t.Errorf("it is at %s", s.URL())
	}
	health := s.URL() + "/healthcheck"
	res, err := get(t, ca.visitor(t, "", nil), health)
	if err != nil || res.status != http.StatusOK || res.protocol != 2 {
		t.Fatalf("got %+v, %v, want 200 over HTTP/2", res, err)
	}
	if res, err = get(t, ca.visitor(t, "", func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }), health); err != nil || res.protocol != 1 {
		t.Errorf("got %+v, %v, want HTTP/1.1 for whom knows no other", res, err)
	}
	if _, err := get(t, ca.visitor(t, "", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 }), health); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if res, err := get(t, ca.visitor(t, "", nil), "http"+strings.TrimPrefix(health, "https")); err == nil && res.status != http.StatusBadRequest {
		t.Errorf("without TLS: %d", res.status)
	}
}

func TestClientCertificates(t *testing.T) {
	ca, others := newAuthority(t), newAuthority(t)
	o := overTLS(t, ca)
	o.Config.Edge.CAFile = ca.path("ca")
	s := start(t, o)
	ca.issue(t, "client")
	others.issue(t, "client")
	stranger, err := tls.LoadX509KeyPair(others.path("client"), others.path("client"))
	if err != nil {
		t.Fatal(err)
	}
	url := s.URL() + "/healthcheck"
	if res, err := get(t, ca.visitor(t, "client", nil), url); err != nil || res.status != http.StatusOK {
		t.Errorf("with a certificate: %+v, %v", res, err)
	}
	if _, err := get(t, ca.visitor(t, "", nil), url); err == nil {
		t.Error("nobody is asked for a certificate")
	}
	if _, err := get(t, ca.visitor(t, "", func(c *tls.Config) { c.Certificates = []tls.Certificate{stranger} }), url); err == nil {
		t.Error("a certificate of somebody else will do")
	}
}

// A renewed certificate is shown without a restart, and one that cannot be read
// is not.
func TestCertificatesAreReadAgain(t *testing.T) {
	ca := newAuthority(t)
	s := start(t, overTLS(t, ca))
	shown := func() *big.Int {
		t.Helper()
		res, err := get(t, ca.visitor(t, "", nil), s.URL()+"/healthcheck")
		if err != nil {
			t.Fatal(err)
		}
		return res.serial
	}
	first := shown()
	renewed, _ := ca.issue(t, "api")
	eventually(t, "the renewed certificate is shown", func() bool { return shown().Cmp(renewed.SerialNumber) == 0 })
	if first.Cmp(renewed.SerialNumber) == 0 {
		t.Fatal("nothing was renewed")
	}
	if err := os.WriteFile(ca.path("api"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log speaks of it", func() bool {
		return shown().Cmp(renewed.SerialNumber) == 0 && strings.Contains(s.logs.String(), "the last good ones are shown")
	})
	again, _ := ca.issue(t, "api")
	eventually(t, "the next one is shown", func() bool { return shown().Cmp(again.SerialNumber) == 0 })
}

func TestCertificatesThatCannotBeServed(t *testing.T) {
	ca := newAuthority(t)
	ca.issue(t, "other")
	for name, spoil := range map[string]func(*app.Options){
		"no certificate": func(o *app.Options) { o.Config.Edge.CertFile = ca.path("nosuch") },
		"another key":    func(o *app.Options) { o.Config.Edge.KeyFile = ca.path("other") },
		"no authority":   func(o *app.Options) { o.Config.Edge.CAFile = os.Args[0] },
	} {
		o := overTLS(t, ca)
		spoil(&o)
		a, err := app.New(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), "[ssl]") || a != nil {
			t.Errorf("%s: %v, want an error of [ssl]", name, err)
		}
	}
}
