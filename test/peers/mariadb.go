package peers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// mariadbPrograms is where they are.
type mariadbPrograms struct {
	in              Release
	install, server string
}

func findMariaDB(tb testing.TB, r Release) mariadbPrograms {
	tb.Helper()
	return mariadbPrograms{
		r,
		r.Need(tb, "MariaDB", "mariadb-install-db"),
		r.Need(tb, "MariaDB", "mariadbd"),
	}
}

// StartMariaDB returns a MariaDB of this test's own.
func StartMariaDB(tb testing.TB) *Database {
	tb.Helper()
	return Bookworm.StartMariaDB(tb)
}

// StartMariaDB returns a MariaDB of the release, of this test's own.
func (r Release) StartMariaDB(tb testing.TB) *Database {
	tb.Helper()
	d, err := startMariaDB(findMariaDB(tb, r))
	if err != nil {
		tb.Fatal(err)
	}
	d.owned(tb)
	return d
}

func startMariaDB(programs mariadbPrograms) (*Database, error) {
	d, err := newMariaDB(programs)
	if err != nil {
		return nil, err
	}
	if d.TLS, err = newCertificates(d.dir); err != nil {
		return nil, errors.Join(err, d.close())
	}
	d.launch.args = append(d.launch.args, "--ssl-ca="+d.TLS.CA, "--ssl-cert="+d.TLS.Cert, "--ssl-key="+d.TLS.Key)
	if err := d.start(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// newMariaDB makes one that is still to be started.
func newMariaDB(programs mariadbPrograms) (*Database, error) {
	e, err := newEngine("MariaDB")
	if err != nil {
		return nil, err
	}
	d := &Database{Engine: e, in: programs.in, scheme: "mysql+pymysql", query: "charset=utf8", admin: "mysql", create: "CREATE DATABASE %s CHARACTER SET utf8", drop: "DROP DATABASE IF EXISTS %s"}
	e.ready = d.answers
	as, err := programs.in.account("mysql", e.dir)
	if err != nil {
		return nil, err
	}
	data, accounts := filepath.Join(e.dir, "data"), filepath.Join(e.dir, "accounts.sql")
	grants := fmt.Sprintf("CREATE USER IF NOT EXISTS %[1]s@'%%' IDENTIFIED BY '%[2]s';\nGRANT ALL ON *.* TO %[1]s@'%%' WITH GRANT OPTION;\n", userName, password)
	if err := os.WriteFile(accounts, []byte(grants), 0o644); err != nil { //nolint:gosec // read by the server's account.
		return nil, err
	}
	err = run(command{
		in: programs.in, name: "mariadb-install-db", path: programs.install, dir: e.dir, as: as,
		args: []string{"--no-defaults", "--datadir=" + data, "--tmpdir=" + e.dir, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"},
	})
	if err != nil {
		return nil, err
	}
	e.launch = command{
		in: programs.in, name: "mariadbd", path: programs.server, dir: e.dir, as: as,
		args: []string{
			"--no-defaults", "--datadir=" + data, "--socket=" + filepath.Join(e.dir, "sock"), "--pid-file=" + filepath.Join(e.dir, "pid"),
			"--port=" + strconv.Itoa(e.port), "--bind-address=127.0.0.1", "--skip-name-resolve", "--init-file=" + accounts,
			"--tmpdir=" + e.dir, // a server that starts removes what others have in a directory they share
			// Small and quick. The log is written, not flushed, at each commit: a killed server loses nothing by that.
			"--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=0", "--max-connections=500",
		},
	}
	return d, nil
}
