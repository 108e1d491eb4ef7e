package dsn_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/dsn"
)

const myCnf = `# what an operator of databases writes
[mysql]
password = other
ssl-ca = /other.pem

[client]
user=file
password='se"cret'
host = "db.example.com"
port = 3307
socket = /run/mysqld.sock
; and TLS
ssl_ca=/etc/pki/tls-ca-bundle.pem
ssl-verify-server-cert
ssl=1
!includedir /etc/my.cnf.d

[reader]
password = third
`

// TestDefaults checks that a file supplies only what the URL does not set.
func TestDefaults(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	path := filepath.Join(dir, "my.cnf")
	if err := os.WriteFile(path, []byte(myCnf), 0o600); err != nil {
		t.Fatal(err)
	}
	type words struct {
		User, Password, Host string
		Port                 int
		Options              map[string]string
	}
	all := map[string]string{"unix_socket": "/run/mysqld.sock", "ssl_ca": "/etc/pki/tls-ca-bundle.pem", "ssl_verify_cert": "true"}
	for _, test := range []struct {
		name, url string
		want      words
	}{
		{"everything", "mysql+pymysql:///c?read_default_file=" + path, words{"file", `se"cret`, "db.example.com", 3307, all}},
		{"what is open", "mysql+pymysql://cinder@db/c?ssl_ca=/ca.pem&read_default_file=" + path, words{
			"cinder", `se"cret`, "db", 3307,
			map[string]string{"unix_socket": "/run/mysqld.sock", "ssl_ca": "/ca.pem", "ssl_verify_cert": "true"},
		}},
		{"another section", "mysql+pymysql://cinder@db:1/c?read_default_group=reader&read_default_file=" + path, words{"cinder", "third", "db", 1, nil}},
		{"a section that is not there", "mysql://cinder:pw@db/c?read_default_group=x&read_default_file=" + path, words{"cinder", "pw", "db", 0, nil}},
		{"in the home directory", "mysql://cinder@db:1/c?read_default_group=reader&read_default_file=~/my.cnf", words{"cinder", "third", "db", 1, nil}},
		{"not asked for", "mysql://cinder:pw@db/c", words{"cinder", "pw", "db", 0, nil}},
		{"another engine", "postgresql://cinder:pw@db/c?read_default_file=" + path, words{"cinder", "pw", "db", 0, nil}},
	} {
		t.Run(test.name, func(t *testing.T) {
			parsed, err := dsn.ParseDatabase(test.url)
			if err != nil {
				t.Fatal(err)
			}
			d, err := parsed.Defaults()
			if err != nil {
				t.Fatal(err)
			}
			got := words{d.User, d.Password, d.Host, d.Port, nil}
			for name := range d.Options {
				if !strings.HasPrefix(name, "read_default_") {
					if got.Options == nil {
						got.Options = map[string]string{}
					}
					got.Options[name] = d.Option(name)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaultsRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"nosuch":    "",
		"port":      "[client]\npassword = secret\nport = secret\n",
		"long line": "[client]\npassword = secret" + strings.Repeat("x", 2<<20),
	} {
		path := filepath.Join(dir, name)
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d, err := dsn.ParseDatabase("mysql://u@h/d?read_default_file=" + path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.Defaults()
		wantRefused(t, path, err, path)
	}
}
