package keystone_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stoker/internal/keystone"
	"stoker/internal/keystone/keystonetest"
)

// secured is a Keystone behind TLS that requires a client certificate.
func secured(t *testing.T, clients *x509.CertPool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(keystonetest.New(t))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// identity makes a certificate and key in files.
func identity(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stoker"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return writePEM(t, "cert.pem", "CERTIFICATE", cert), writePEM(t, "key.pem", "PRIVATE KEY", private), pool
}

func writePEM(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key, pool := identity(t)
	both := filepath.Join(t.TempDir(), "both.pem")
	var text []byte
	for _, f := range []string{cert, key} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, b...)
	}
	if err := os.WriteFile(both, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		ca, insecure bool
		cert, key    string
		want         string
	}{
		{"its CA and our certificate", true, false, cert, key, ""},
		{"key and certificate in one file", true, false, both, "", ""},
		{"insecure", false, true, cert, key, ""},
		{"a stranger", false, false, cert, key, unavailable},
		{"we are strangers", true, false, "", "", unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := secured(t, pool)
			o := keystone.Options{
				AuthURL: s.URL, Credential: credential(), Insecure: c.insecure, CertFile: c.cert, KeyFile: c.key,
				Log: slog.New(slog.DiscardHandler), Timeout: time.Minute,
			}
			if c.ca {
				o.CAFile = writePEM(t, "ca.pem", "CERTIFICATE", s.Certificate().Raw)
			}
			fake, _ := s.Config.Handler.(*keystonetest.Keystone)
			a, err := keystone.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			fake.At(s.URL)
			r := &fixture{Authenticator: a, fake: fake}
			if _, err := r.requestAs(t, "root-admin"); kind(err) != c.want {
				t.Errorf("it is %q (%v), want %q", kind(err), err, c.want)
			}
		})
	}
}

// TestTokensStayWithKeystone checks that tokens do not follow a redirect to another
// host.
func TestTokensStayWithKeystone(t *testing.T) {
	t.Parallel()
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s came by with %v", r.Method, r.URL, r.Header)
	}))
	t.Cleanup(thief.Close)
	fake, url := keystonetest.Start(t)
	a, err := keystone.New(keystone.Options{AuthURL: url, Credential: credential(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	r := &fixture{Authenticator: a, fake: fake}
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		fake.Before(func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method == method {
				http.Redirect(w, req, thief.URL+"/v3/auth/tokens", http.StatusTemporaryRedirect)
			}
			return req.Method == method
		})
		if _, err := r.requestAs(t, "root-admin"); kind(err) != unavailable {
			t.Errorf("%s: it is %q (%v), want %q", method, kind(err), err, unavailable)
		}
		fake.Before(nil)
		_, _ = r.requestAs(t, "demo-reader")
	}
	fake.Before(func(w http.ResponseWriter, req *http.Request) bool { // another path on the same host is fine
		moved := req.URL.Query().Get("moved") == "" && req.Method == http.MethodGet
		if moved {
			http.Redirect(w, req, req.URL.Path+"?moved=1", http.StatusPermanentRedirect)
		}
		return moved
	})
	if _, err := r.requestAs(t, "root-admin"); err != nil {
		t.Errorf("to itself: %v", err)
	}
}
