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

// mysqlTLS returns the TLS configuration for the ssl_ options of a MySQL URL; nil when
// it has none. KindInvalid for files and values that it cannot read.
func mysqlTLS(where dsn.Database) (*tls.Config, error) {
	option := func(name string) string { return where.Option("ssl_" + name) }
	asked := false
	for name := range where.Options {
		asked = asked || strings.HasPrefix(name, "ssl_") && name != "ssl_disabled"
	}
	if off, _ := flag(option("disabled")); !asked || off || strings.EqualFold(option("mode"), "DISABLED") {
		return nil, nil //nolint:nilnil // no TLS is an answer.
	}
	pool, err := authorities(option("ca"), option("capath"))
	if err != nil {
		return nil, err
	}
	chain, name, err := verified(where)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: where.Host, RootCAs: pool} // nil RootCAs are the system's
	switch {
	case !chain:
		c.InsecureSkipVerify = true
	case !name:
		skipHostname(c)
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

// verified returns which parts of a server's certificate to verify: its chain, and the
// host name in it. Both are verified when the URL names a CA or asks for either;
// ssl_verify_cert=false turns both off, and ssl_check_hostname=false or
// ssl_verify_identity=false the name alone. PyMySQL skips the name, and without ssl_ca
// the certificate too; here a request to verify is honoured.
func verified(where dsn.Database) (chain, name bool, err error) {
	mode := strings.ToUpper(where.Option("ssl_mode")) // mysqlclient's, of mysql+mysqldb
	chain = where.Option("ssl_ca") != "" || where.Option("ssl_capath") != "" || strings.HasPrefix(mode, "VERIFY_")
	name = mode != "VERIFY_CA"
	for _, option := range []string{"ssl_check_hostname", "ssl_verify_identity", "ssl_verify_cert"} {
		text := where.Option(option)
		on, known := flag(text)
		switch {
		case text == "":
		case !known:
			return false, false, cinder.Errorf(cinder.KindInvalid, "%s of the database connection must be true or false", option)
		case on:
			chain = true
		case option == "ssl_verify_cert":
			chain = false
		default:
			name = false
		}
	}
	return chain, name, nil
}

// authorities reads CA certificates from a file and from the files of a folder; nil
// when neither is given.
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

// skipHostname verifies the certificate chain but not the host name.
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

// flag parses a flag as SQLAlchemy does, and PyMySQL's words for ssl_verify_cert.
func flag(s string) (on, known bool) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "y", "t", "1", "required", "optional":
		return true, true
	case "false", "no", "off", "n", "f", "0", "none":
		return false, true
	default:
		return false, false
	}
}

// hostPort is the address of a database server; localhost when the URL has no host.
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
