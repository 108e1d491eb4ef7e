package site

import (
	"database/sql"
	"os/exec"
	"testing"

	"stoker/test/load"
	"stoker/test/peers"
)

// Options configure a site.
type Options struct {
	Program  string // from peers.Shared.Program
	Postgres bool   // PostgreSQL instead of MariaDB
	Python   bool   // for services of a real Cinder, on its own tables
	Usual    bool   // default intervals instead of short ones
}

// Site is a database, a bus, and the processes that use them.
type Site struct {
	Database *peers.Database
	Broker   *peers.Broker
	DB       *sql.DB // a handle that bypasses the proxies

	options    Options
	sqlalchemy string
	transport  string
	processes  []*Process
}

// Way is a process's connections to the engines.
type Way struct {
	ToDB, ToBus *peers.Proxy

	counted bool // its connections are the program's and count
}

// Process is a process of the program, or several that share a Way.
type Process struct {
	*peers.Cinder
	Way
}

// New starts the engines and creates the tables. Everything ends with the test.
func New(tb testing.TB, o Options) *Site {
	tb.Helper()
	s := &Site{options: o}
	if o.Postgres {
		s.Database = peers.StartPostgres(tb)
	} else {
		s.Database = peers.StartMariaDB(tb)
	}
	s.Broker = peers.StartRabbitMQ(tb)
	if o.Python {
		s.sqlalchemy = s.Database.Cinder(tb)
	} else {
		s.sqlalchemy = s.Database.New(tb)
	}
	s.transport = s.Broker.URL(tb)
	s.DB = peers.Open(tb, s.sqlalchemy)
	conf := peers.WriteCinderConf(tb, peers.CinderOptions{Database: s.sqlalchemy, Transport: s.transport}).Conf
	if out, err := exec.CommandContext(tb.Context(), o.Program, "db", "sync", "--config-file", conf).CombinedOutput(); err != nil {
		tb.Fatalf("db sync: %v\n%s", err, out)
	}
	return s
}

// API starts an API process, with this host in its journal entries.
func (s *Site) API(tb testing.TB, host string) *Process {
	tb.Helper()
	return s.start(tb, peers.CinderOptions{Host: host, Services: []string{"api"}, Program: s.options.Program})
}

// Go starts a fleet of the program's own services.
func (s *Site) Go(tb testing.TB, host string) *Fleet {
	tb.Helper()
	p := s.start(tb, peers.CinderOptions{Host: host, Services: services(), Program: s.options.Program})
	return &Fleet{Process: p, Host: host, Logger: load.Go, site: s}
}

// Python starts a fleet of a real Cinder's services.
func (s *Site) Python(tb testing.TB, host string) *Fleet {
	tb.Helper()
	p := s.start(tb, peers.CinderOptions{Host: host, Services: services()})
	return &Fleet{Process: p, Host: host, Logger: load.Python, Python: true, site: s}
}

// Member starts a volume service of the program's own with the backend alpha, as a
// member of a cluster whose members share a storage directory.
func (s *Site) Member(tb testing.TB, host, cluster, storage string) *Fleet {
	tb.Helper()
	p := s.start(tb, peers.CinderOptions{
		Host: host, Cluster: cluster, Services: []string{"volume"}, Backends: []string{"alpha"}, Program: s.options.Program,
		More: "[alpha]\nstoker_mirror_root = " + storage + "\n",
	})
	return &Fleet{Process: p, Host: host, Cluster: cluster, Logger: load.Go, site: s}
}

func services() []string { return []string{"scheduler", "backup", "volume"} }

// backends are the backends of a fleet.
func backends() []string { return []string{"alpha", "beta", "gamma", probed} }

// start starts processes behind their own proxies.
func (s *Site) start(tb testing.TB, o peers.CinderOptions) *Process {
	tb.Helper()
	p := &Process{Way: Way{peers.NewProxy(tb, s.Database.Addr()), peers.NewProxy(tb, s.Broker.Addr()), o.Program != ""}}
	o.Database, o.Transport = p.ToDB.In(tb, s.sqlalchemy), p.ToBus.In(tb, s.transport)
	if len(o.Backends) == 0 {
		o.Backends = backends()
		o.More += "[" + probed + "]\nvolume_backend_name = " + probed + "\n"
	}
	if s.options.Usual {
		o.ReportInterval, o.DownTime, o.RPCTimeout = 10, 60, 60
	} else {
		o.More += "[database]\nconnection_recycle_time = 5\n[stoker]\nfailover_expiry = 5\n"
	}
	p.Cinder = peers.StartCinder(tb, o)
	s.processes = append(s.processes, p)
	return p
}
