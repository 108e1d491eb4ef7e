package kill

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/internal/client"
	"stoker/test/load"
)

// kind is a change, and the lines that lists may show for it. A failover is running
// between before and after.
type kind struct {
	name   string
	site   string // target of a failover
	before string
	during []string
	after  string
}

const (
	home       = "enabled enabled"
	frozen     = "disabled 'frozen' enabled frozen"
	onSiteB    = "disabled 'failed-over' failed-over on site-b"
	toDefault  = "default"
	wayOut     = "enabled failing-over"
	wayOutLate = "disabled 'failed-over' failing-over" // disabled already, as others write it
	wayBack    = "disabled 'failed-over' failing-over on site-b"
)

func freeze() kind { return kind{name: "freeze", before: home, after: frozen} }
func thaw() kind   { return kind{name: "thaw", before: frozen, after: home} }
func failover() kind {
	return kind{name: "failover", site: "site-b", before: home, during: []string{wayOut, wayOutLate}, after: onSiteB}
}

func failback() kind {
	return kind{name: "failback", site: toDefault, before: onSiteB, during: []string{wayBack}, after: home}
}

// journal is the operation's kind in the journal.
func (k kind) journal() string {
	if k.site != "" {
		return "failover"
	}
	return k.name
}

func (k kind) send(ctx context.Context, c *client.Client, g *target) error {
	var err error
	switch k.name {
	case "freeze":
		_, err = c.Freeze(ctx, g.Target)
	case "thaw":
		_, err = c.Thaw(ctx, g.Target)
	default:
		_, err = c.Failover(ctx, g.Target, k.site)
	}
	return err
}

// stage is the stage of the change that a line shows: b, d or a, or ? for half a
// change.
func (k kind) stage(line string, same func(a, b string) bool) byte {
	switch {
	case same(line, k.before):
		return 'b'
	case same(line, k.after):
		return 'a'
	}
	for _, d := range k.during {
		if same(line, d) {
			return 'd'
		}
	}
	return '?'
}

// watch polls the lists all the time.
type watch struct {
	stop     context.CancelFunc
	watching sync.WaitGroup

	mu       sync.Mutex
	services stages   // guarded by mu
	clusters stages   // guarded by mu
	half     []string // guarded by mu; lists that showed half a change
	lists    int      // guarded by mu
}

// stages are letters in the order of their first appearance.
type stages string

func (s *stages) add(stage byte) {
	if !strings.HasSuffix(string(*s), string(stage)) {
		*s += stages(stage)
	}
}

// watch starts polling the surviving APIs for services and clusters.
func (s *site) watch(t *testing.T, k kind, g *target, hosts []string) *watch {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w := &watch{stop: stop}
	t.Cleanup(stop)
	w.watching.Go(func() {
		for ctx.Err() == nil {
			for _, c := range s.clients[1:] {
				w.look(ctx, c, k, g, hosts)
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return w
}

// look requests both lists. It ignores an API that does not answer, which may be dead.
func (w *watch) look(ctx context.Context, c *client.Client, k kind, g *target, hosts []string) {
	services, err := c.Services(ctx, client.ServiceFilter{Binary: "cinder-volume"})
	if err != nil {
		return
	}
	clusters, err := c.Clusters(ctx, client.ClusterFilter{}, true)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lists++
	var shown []string
	seen := map[byte]bool{}
	for _, h := range hosts {
		for _, v := range services {
			if v.Host == h {
				l := line(v.Status, v.DisabledReason, v.ReplicationStatus, v.ActiveBackendID, v.Frozen)
				seen[k.stage(l, func(a, b string) bool { return a == b })] = true
				shown = append(shown, h+": "+l)
			}
		}
	}
	if len(seen) != 1 || seen['?'] || len(shown) != len(hosts) {
		w.half = append(w.half, strings.Join(shown, "; "))
	}
	for stage := range seen {
		w.services.add(stage)
	}
	for _, v := range clusters {
		if v.Name != g.Cluster {
			continue
		}
		l := line(v.Status, v.DisabledReason, v.ReplicationStatus, v.ActiveBackendID, v.Frozen)
		stage := k.stage(l, func(a, b string) bool { return place(a) == place(b) })
		if stage == '?' {
			w.half = append(w.half, v.Name+": "+l)
		}
		w.clusters.add(stage)
	}
}

// end stops polling, and checks that the lists went through the permitted stages, given
// as a regular expression, and never showed half a change.
func (w *watch) end(t *testing.T, way string) {
	t.Helper()
	load.Within(t, load.Patience, "a list is answered", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.lists > 0
	})
	w.stop()
	w.watching.Wait()
	if len(w.half) > 0 {
		t.Errorf("%d of %d lists showed half a change, the first one: %s", len(w.half), w.lists, w.half[0])
	}
	for what, seen := range map[string]stages{"services": w.services, "the cluster": w.clusters} {
		if ok, err := regexp.MatchString("^("+way+")$", string(seen)); err != nil || !ok {
			t.Errorf("of %s the lists showed, in this order, %q, want %s: %v", what, seen, way, err)
		}
	}
}
