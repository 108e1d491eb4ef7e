package peers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Galera is a cluster of two MariaDB servers that replicate synchronously, as
// clouds have behind a balancer.
type Galera struct {
	Nodes [2]*Database
}

type galeraPrograms struct {
	mariadbPrograms
	provider string
}

func findGalera(tb testing.TB) galeraPrograms {
	tb.Helper()
	Need(tb, "Galera", "/usr/bin/wsrep_sst_rsync")
	Need(tb, "Galera", "rsync")
	return galeraPrograms{findMariaDB(tb, Bookworm), Need(tb, "Galera", "/usr/lib/galera/libgalera_smm.so", "/usr/lib/*/galera/libgalera_smm.so")}
}

// StartGalera returns a cluster of this test's own.
func StartGalera(tb testing.TB) *Galera {
	tb.Helper()
	g, err := startGalera(findGalera(tb))
	if err != nil {
		tb.Fatal(err)
	}
	for _, n := range g.Nodes {
		n.owned(tb)
	}
	return g
}

// Galera returns the cluster of these tests.
func (s *Shared) Galera(tb testing.TB) *Galera {
	tb.Helper()
	return shared(tb, s, &s.galera, startGalera, findGalera(tb))
}

// New makes a new, empty database, and returns its URL at each node.
func (g *Galera) New(tb testing.TB) [2]string {
	tb.Helper()
	first := g.Nodes[0].New(tb)
	second := strings.Replace(first, g.Nodes[0].Addr(), g.Nodes[1].Addr(), 1)
	err := await(startWithin, "the second node has the database", func() bool {
		db, err := open(second)
		if err != nil {
			return false
		}
		defer func() { _ = db.Close() }()
		return db.PingContext(tb.Context()) == nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return [2]string{first, second}
}

func startGalera(programs galeraPrograms) (*Galera, error) {
	g := &Galera{}
	var addresses [2]string
	for i := range g.Nodes {
		d, err := newMariaDB(programs.mariadbPrograms)
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		g.Nodes[i] = d
		d.peer = fmt.Sprint("Galera's node ", i+1)
		d.ready = d.joined
		if addresses[i], err = freeAddress(); err != nil {
			return nil, errors.Join(err, g.close())
		}
	}
	for i, d := range g.Nodes {
		var others [2]string // where it takes what it has missed, in part and as a whole
		for j := range others {
			var err error
			if others[j], err = freeAddress(); err != nil {
				return nil, errors.Join(err, g.close())
			}
		}
		d.launch.args = append(d.launch.args,
			"--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--wsrep-on=ON", "--wsrep-provider="+programs.provider,
			"--wsrep-cluster-address=gcomm://"+strings.Join(addresses[:], ","), "--wsrep-node-address="+addresses[i],
			"--wsrep-provider-options=gmcast.listen_addr=tcp://"+addresses[i]+";ist.recv_addr="+others[0]+";gcache.size=16M",
			"--wsrep-sst-method=rsync", "--wsrep-sst-receive-address="+others[1],
		)
		again := d.launch.args
		if i == 0 {
			d.launch.args = append(slices.Clone(again), "--wsrep-new-cluster")
		}
		err := d.start()
		d.launch.args = again
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
	}
	return g, nil
}

func (g *Galera) close() error {
	var err error
	for _, d := range slices.Backward(g.Nodes[:]) {
		if d != nil {
			err = errors.Join(err, d.close())
		}
	}
	return err
}

// joined reports whether the server is part of its cluster and takes statements.
func (d *Database) joined(ctx context.Context) error {
	db, err := open(d.url(d.admin))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var name, value string
	switch err := db.QueryRowContext(ctx, `SHOW STATUS LIKE 'wsrep_ready'`).Scan(&name, &value); {
	case errors.Is(err, sql.ErrNoRows):
		return errors.New("it knows no clusters")
	case err != nil:
		return err
	case value != "ON":
		return errors.New("it is not part of its cluster yet")
	}
	return nil
}

func freeAddress() (string, error) {
	port, err := freePort()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
