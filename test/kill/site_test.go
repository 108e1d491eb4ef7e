package kill

import (
	"database/sql"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stoker/internal/client"
	"stoker/test/load"
	"stoker/test/peers"
)

var engines peers.Shared

func TestMain(m *testing.M) {
	// They wait more than they work.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(engines.Run(m))
}

// Short intervals, in seconds. The defaults are longer, and otherwise the same.
const settings = `[stoker]
lease_time = 6
failover_expiry = 3
failover_deadline = 12
watch_time = 8
`

// survivors is the number of API processes besides the one that gets the request.
const survivors = 2

// site is the program as three APIs and as services, on its own database: a host, and a
// cluster of two.
type site struct {
	db      *sql.DB
	bus     string // its transport_url
	points  string // the directory for armed points
	apis    []*peers.Cinder
	users   []string         // the APIs' database users
	clients []*client.Client // of the APIs
	host    *target
	cluster *target
}

// target is the target of a change.
type target struct {
	client.Target
	hosts    []string // of the affected services
	services []*peers.Engine
	mirror   string // the directory of the backend
}

func (g *target) String() string {
	if g.Cluster != "" {
		return "by cluster"
	}
	return "by host"
}

// newSite starts a host and a cluster of two.
func newSite(t *testing.T) *site {
	t.Helper()
	s, o := emptySite(t)
	o.Backends = []string{"alpha"}
	services := func(cluster string, hosts ...string) *target {
		g := &target{Target: client.Target{Cluster: cluster}, mirror: filepath.Join(t.TempDir(), "mirror")}
		o := o
		o.Services, o.More = []string{"volume"}, settings+"[alpha]\nstoker_mirror_root = "+g.mirror+"\n"
		for _, h := range hosts {
			o.Host, o.Cluster = h, strings.TrimSuffix(cluster, "@alpha")
			g.services = append(g.services, start(t, o).Service(t, "volume"))
			g.hosts = append(g.hosts, h+"@alpha")
		}
		return g
	}
	s.host = services("", "single")
	s.host.Host = "single@alpha"
	s.cluster = services("pair@alpha", "nodea", "nodeb")
	s.startAPIs(t, o)
	return s
}

// emptySite starts a database and a bus, and returns the options for processes that use
// them.
func emptySite(t *testing.T) (*site, peers.CinderOptions) {
	t.Helper()
	program := engines.Program(t, "-tags=failpoints")
	s := &site{points: t.TempDir()}
	o := peers.CinderOptions{
		Database: engines.MariaDB(t).New(t), Transport: engines.RabbitMQ(t).URL(t), Program: program,
		ReportInterval: 1, DownTime: 6, RPCTimeout: 4,
		Env: []string{"STOKER_FAILPOINTS=" + s.points}, More: settings,
	}
	s.db, s.bus = peers.Open(t, o.Database), o.Transport
	conf := peers.WriteCinderConf(t, o)
	if out, err := exec.CommandContext(t.Context(), program, "db", "sync", "--config-file", conf.Conf).CombinedOutput(); err != nil {
		t.Fatalf("db sync: %v\n%s", err, out)
	}
	s.record(t)
	return s, o
}

// startAPIs starts the APIs of a site.
func (s *site) startAPIs(t *testing.T, o peers.CinderOptions) {
	t.Helper()
	o.Services = []string{"api"}
	for i := range 1 + survivors {
		o.Host = fmt.Sprintf("ctl%d", i+1)
		own, user := s.user(t, o)
		a := start(t, own)
		c, err := client.New(client.Options{Endpoint: a.URL + "/v3", Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		s.apis, s.users, s.clients = append(s.apis, a), append(s.users, user), append(s.clients, c)
		t.Cleanup(c.Close)
	}
}

// user gives a process a database user of its own, to see whether the database is
// executing a statement of that process.
func (s *site) user(t *testing.T, o peers.CinderOptions) (own peers.CinderOptions, name string) {
	t.Helper()
	u, err := url.Parse(o.Database)
	if err != nil {
		t.Fatal(err)
	}
	database := strings.TrimPrefix(u.Path, "/")
	name = o.Host + "-" + database
	password, _ := u.User.Password()
	u.User = url.UserPassword(name, password)
	if _, err := s.db.ExecContext(t.Context(), "GRANT ALL ON "+database+".* TO '"+name+"'@'%' IDENTIFIED BY '"+password+"'"); err != nil {
		t.Fatal(err)
	}
	o.Database = u.String()
	return o, name
}

// start starts a process.
func start(t *testing.T, o peers.CinderOptions) *peers.Cinder {
	t.Helper()
	c := peers.StartCinder(t, o)
	t.Cleanup(func() { logged(t, c) })
	return c
}

// logged shows the end of a process's log when the test has failed.
func logged(t *testing.T, c *peers.Cinder) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.Dir, "stoker-*.log"))
	if err != nil || !t.Failed() {
		return
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		lines := strings.Split(string(text), "\n")
		t.Logf("%s: %v\n%s", f, err, strings.Join(lines[max(0, len(lines)-60):], "\n"))
	}
}

