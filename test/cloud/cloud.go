package cloud

import (
	"database/sql"
	"os/exec"
	"testing"

	"stoker/test/load"
	"stoker/test/peers"
)

// Cloud is a database and a bus, and what runs on them.
type Cloud struct {
	Options peers.CinderOptions // of what is started on it
	DB      *sql.DB

	engines *peers.Shared
}

// New returns, of the engines' release, a database with Cinder's tables and a bus, and nothing on them yet.
func New(tb testing.TB, engines *peers.Shared) *Cloud {
	tb.Helper()
	o := peers.CinderOptions{Release: engines.Release(), Database: engines.MariaDB(tb).Cinder(tb), Transport: engines.RabbitMQ(tb).URL(tb)}
	return &Cloud{Options: o, DB: peers.Open(tb, o.Database), engines: engines}
}

// Python starts services of a real Cinder.
func (c *Cloud) Python(tb testing.TB, host string, services ...string) *peers.Cinder {
	tb.Helper()
	o := c.Options
	o.Host, o.Services = host, services
	return peers.StartCinder(tb, o)
}

// Stoker starts the program as these services.
func (c *Cloud) Stoker(tb testing.TB, host string, services ...string) *peers.Cinder {
	tb.Helper()
	o := c.Options
	o.Host, o.Services, o.Program = host, services, c.engines.Program(tb)
	return peers.StartCinder(tb, o)
}

// Member starts a cinder-volume with the backend alpha as a member of the
// cluster mycl, a Python one or the program.
func (c *Cloud) Member(tb testing.TB, host string, python bool) *peers.Cinder {
	tb.Helper()
	o := c.Options
	o.Host, o.Cluster, o.Services, o.Backends = host, "mycl", []string{"volume"}, []string{"alpha"}
	if !python {
		o.Program = c.engines.Program(tb)
	}
	return peers.StartCinder(tb, o)
}

// Sync adds Stoker's own tables to the database.
func (c *Cloud) Sync(tb testing.TB) {
	tb.Helper()
	conf := peers.WriteCinderConf(tb, c.Options).Conf
	if out, err := exec.CommandContext(tb.Context(), c.engines.Program(tb), "db", "sync", "--config-file", conf).CombinedOutput(); err != nil {
		tb.Fatalf("db sync: %v\n%s", err, out)
	}
}

// Eventually waits until something is so.
func Eventually(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	load.Within(tb, load.Patience, what, so)
}
