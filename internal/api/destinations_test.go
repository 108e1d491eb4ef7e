package api_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// announcing is a fleet whose services have announced targets and take every failover.
type announcing struct {
	control.Fleet
	targets map[string]cinder.FailoverTargets // by host
}

func (a announcing) Targets(s cinder.Service) cinder.FailoverTargets { return a.targets[s.Host] }

func (a announcing) Failover(context.Context, cinder.Service, *string) error { return nil }

func withTargets(tb testing.TB) *rig {
	tb.Helper()
	r := newRig(tb, parts{fleet: func(behind control.Fleet) control.Fleet {
		return announcing{Fleet: behind, targets: map[string]cinder.FailoverTargets{
			"a@mirror": {Names: []string{"site-b", "site-c"}, Complete: true},
			"a@array":  {Names: []string{"000197800123"}},
		}}
	}})
	for _, host := range []string{"a@mirror", "a@array", "b@none"} {
		r.service(tb, cinder.BinaryVolume, host, nil)
	}
	r.service(tb, cinder.BinaryBackup, "a", nil)
	return r
}

// A change that may not do what was meant is carried out with a warning, which its answer has, also
// when that is given again, and the journal.
func TestWarningOfAnUnannouncedTarget(t *testing.T) {
	r := withTargets(t)
	const warning = `a@array announced the replication targets 000197800123, and not s\u00eete: its driver decides.`
	for name, body := range map[string]string{"site-b": `{"host": "a@mirror", "backend_id": "site-b"}`, "the way back": `{"host": "b@none", "backend_id": "default"}`} {
		if got := r.do(t, ask{method: "PUT", path: "{P}/os-services/failover_host", body: body}); got.status != 202 || got.header.Get("X-Stoker-Warning") != "" {
			t.Errorf("%s: %d %s, warning %q; want 202 and none", name, got.status, got.body, got.header.Get("X-Stoker-Warning"))
		}
	}
	var id string
	for range 2 {
		got := r.do(t, ask{
			method: "PUT", path: "{P}/os-services/failover_host", header: []string{"Idempotency-Key: k"},
			body: `{"host": "a@array", "backend_id": "s\u00eete"}`,
		})
		if got.status != 202 || got.header.Get("X-Stoker-Warning") != warning {
			t.Fatalf("%d %s, warning %q; want 202, %q", got.status, got.body, got.header.Get("X-Stoker-Warning"), warning)
		}
		id = got.header.Get("X-Stoker-Operation")
	}
	for _, op := range r.operations(t, "").Operations {
		want := any(nil)
		if op["id"] == id {
			want = "a@array announced the replication targets 000197800123, and not s\u00eete: its driver decides."
		}
		if op["warning"] != want {
			t.Errorf("the journal has the warning %v, want %v, of %v", op["warning"], want, op)
		}
	}
	got := r.do(t, ask{method: "PUT", path: "{P}/os-services/failover_host", body: `{"host": "a@mirror", "backend_id": "site-x"}`})
	if got.status != 400 {
		t.Errorf("a target beside a complete list: %d %s, want 400", got.status, got.body)
	}
}

func TestFailoverTargets(t *testing.T) {
	r := withTargets(t)
	mirror := map[string]any{
		"host": "a@mirror", "cluster": nil, "replication_status": "enabled", "active_backend_id": nil,
		"targets": []any{"site-b", "site-c"}, "complete": true,
	}
	array := map[string]any{
		"host": "a@array", "cluster": nil, "replication_status": "enabled", "active_backend_id": nil,
		"targets": []any{"000197800123"}, "complete": false,
	}
	none := map[string]any{
		"host": "b@none", "cluster": nil, "replication_status": "enabled", "active_backend_id": nil, "targets": []any{}, "complete": false,
	}
	for _, tt := range []struct {
		query string
		want  []any
	}{
		{"", []any{mirror, array, none}},
		{"?host=a", []any{mirror, array}},
		{"?host=a@array", []any{array}},
		{"?host=nope", []any{}},
		{"?cluster=nope", []any{}},
	} {
		got := r.do(t, ask{path: "/stoker/v1/failover-targets" + tt.query})
		var answer map[string]any
		if err := json.Unmarshal(got.body, &answer); err != nil || got.status != 200 {
			t.Fatalf("%q: %d %s, %v", tt.query, got.status, got.body, err)
		}
		if diff := cmp.Diff(map[string]any{"failover_targets": tt.want}, answer); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.query, diff)
		}
	}
	if got := r.do(t, ask{path: "/stoker/v1/failover-targets?hosts=a"}); got.status != 400 {
		t.Errorf("a filter that there is not: %d %s, want 400", got.status, got.body)
	}
}

// At the newest version a cluster can be failed over by either name.
func TestFailoverHostOfACluster(t *testing.T) {
	r := withTargets(t)
	r.insert(t, "clusters", map[string]any{
		"name": "cl@mirror", "binary": cinder.BinaryVolume, "race_preventer": 0, "disabled": false, "frozen": false, "deleted": false,
		"replication_status": "enabled",
	})
	for _, host := range []string{"n1@mirror", "n2@mirror"} {
		r.service(t, cinder.BinaryVolume, host, map[string]any{"cluster_name": "cl@mirror"})
	}
	got := r.do(t, ask{method: "PUT", path: "{P}/os-services/failover_host", version: "3.71", body: `{"cluster": "cl@mirror", "backend_id": "site-b"}`})
	if got.status != 202 {
		t.Fatalf("%d %s, want 202", got.status, got.body)
	}
	ops := r.operations(t, "?kind=failover").Operations
	if len(ops) != 1 || ops[0]["cluster"] != "cl@mirror" {
		t.Errorf("journal: %+v, want a failover of the cluster", ops)
	}
}
