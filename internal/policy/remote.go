package policy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"stoker/internal/cinder"
)

// Content types of http: checks.
const (
	ContentForm = "application/x-www-form-urlencoded"
	ContentJSON = "application/json"
)

// Remote configures http: and https: checks.
type Remote struct {
	ContentType  string // [oslo_policy] remote_content_type; "" means ContentForm
	VerifyServer bool   // remote_ssl_verify_server_crt
	CAFile       string // remote_ssl_ca_crt_file; "" means the system's
	CertFile     string // remote_ssl_client_crt_file
	KeyFile      string // remote_ssl_client_key_file
	// Timeout bounds one request; 0 means 5 s. oslo.policy has no timeout.
	Timeout time.Duration
}

const (
	defaultRemoteTimeout = 5 * time.Second
	maxAnswer            = 1 << 10 // bytes: the expected answer is "True"
)

// remoteCheck is http:URL or https:URL: the server at the URL decides.
type remoteCheck struct {
	scheme, match string
	url           template // with the scheme
}

func (c remoteCheck) String() string { return c.scheme + ":" + c.match }

func (c remoteCheck) passes(e *evaluation) (bool, error) {
	address, err := c.url.fill(e.target)
	if err != nil {
		return false, err
	}
	answer, err := e.rules.remote.ask(e.ctx, c.scheme, address, question{
		Rule: e.rule, Target: asObject(e.target), Credentials: asObject(e.caller),
	})
	if err != nil {
		return false, cinder.Wrap(cinder.KindUnavailable, err, "The policy server cannot be asked.")
	}
	e.note("it answers %q", answer)
	return strings.Trim(answer, `"`) == "True", nil
}

func asObject(a attributes) object {
	switch v := a.(type) {
	case object:
		return v
	case interface{ asObject() object }:
		return v.asObject()
	}
	return nil
}

// question is a request to a policy server.
type question struct {
	Rule        string `json:"rule"`
	Target      object `json:"target"`
	Credentials object `json:"credentials"`
}

// encode returns the request's body, as oslo.policy sends it.
func (q question) encode(contentType string) (string, error) {
	if contentType == ContentJSON {
		b, err := json.Marshal(q)
		return string(b), err
	}
	form := url.Values{}
	for name, v := range map[string]any{"rule": q.Rule, "target": q.Target, "credentials": q.Credentials} {
		b, err := json.Marshal(v)
		if err != nil {
			return "", err
		}
		form.Set(name, string(b))
	}
	return form.Encode(), nil
}

// ask sends the request. It reads the certificate files each time, since they may be
// renewed.
func (r Remote) ask(ctx context.Context, scheme, address string, q question) (string, error) {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = defaultRemoteTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	contentType := r.ContentType
	if contentType == "" {
		contentType = ContentForm
	}
	body, err := q.encode(contentType)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", contentType)
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	if scheme == "https" {
		if transport.TLSClientConfig, err = r.tls(); err != nil {
			return "", err
		}
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return string(answer), err
}

func (r Remote) tls() (*tls.Config, error) {
	c := &tls.Config{InsecureSkipVerify: !r.VerifyServer} // the operator's choice; off by default in oslo.policy
	if r.VerifyServer && r.CAFile != "" {
		pem, err := os.ReadFile(r.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", r.CAFile)
		}
	}
	if r.CertFile != "" {
		key := r.KeyFile
		if key == "" {
			key = r.CertFile
		}
		cert, err := tls.LoadX509KeyPair(r.CertFile, key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}
