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

// mysqlTLS reads the options of a MySQL URL that begin with ssl_. Any of them asks
// for TLS, nil without any. KindInvalid for files and values that it cannot read.
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
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: where.Host, RootCAs: pool} // nil are the system's
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

// verified says what of a server's certificate is looked at: who vouches for it,
// and whose name is in it. That is both when an authority is named, or when either
// is asked for; ssl_verify_cert=false asks for neither, and ssl_check_hostname=false
// or ssl_verify_identity=false for the first alone. PyMySQL forgets the name, and
// without ssl_ca the certificate too: who asks for a look gets one here.
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

// flag reads a flag as SQLAlchemy does, and the words that PyMySQL has for
// ssl_verify_cert.
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
