package store

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/dsn"
	"stoker/test/peers"
)

func parse(tb testing.TB, url string) dsn.Database {
	tb.Helper()
	where, err := dsn.ParseDatabase(url)
	if err != nil {
		tb.Fatal(err)
	}
	return where
}

// TestMySQLOverTLS does the TLS handshake that a URL's options ask for, with a server
// whose self-signed certificate is for example.com.
func TestMySQLOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	folder := t.TempDir()
	ca, other := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "other.pem")
	for name, content := range map[string][]byte{
		ca:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		other: []byte("no certificate"),
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, host, options string
		tls, trusts         bool
	}{
		{"without options", "example.com", "", false, false},
		{"disabled", "example.com", "?ssl_ca=" + ca + "&ssl_disabled=true", false, false},
		{"whoever it is", "elsewhere.org", "?ssl_cipher=AES", true, true},
		{"whoever it is, in so many words", "elsewhere.org", "?ssl_verify_cert=false", true, true},
		{"whoever it is, its authority notwithstanding", "elsewhere.org", "?ssl_ca=" + ca + "&ssl_verify_cert=false", true, true},
		{"one that the system does not know", "example.com", "?ssl_verify_cert=true", true, false},
		{"one that the system does not know, as a word", "example.com", "?ssl_verify_cert=required", true, false},
		{"one that the system does not know, any name", "example.com", "?ssl_verify_cert=true&ssl_verify_identity=false", true, false},
		{"one that the system does not know, its name asked for", "example.com", "?ssl_verify_identity=true", true, false},
		{"one that the system does not know, its name asked for in SQLAlchemy's word", "example.com", "?ssl_check_hostname=true", true, false},
		{"one that the system does not know, in mysqlclient's word", "example.com", "?ssl_mode=VERIFY_IDENTITY", true, false},
		{"encrypted, in mysqlclient's word", "elsewhere.org", "?ssl_mode=REQUIRED", true, true},
		{"disabled, in mysqlclient's word", "example.com", "?ssl_mode=disabled&ssl_ca=" + ca, false, false},
		{"its authority, asked for", "example.com", "?ssl_verify_cert=true&ssl_ca=" + ca, true, true},
		{"its authority, asked for, another name", "elsewhere.org", "?ssl_verify_cert=true&ssl_ca=" + ca, true, false},
		{"its authority, any name, in PyMySQL's word", "elsewhere.org", "?ssl_verify_identity=false&ssl_ca=" + ca, true, true},
		{"its authority, any name, in mysqlclient's word", "elsewhere.org", "?ssl_mode=VERIFY_CA&ssl_ca=" + ca, true, true},
		{"its authority and its name", "example.com", "?ssl_ca=" + ca, true, true},
		{"its authority in a folder", "example.com", "?ssl_capath=" + folder, true, true},
		{"its authority, another name", "elsewhere.org", "?ssl_ca=" + ca, true, false},
		{"its authority, any name", "elsewhere.org", "?ssl_check_hostname=false&ssl_ca=" + ca, true, true},
		{"another authority, any name", "example.com", "?ssl_check_hostname=false&ssl_capath=" + t.TempDir(), true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			config, err := mysqlTLS(parse(t, "mysql://u:p@"+test.host+"/d"+test.options))
			if err != nil {
				t.Fatal(err)
			}
			if (config != nil) != test.tls {
				t.Fatalf("TLS %v, want %v", config != nil, test.tls)
			}
			if config == nil {
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := tls.Client(conn, config).HandshakeContext(ctx); (err == nil) != test.trusts {
				t.Errorf("error %v, want trust: %v", err, test.trusts)
			}
		})
	}
	for _, options := range []string{"?ssl_ca=" + other, "?ssl_ca=/nowhere.pem", "?ssl_cert=" + other, "?ssl_ca=" + ca + "&ssl_cert=/nowhere.pem&ssl_key=x", "?ssl_verify_cert=maybe", "?ssl_check_hostname=maybe"} {
		if _, err := mysqlTLS(parse(t, "mysql://u:secret@h/d"+options)); cinder.KindOf(err) != cinder.KindInvalid || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want that it is invalid", options, err)
		}
	}
}

