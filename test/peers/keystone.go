package peers

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"text/template"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite".
)

// KeystoneOptions say how to start a Keystone. Its tokens live for a day.
type KeystoneOptions struct {
	Release Release // Bookworm
	Cinder  string  // the block storage endpoint of its catalog; http://127.0.0.1:8776/v3/%(project_id)s
}

// Keystone is a real Keystone, with these users, whose passwords are all
// KeystonePassword:
//
//	user         role     of
//	admin        admin    project admin, the system
//	cinder       admin    project service, with the role service there as well
//	root-admin   admin    projects demo and other
//	demo-member  member   projects demo and other
//	demo-reader  reader   project demo
//	other-admin  admin    project other
//	sysadmin     admin    the system
//	sysreader    reader   the system
//	domadmin     admin    the domain default
//	no-role
type Keystone struct {
	*Engine
	URL      string            // without a version: http://127.0.0.1:PORT
	Projects map[string]string // ids by name
	Users    map[string]string // ids by name

	roles map[string]string
	token string // the administrator's
}

// KeystonePassword is every user's.
const KeystonePassword = "secret"

type keystonePrograms struct {
	in                     Release
	manage, server, plugin string
}

// StartKeystone starts a Keystone, which ends with the test.
func StartKeystone(tb testing.TB, o KeystoneOptions) *Keystone {
	tb.Helper()
	programs := keystonePrograms{
		o.Release,
		o.Release.Need(tb, "Keystone", "/usr/bin/keystone-manage"),
		o.Release.Need(tb, "Keystone", "uwsgi"),
		o.Release.Need(tb, "Keystone", "/usr/lib/uwsgi/plugins/python3_plugin.so"),
	}
	o.Cinder = first(o.Cinder, "http://127.0.0.1:8776/v3/%(project_id)s")
	e, err := newEngine("Keystone")
	if err != nil {
		tb.Fatal(err)
	}
	e.owned(tb)
	k := &Keystone{Engine: e, URL: "http://" + e.Addr(), Projects: map[string]string{}, Users: map[string]string{}, roles: map[string]string{}}
	if err := k.prepare(programs, o); err != nil {
		tb.Fatal(err)
	}
	if err := k.start(); err != nil {
		tb.Fatal(err)
	}
	if err := k.populate(tb.Context(), o.Cinder); err != nil {
		tb.Fatal(err)
	}
	return k
}

// SetClock restarts it with a clock that is ahead of ours, or below 0 behind.
func (k *Keystone) SetClock(tb testing.TB, ahead time.Duration) {
	tb.Helper()
	text, err := settings.ReadFile("testdata/clock.py")
	if err == nil {
		err = os.WriteFile(filepath.Join(k.dir, "sitecustomize.py"), text, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
	k.Stop(tb)
	k.launch.env = append(slices.Clip(k.launch.env), "PYTHONPATH="+k.dir, fmt.Sprintf("CLOCK_AHEAD=%f", ahead.Seconds()))
	k.Start(tb)
}

// AuthToken is the section of a cinder.conf that makes this Keystone the one
// that is asked, for the end of the file.
func (k *Keystone) AuthToken() string {
	return `[keystone_authtoken]
www_authenticate_uri = ` + k.URL + `
auth_url = ` + k.URL + `
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = service
username = cinder
password = ` + KeystonePassword + "\n"
}

// prepare writes its files and makes its database.
func (k *Keystone) prepare(programs keystonePrograms, o KeystoneOptions) error {
	in := func(name string) string { return filepath.Join(k.dir, name) }
	t, err := template.ParseFS(settings, "testdata/keystone.conf")
	if err != nil {
		return err
	}
	f, err := os.Create(in("keystone.conf"))
	if err != nil {
		return err
	}
	values := struct {
		KeystoneOptions
		Dir, URL string
	}{o, k.dir, k.URL}
	err = errors.Join(t.Execute(f, values), f.Close(), os.WriteFile(in("policy.yaml"), []byte("# the defaults\n"), 0o600), os.Mkdir(in("keys"), 0o700))
	for _, name := range []string{"0", "1"} { // the next and the current key
		key := make([]byte, 32)
		_, _ = rand.Read(key) // it never fails
		err = errors.Join(err, os.WriteFile(filepath.Join(in("keys"), name), []byte(base64.URLEncoding.EncodeToString(key)), 0o600))
	}
	if err != nil {
		return err
	}
	manage := func(args ...string) error {
		return run(command{in: programs.in, name: "keystone-manage", path: programs.manage, dir: k.dir, args: append([]string{"--config-file", in("keystone.conf")}, args...), env: []string{"PYTHONWARNINGS=ignore"}})
	}
	err = manage("db_sync")
	if err == nil {
		err = manage("bootstrap", "--bootstrap-password", KeystonePassword, "--bootstrap-region-id", "RegionOne",
			"--bootstrap-public-url", k.URL+"/v3", "--bootstrap-internal-url", k.URL+"/v3", "--bootstrap-admin-url", k.URL+"/v3")
	}
	if err == nil {
		err = writeAhead(in("keystone.db"))
	}
	// One process, for its cache is its own.
	k.launch = command{
		in: programs.in, name: "keystone", path: programs.server, dir: k.dir, env: []string{"OS_KEYSTONE_CONFIG_FILES=" + in("keystone.conf"), "PYTHONWARNINGS=ignore"},
		args: []string{
			"--plugins", programs.plugin, "--http-socket", k.Addr(), "--module", "keystone.server.wsgi:initialize_public_application()", "--master", "--lazy-apps", "--enable-threads",
			"--thunder-lock", "--die-on-term", "--processes", "1", "--buffer-size", "65535", "--add-header", "Connection: close", "--disable-logging",
		},
	}
	k.ready = func(ctx context.Context) error { return answers(ctx, k.URL+"/v3") }
	return err
}

// writeAhead keeps readers of a SQLite database from locking its writer out.
func writeAhead(path string) error {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), "PRAGMA journal_mode = wal")
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return errors.Join(err, db.Close())
}
