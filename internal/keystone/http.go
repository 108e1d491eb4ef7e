package keystone

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// Limits on what Keystone may use of us.
const (
	maxAnswer      = 4 << 20 // bytes: the catalog of our own token is the longest answer
	maxValidations = 16      // concurrent: the rest wait here, where no timeout runs, and not in Keystone's queue
	idleConnLimit  = 90 * time.Second
	maxRedirects   = 3
)

// newHTTPClient returns the client for Keystone. It reads the files once, except for
// our own certificate, which may be renewed in place.
func newHTTPClient(o Options) (*http.Client, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: o.Insecure, // the operator's choice
	}
	if o.CAFile != "" {
		text, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read cafile: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("no certificate in cafile %s", o.CAFile)
		}
	}
	if o.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(o.CertFile, first(o.KeyFile, o.CertFile))
			if err != nil {
				return nil, fmt.Errorf("read certfile and keyfile: %w", err)
			}
			return &c, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: o.Timeout}).DialContext,
			TLSClientConfig:     config,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: maxValidations,
			IdleConnTimeout:     idleConnLimit,
		}
	}
	return &http.Client{Timeout: o.Timeout, CheckRedirect: sameHostOnly, Transport: limited{o.Transport}}, nil
}

// sameHostOnly follows redirects only to another path: tokens are sent to no host that
// the operator has not named.
func sameHostOnly(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// limited fails answers that are longer than any of Keystone's.
type limited struct{ http.RoundTripper }

// CloseIdleConnections is called by http.Client.
func (l limited) CloseIdleConnections() {
	if c, ok := l.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &limitedBody{body: resp.Body, left: maxAnswer}
	return resp, nil
}

var errTooLong = errors.New("the answer is too long")

type limitedBody struct {
	body io.ReadCloser
	left int
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.body.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func (b *limitedBody) Close() error { return b.body.Close() }