// TestOpenReadsDefaults checks that the defaults file in a URL is read before
// connecting.
func TestOpenReadsDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "my.cnf")
	if err := os.WriteFile(path, []byte("[client]\nssl-ca = /nowhere.pem\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, says := range map[string]string{
		"mysql://u:secret@127.0.0.1:1/d?read_default_file=" + path:         "ssl_ca of the database connection: /nowhere.pem",
		"mysql://u:secret@127.0.0.1:1/d?read_default_file=/nowhere/my.cnf": "/nowhere/my.cnf: no such file",
	} {
		_, err := Open(t.Context(), Options{URL: url})
		if cinder.KindOf(err) != cinder.KindInvalid || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want one that says %q", err, says)
		}
	}
}

func TestPostgresConfig(t *testing.T) {
	type words struct {
		Host, User, Database, Password string
		Port                           uint16
		Runtime                        map[string]string
		Others                         []string
	}
	for _, test := range []struct {
		name, url string
		want      words
	}{
		{"host and port", "postgresql+psycopg2://cinder:p%40ss@db:5433/cinder?sslmode=disable", words{"db", "cinder", "cinder", "p@ss", 5433, nil, nil}},
		{"quotes", `postgresql://o'brien:a%20b'c\d@db/it's%20?sslmode=disable`, words{"db", "o'brien", "it's%20", `a b'c\d`, 5432, nil, nil}},
		{"a socket", "postgresql://u:p@/c?host=/run/postgresql&sslmode=disable", words{"/run/postgresql", "u", "c", "p", 5432, nil, nil}},
		{"several hosts", "postgresql://u:p@/c?host=a:5433&host=b&sslmode=disable", words{"a", "u", "c", "p", 5433, nil, []string{"b"}}},
		{
			"settings of a session, and what is psycopg2's alone", "postgresql://u:p@h/c?sslmode=disable&application_name=x&options=-c%20a%3Db&client_encoding=utf8&keepalives=1",
			words{"h", "u", "c", "p", 5432, map[string]string{"application_name": "x", "options": "-c a=b"}, nil},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := postgresConfig(parse(t, test.url))
			if err != nil {
				t.Fatal(err)
			}
			got := words{c.Host, c.User, c.Database, c.Password, c.Port, c.RuntimeParams, nil}
			for _, f := range c.Fallbacks {
				got.Others = append(got.Others, f.Host)
			}
			if len(got.Runtime) == 0 {
				got.Runtime = nil
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, options := range []string{"?sslmode=nonsense", "?sslmode=verify-full&sslrootcert=/nowhere.pem", "?connect_timeout=x", "?target_session_attrs=x"} {
		if _, err := postgresConfig(parse(t, "postgresql://u:secret@h/d"+options)); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want an error without the password", options, err)
		}
	}
}

// TestMySQLSessions checks that each connection has the settings that the store relies
// on, whatever the server's defaults.
func TestMySQLSessions(t *testing.T) {
	server := peers.StartMariaDB(t)
	url := server.New(t)
	for _, s := range []string{"tx_isolation = 'READ-COMMITTED'", "sql_mode = ''", "time_zone = '+05:00'"} {
		if _, err := peers.Open(t, url).ExecContext(t.Context(), `SET GLOBAL `+s); err != nil {
			t.Fatal(err)
		}
	}
	db, err := Open(t.Context(), Options{URL: url, Pool: Pool{Size: 1, WsrepSyncWait: 3}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	got, err := oneText(t.Context(), db.writer, `SELECT CONCAT_WS(' ', @@tx_isolation, @@sql_mode LIKE '%ANSI_QUOTES%STRICT_ALL_TABLES%', @@time_zone,
		@@wsrep_sync_wait, @@idle_transaction_timeout, @@idle_write_transaction_timeout, @@innodb_lock_wait_timeout, @@wait_timeout, @@character_set_client)`)
	if want := "REPEATABLE-READ 1 +00:00 3 10 2 3 60 utf8mb4"; err != nil || got != want {
		t.Errorf("session %q, error %v, want %q", got, err, want)
	}
}
