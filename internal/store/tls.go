package store

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"stoker/internal/cinder"
	"stoker/internal/dsn"
)

// mysqlTLS reads the options of a MySQL URL that begin with ssl_ as PyMySQL does:
// any of them asks for TLS; without ssl_ca (or ssl_capath) nobody's certificate
// is looked at; with it the certificate is, and the name in it unless
// ssl_check_hostname is false. nil without any.
func mysqlTLS(where dsn.Database) (*tls.Config, error) {
	option := func(name string) string { return where.Option("ssl_" + name) }
	asked := false
	for name := range where.Options {
		asked = asked || strings.HasPrefix(name, "ssl_") && name != "ssl_disabled"
	}
	if !asked || truth(option("disabled"), false) {
		return nil, nil //nolint:nilnil // no TLS is an answer.
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: where.Host}
	pool, err := authorities(option("ca"), option("capath"))
	if err != nil {
		return nil, err
	}
	switch {
	case pool == nil:
		c.InsecureSkipVerify = true
	case !truth(option("check_hostname"), true):
		c.RootCAs = pool
		skipHostname(c)
	default:
		c.RootCAs = pool
	}
	if cert := option("cert"); cert != "" {
		key := option("key")
		if key == "" {
			key = cert
		}
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, cinder.Errorf(cinder.KindInvalid, "ssl_cert and ssl_key of the database connection: %s", reason(err))
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// authorities reads certificates from a file and from the files of a folder; nil when neither is named.
func authorities(file, folder string) (*x509.CertPool, error) {
	files := []string{file}
	if folder != "" {
		found, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			return nil, cinder.Errorf(cinder.KindInvalid, "ssl_capath of the database connection: %s", reason(err))
		}
		files = append(files, found...)
	}
	if file == "" {
		files = files[1:]
	}
	if file == "" && folder == "" {
		return nil, nil //nolint:nilnil // no authority is an answer.
	}
	pool := x509.NewCertPool()
	for _, name := range files {
		pem, err := os.ReadFile(name)
		if err == nil && !pool.AppendCertsFromPEM(pem) && name == file {
			return nil, cinder.Errorf(cinder.KindInvalid, "ssl_ca of the database connection: %s holds no certificate", name)
		}
		if err != nil && name == file {
			return nil, cinder.Errorf(cinder.KindInvalid, "ssl_ca of the database connection: %s: %s", name, reason(err))
		}
	}
	return pool, nil
}

// skipHostname has the chain of certificates verified, but not for whom it is.
func skipHostname(c *tls.Config) {
	roots := c.RootCAs
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(state tls.ConnectionState) error {
		between := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			between.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
}

// truth reads a flag as SQLAlchemy does; otherwise when it is none.
func truth(s string, otherwise bool) bool {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "y", "t", "1":
		return true
	case "false", "no", "off", "n", "f", "0":
		return false
	default:
		return otherwise
	}
}

// hostPort is where a database listens; on this host when the URL does not say.
func hostPort(where dsn.Database, port int) string {
	host := where.Host
	if host == "" {
		host = "localhost"
	}
	if where.Port != 0 {
		port = where.Port
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}
