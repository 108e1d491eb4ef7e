package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"stoker/internal/config"
)

// certificatesAge is how long files of certificates go unlooked at: a renewed
// one is served that soon.
const certificatesAge = time.Second

// certificates are what the API shows its clients and asks of them, read again
// when a file changes: [ssl] cert_file, key_file and ca_file.
type certificates struct {
	cert, key, ca string
	log           *slog.Logger

	mu      sync.Mutex // guards what follows
	looked  time.Time
	seen    []os.FileInfo
	current *tls.Config
	failed  string // why the files as they are now are not served, as it was logged
}

// newCertificates reads the files. It fails when they cannot be served.
func newCertificates(e config.Edge, log *slog.Logger) (*certificates, error) {
	c := &certificates{cert: e.CertFile, key: e.KeyFile, ca: e.CAFile, log: log}
	if _, err := c.get(context.Background()); err != nil {
		return nil, fmt.Errorf("[ssl]: %w", err)
	}
	return c, nil
}

// config is what a server is started with.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols(),
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return c.get(hello.Context())
		},
	}
}

func protocols() []string { return []string{"h2", "http/1.1"} }

// get is what the next client is shown. While the files cannot be served, it is
// what was shown before.
func (c *certificates) get(ctx context.Context) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && time.Since(c.looked) < certificatesAge {
		return c.current, nil
	}
	c.looked = time.Now()
	seen, err := c.look()
	if err == nil && c.current != nil && sameFiles(c.seen, seen) {
		return c.current, nil
	}
	fresh := c.current
	if err == nil {
		fresh, err = c.read()
	}
	switch {
	case err != nil && c.current == nil:
		return nil, err
	case err != nil:
		if why := err.Error(); why != c.failed {
			c.failed = why
			c.log.ErrorContext(ctx, "the certificates cannot be read: the last good ones are shown", "error", err)
		}
		return c.current, nil
	}
	if c.current != nil {
		c.log.InfoContext(ctx, "the certificates were read again")
	}
	c.current, c.seen, c.failed = fresh, seen, ""
	return fresh, nil
}

func (c *certificates) look() ([]os.FileInfo, error) {
	var seen []os.FileInfo
	for _, path := range []string{c.cert, c.key, c.ca} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		seen = append(seen, info)
	}
	return seen, nil
}

func sameFiles(a, b []os.FileInfo) bool {
	for i := range a {
		if !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()) {
			return false
		}
	}
	return true
}

func (c *certificates) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, err
	}
	fresh := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols(), Certificates: []tls.Certificate{pair}}
	if c.ca == "" {
		return fresh, nil
	}
	pem, err := os.ReadFile(c.ca)
	if err != nil {
		return nil, err
	}
	fresh.ClientCAs, fresh.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !fresh.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New(c.ca + " holds no certificate")
	}
	return fresh, nil
}
