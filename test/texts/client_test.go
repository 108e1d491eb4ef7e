package texts

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// patience bounds the wait for one answer.
const patience = 30 * time.Second

// client asks a control plane, one request after the other, and knows what it
// has to show.
type client struct {
	address string
	conn    net.Conn // nil before the first request, and when it was closed
	reader  *bufio.Reader

	shown    map[string]row  // services and clusters at the last look
	began    map[string]bool // operations of changes that were acknowledged, and not replayed
	statuses map[int]int     // how many answers had which
	refused  int             // changes since the last look that began nothing
}

// refusals is how many changes that were refused go by without a look at the rows.
const refusals = 20

// answer is what came back; stream is a body without an end, which was not read.
type answer struct {
	status int
	header http.Header
	body   []byte
	stream bool
}

// send sends a request as it is, and reads the answer. A connection that the
// server has closed is made anew, once.
func (c *client) send(tb testing.TB, method, text string) answer {
	tb.Helper()
	for range 2 {
		if c.conn == nil {
			conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", c.address)
			if err != nil {
				tb.Fatal(err)
			}
			c.conn, c.reader = conn, bufio.NewReader(conn)
		}
		a, err := c.exchange(method, text)
		if err == nil {
			return a
		}
		c.hangUp()
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !isReset(err) {
			tb.Fatalf("%.2000q: %v", text, err)
		}
	}
	tb.Fatalf("no answer to %.2000q", text)
	return answer{}
}

func isReset(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

func (c *client) exchange(method, text string) (answer, error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	if _, err := io.WriteString(c.conn, text); err != nil {
		return answer{}, err
	}
	resp, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header}
	if a.stream = strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream"); a.stream {
		c.hangUp()
		return a, nil
	}
	a.body, err = io.ReadAll(resp.Body)
	if err := resp.Body.Close(); err != nil {
		return a, err
	}
	if resp.Close {
		c.hangUp()
	}
	return a, err
}

func (c *client) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// get reads something that has to be there.
func (c *client) get(tb testing.TB, path string) []byte {
	tb.Helper()
	a := c.send(tb, http.MethodGet, request{method: http.MethodGet, target: path, headers: []string{
		"X-Auth-Token: admin:" + project, "OpenStack-API-Version: volume 3.48",
	}}.text(c.address))
	if a.status != http.StatusOK {
		tb.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	return a.body
}

func (c *client) document(tb testing.TB) []byte {
	tb.Helper()
	return c.get(tb, "/stoker/v1/openapi.yaml")
}

// row is a service or a cluster as a list shows it, but for what its heartbeat changes.
type row struct {
	Binary      string  `json:"binary"`
	Host        string  `json:"host"`
	Name        string  `json:"name"` // of a cluster
	Cluster     *string `json:"cluster"`
	Status      string  `json:"status"`
	Reason      *string `json:"disabled_reason"`
	Frozen      bool    `json:"frozen"`
	Replication *string `json:"replication_status"`
	Site        *string `json:"active_backend_id"`
}

// look reads the lists.
func (c *client) look(tb testing.TB) map[string]row {
	tb.Helper()
	c.shown = map[string]row{}
	var list struct{ Services, Clusters []row }
	for _, path := range []string{"os-services", "clusters/detail"} {
		if err := json.Unmarshal(c.get(tb, "/v3/"+path), &list); err != nil {
			tb.Fatal(err)
		}
	}
	for _, r := range slices.Concat(list.Services, list.Clusters) {
		c.shown[r.Binary+" "+r.Host+r.Name] = r
	}
	return c.shown
}

// try sends a request, and judges its answer and what the lists show then.
func (c *client) try(t *testing.T, g *generator, r request) {
	t.Helper()
	a := c.send(t, r.method, r.text(c.address))
	c.statuses[a.status]++
	wrong := func(what string) {
		t.Helper()
		t.Errorf("%s\n%.3000q\nanswer: %d %v %.2000q", what, r.text(c.address), a.status, a.header, a.body)
	}
	for _, what := range readable(r, a) {
		wrong(what)
	}
	if r.method == http.MethodGet || r.method == http.MethodHead || r.method == http.MethodOptions {
		return
	}
	done := a.status < http.StatusBadRequest && a.header.Get("Idempotency-Replayed") == "" && r.method == r.route.method
	switch op := a.header.Get("X-Stoker-Operation"); {
	case op != "":
		c.settle(t, op)
		if done {
			c.noteOperation(g, op)
		}
	case !done && c.refused < refusals:
		c.refused++
		return
	}
	c.refused = 0
	before, after := c.shown, c.look(t)
	if !done {
		if diff := cmp.Diff(before, after); diff != "" {
			wrong("rows changed (-before +after):\n" + diff)
		}
		return
	}
	if what := acknowledged(r, before, after); what != "" {
		wrong(what + ":\n" + cmp.Diff(before, after))
	}
}

func (c *client) noteOperation(g *generator, id string) {
	if c.began == nil {
		c.began = map[string]bool{}
	}
	c.began[id] = true
	g.ids = append(g.ids[max(0, len(g.ids)-20):], id)
}

// settle waits until an operation has ended: a failover goes on behind its answer.
func (c *client) settle(t *testing.T, id string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		var one struct{ Operation struct{ State string } }
		if err := json.Unmarshal(c.get(t, "/stoker/v1/operations/"+id), &one); err != nil {
			t.Fatal(err)
		}
		if one.Operation.State != "open" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("operation %s is still open", id)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// journal looks once more, reads the whole journal, page by page, and wants every
// change in it that was acknowledged.
func (c *client) journal(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(c.shown, c.look(t)); diff != "" {
		t.Errorf("rows changed in the end (-before +after):\n%s", diff)
	}
	missing := maps.Clone(c.began)
	for path := "/stoker/v1/operations?limit=1000"; path != ""; {
		var page struct {
			Operations []struct{ ID, State string }
			Links      []struct{ Href string } `json:"operations_links"`
		}
		if err := json.Unmarshal(c.get(t, path), &page); err != nil {
			t.Fatal(err)
		}
		for _, op := range page.Operations {
			delete(missing, op.ID)
		}
		path = ""
		if len(page.Links) > 0 {
			_, rest, _ := strings.Cut(page.Links[0].Href, c.address)
			path = rest
		}
	}
	if len(missing) > 0 {
		t.Errorf("the journal has not %v", slices.Sorted(maps.Keys(missing)))
	}
}

func (c *client) summary() string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(c.statuses)) {
		parts = append(parts, fmt.Sprintf("%d answers of %d", c.statuses[status], status))
	}
	return strings.Join(parts, ", ") + fmt.Sprintf("; %d changes", len(c.began))
}
