package peers

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// postgresPrograms is where they are.
type postgresPrograms struct{ install, server string }

func findPostgres(tb testing.TB) postgresPrograms {
	tb.Helper()
	return postgresPrograms{
		Need(tb, "PostgreSQL", "/usr/lib/postgresql/*/bin/initdb", "initdb"),
		Need(tb, "PostgreSQL", "/usr/lib/postgresql/*/bin/postgres", "postgres"),
	}
}

// StartPostgres returns a PostgreSQL of this test's own.
func StartPostgres(tb testing.TB) *Database {
	tb.Helper()
	d, err := startPostgres(findPostgres(tb))
	if err != nil {
		tb.Fatal(err)
	}
	d.owned(tb)
	return d
}

func startPostgres(programs postgresPrograms) (*Database, error) {
	e, err := newEngine("PostgreSQL")
	if err != nil {
		return nil, err
	}
	d := &Database{Engine: e, scheme: "postgresql+psycopg2", admin: "postgres", create: "CREATE DATABASE %s", drop: "DROP DATABASE IF EXISTS %s WITH (FORCE)"}
	e.ready = d.answers
	as, err := Bookworm.account("postgres", e.dir)
	if err != nil {
		return nil, err
	}
	data, secret := filepath.Join(e.dir, "data"), filepath.Join(e.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o644); err != nil { //nolint:gosec // read by the server's account.
		return nil, err
	}
	err = run(command{
		name: "initdb", path: programs.install, dir: e.dir, as: as,
		args: []string{"-D", data, "-U", userName, "--pwfile=" + secret, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"},
	})
	if err != nil {
		return nil, err
	}
	e.launch = command{
		name: "postgres", path: programs.server, dir: e.dir, as: as,
		quit: syscall.SIGINT, // "fast": with SIGTERM it waits for its clients to leave
		args: []string{
			"-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(e.port), "-k", e.dir,
			// Quick. A killed server loses nothing by that, a killed machine would.
			"-c", "fsync=off", "-c", "max_connections=300", "-c", "shared_buffers=64MB",
		},
	}
	if err := d.start(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}
