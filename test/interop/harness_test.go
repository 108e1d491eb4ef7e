package interop

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"stoker/test/peers"
)

var engines peers.Shared

func TestMain(m *testing.M) { os.Exit(engines.Run(m)) }

// deployment is a database and a bus, and what runs on them.
type deployment struct {
	options peers.CinderOptions // of what is started on it
	db      *sql.DB
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{options: peers.CinderOptions{Database: engines.MariaDB(t).Cinder(t), Transport: engines.RabbitMQ(t).URL(t)}}
	d.db = peers.Open(t, d.options.Database)
	return d
}

// python starts services of a real Cinder.
func (d *deployment) python(t *testing.T, host string, services ...string) *peers.Cinder {
	t.Helper()
	o := d.options
	o.Host, o.Services = host, services
	return peers.StartCinder(t, o)
}

// stoker starts the program as these services.
func (d *deployment) stoker(t *testing.T, host string, services ...string) *peers.Cinder {
	t.Helper()
	o := d.options
	o.Host, o.Services, o.Program = host, services, engines.Program(t)
	return peers.StartCinder(t, o)
}

// sync adds Stoker's own tables to the database.
func (d *deployment) sync(t *testing.T) {
	t.Helper()
	conf := peers.WriteCinderConf(t, d.options).Conf
	if out, err := exec.CommandContext(t.Context(), engines.Program(t), "db", "sync", "--config-file", conf).CombinedOutput(); err != nil {
		t.Fatalf("db sync: %v\n%s", err, out)
	}
}

const project = "0123456789abcdef0123456789abcdef"

// api is an API of a deployment, Stoker's or Cinder's, and who asks it.
type api struct {
	name    string
	url     string
	token   string // of an administrator under noauth when empty
	project string // whose paths are asked for; project when empty
}

// answer is what an API said.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request. It may be called from any goroutine.
func (a api) ask(ctx context.Context, method, path, version string, body any) (answer, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, a.url+"/v3/"+cmp.Or(a.project, project)+"/"+path, bytes.NewReader(text))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("X-Auth-Token", cmp.Or(a.token, "admin:"+project))
	req.Header.Set("OpenStack-API-Version", "volume "+version)
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err = io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(text)}, err
}

// get reads something that has to be there.
func (a api) get(t *testing.T, path, version string) string {
	t.Helper()
	got, err := a.ask(t.Context(), http.MethodGet, path, version, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.status != http.StatusOK {
		t.Fatalf("%s: GET %s at %s: %d %s", a.name, path, version, got.status, got.body)
	}
	return got.body
}

// put does an action, and returns whatever the answer is.
func (a api) put(t *testing.T, path, version string, body any) answer {
	t.Helper()
	got, err := a.ask(t.Context(), http.MethodPut, path, version, body)
	if err != nil {
		t.Fatalf("%s: PUT %s: %v", a.name, path, err)
	}
	return got
}

// must does an action that has to succeed.
func (a api) must(t *testing.T, path string, body any) {
	t.Helper()
	if got := a.put(t, path, newest, body); got.status >= http.StatusMultipleChoices {
		t.Fatalf("%s: PUT %s %v: %d %s", a.name, path, body, got.status, got.body)
	}
}

// newest is the newest microversion that both APIs have.
const newest = "3.70"

// eventually waits, for half a minute at most, until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	within(t, 30*time.Second, what, so)
}

func within(t *testing.T, limit time.Duration, what string, so func() bool) {
	t.Helper()
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-end.C:
			t.Fatalf("in %v it did not come to pass that %s", limit, what)
		case <-tick.C:
		}
	}
}

// passed ends a test when a part of it has failed without which the next ones
// tell nothing.
func passed(t *testing.T, part bool) {
	t.Helper()
	if !part {
		t.FailNow()
	}
}