// api is the process of one API.
func (s *site) api(t *testing.T, i int) *peers.Engine {
	t.Helper()
	return s.apis[i].Service(t, "api")
}

// dead are the API processes that have ended.
func (s *site) dead(t *testing.T) (which []int) {
	t.Helper()
	for i := range s.apis {
		if s.api(t, i).Ended() {
			which = append(which, i)
		}
	}
	return which
}

// record makes the database log all changes of operations' states and owners.
func (s *site) record(t *testing.T) {
	t.Helper()
	for _, statement := range []string{
		`CREATE TABLE history (n BIGINT AUTO_INCREMENT PRIMARY KEY, id VARCHAR(36), was VARCHAR(36), now VARCHAR(36), owner_was VARCHAR(255), owner VARCHAR(255), at DATETIME(6))`,
		`CREATE TRIGGER history AFTER UPDATE ON stoker_operations FOR EACH ROW INSERT INTO history (id, was, now, owner_was, owner, at)
			SELECT NEW.id, OLD.state, NEW.state, OLD.owner, NEW.owner, UTC_TIMESTAMP(6) FROM DUAL WHERE OLD.state <> NEW.state OR OLD.owner <> NEW.owner`,
	} {
		if _, err := s.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// change is an entry of that log.
type change struct {
	was, now        string // the state
	ownerWas, owner string
	at              time.Time
}

func (s *site) history(t *testing.T, id string) (found []change) {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), "SELECT was, now, owner_was, owner, at FROM history WHERE id = ? ORDER BY n", id)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var c change
		if err := rows.Scan(&c.was, &c.now, &c.ownerWas, &c.owner, &c.at); err != nil {
			t.Fatal(err)
		}
		found = append(found, c)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// operation is an entry of the journal.
type operation struct {
	id, kind, state, outcome string
	started, deadline        time.Time
	settled                  *time.Time
}

// operations returns the operations of a kind that are newer than the one with that id.
func (s *site) operations(t *testing.T, kind, after string) (found []operation) {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), "SELECT id, kind, state, outcome, started_at, deadline, settled_at FROM stoker_operations WHERE kind = ? AND id > ? ORDER BY id", kind, after)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var o operation
		if err := rows.Scan(&o.id, &o.kind, &o.state, &o.outcome, &o.started, &o.deadline, &o.settled); err != nil {
			t.Fatal(err)
		}
		found = append(found, o)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// newest is the id of the newest operation.
func (s *site) newest(t *testing.T) (id string) {
	t.Helper()
	if err := s.db.QueryRowContext(t.Context(), "SELECT COALESCE(MAX(id), '') FROM stoker_operations").Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// rows returns the volume services by host, and the cluster by name, as a line each.
func (s *site) rows(t *testing.T) map[string]string {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), "SELECT host, disabled, disabled_reason, replication_status, active_backend_id, frozen FROM services WHERE NOT deleted"+
		" UNION ALL SELECT name, disabled, disabled_reason, replication_status, active_backend_id, frozen FROM clusters WHERE NOT deleted")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	found := map[string]string{}
	for rows.Next() {
		var name string
		var disabled, frozen *bool
		var reason, replication, site *string
		if err := rows.Scan(&name, &disabled, &reason, &replication, &site, &frozen); err != nil {
			t.Fatal(err)
		}
		status := "enabled"
		if disabled != nil && *disabled {
			status = "disabled"
		}
		found[name] = line(status, reason, replication, site, frozen)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// line describes a row:
//
//	disabled 'failed-over' failed-over on site-b frozen
func line(status string, reason, replication, site *string, frozen *bool) string {
	words := []string{status}
	if reason != nil && *reason != "" {
		words = append(words, "'"+*reason+"'")
	}
	if replication != nil {
		words = append(words, *replication)
	}
	if site != nil && *site != "" {
		words = append(words, "on", *site)
	}
	if frozen != nil && *frozen {
		words = append(words, "frozen")
	}
	return strings.Join(words, " ")
}

// become waits until all rows of a target have this line; the cluster's own row does
// not show disabled, which belongs to its members.
func (s *site) become(t *testing.T, g *target, want, when string) {
	t.Helper()
	var rows map[string]string
	load.Within(t, load.Patience, fmt.Sprintf("rows say %q %s", want, when), func() bool {
		rows = s.rows(t)
		for _, h := range g.hosts {
			if rows[h] != want {
				return false
			}
		}
		return g.Cluster == "" || place(rows[g.Cluster]) == place(want)
	})
}

// place is a line without the causes for disabling.
func place(line string) string {
	for _, end := range []string{" enabled", " failing-over", " failed-over"} {
		if i := strings.Index(line, end); i >= 0 {
			return line[i:]
		}
	}
	return line
}

// frozenSites lists the directories of a backend in which nobody can create volumes.
func (g *target) frozenSites(t *testing.T) string {
	t.Helper()
	sites, err := os.ReadDir(g.mirror)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, s := range sites {
		info, err := s.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() && info.Mode().Perm()&0o200 == 0 {
			found = append(found, s.Name())
		}
	}
	return strings.Join(found, " ")
}
