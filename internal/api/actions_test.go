package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/api"
	"stoker/internal/cinder"
	"stoker/internal/control"
)

// fleet is the services as a test has them: each command fails with err, after
// it noted who sent it.
type fleet struct {
	control.Fleet

	mu      sync.Mutex
	err     error
	panics  bool
	callers []cinder.Caller // of the commands
	pools   []cinder.Pool
	asked   int // for pools
}

func (f *fleet) command(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.callers = append(f.callers, cinder.CallerFrom(ctx))
	if f.panics {
		panic("the fleet fell over")
	}
	return f.err
}

func (f *fleet) Freeze(ctx context.Context, _ cinder.Service) error { return f.command(ctx) }
func (f *fleet) Thaw(ctx context.Context, _ cinder.Service) error   { return f.command(ctx) }
func (f *fleet) Failover(ctx context.Context, _ cinder.Service, _ *string) error {
	return f.command(ctx)
}

func (f *fleet) Pools(context.Context) ([]cinder.Pool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.pools, f.err
}

func (f *fleet) timesAsked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func withFleet(f *fleet) parts {
	return parts{fleet: func(behind control.Fleet) control.Fleet { f.Fleet = behind; return f }}
}

// What a command comes to is told by the status, the fault and the operation's id
// (the table of outcomes), and never in words that are ours alone.
func TestOutcomes(t *testing.T) {
	const secret = "dial 10.0.0.7 as cinder:hunter2"
	cause := errors.New(secret)
	tests := []struct {
		name      string
		err       error
		status    int
		fault     string
		says      string
		retry     string
		operation bool
	}{
		{name: "done", status: 200, operation: true},
		{name: "refused by the backend", err: cinder.Errorf(cinder.KindConflict, "the array is busy"), status: 409, fault: "conflictingRequest", says: "the array is busy", operation: true},
		{name: "the service raised", err: cinder.Wrap(cinder.KindRemote, cause, "boom"), status: 502, fault: "computeFault", says: "boom", operation: true},
		{name: "nobody listens", err: cinder.Wrap(cinder.KindUndeliverable, cause, "nobody listens"), status: 503, fault: "serviceUnavailable", says: "nobody listens", retry: "5", operation: true},
		{name: "the bus is away", err: cinder.Wrap(cinder.KindUnavailable, cause, "no bus"), status: 503, fault: "serviceUnavailable", says: "no bus", retry: "5", operation: true},
		{name: "no answer", err: cinder.Wrap(cinder.KindTimeout, cause, "no answer"), status: 504, fault: "computeFault", says: "operation ", operation: true},
		{name: "too old", err: cinder.Errorf(cinder.KindNotSupported, "too old"), status: 400, fault: "badRequest", says: "too old", operation: true},
		{name: "an error that is ours", err: cause, status: 500, fault: "computeFault", says: "The server has either erred", operation: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, withFleet(&fleet{err: tt.err}))
			r.service(t, cinder.BinaryVolume, "a@b", nil)
			before := r.rows(t)
			got := r.do(t, ask{method: "PUT", path: "{P}/os-services/freeze", version: "3.26", body: `{"host": "a@b"}`})
			if got.status != tt.status || got.header.Get("Retry-After") != tt.retry {
				t.Fatalf("got %d, Retry-After %q: %s", got.status, got.header.Get("Retry-After"), got.body)
			}
			op := got.header.Get("X-Stoker-Operation")
			if (op != "") != tt.operation {
				t.Errorf("operation %q, want one: %v", op, tt.operation)
			}
			if tt.err == nil {
				if len(got.body) != 0 {
					t.Errorf("got a body: %s", got.body)
				}
				return
			}
			name, message := got.fault(t)
			if name != tt.fault || !strings.Contains(message, tt.says) {
				t.Errorf("got %s %q, want %s with %q", name, message, tt.fault, tt.says)
			}
			if tt.status == 504 && strings.Count(message, op) != 1 {
				t.Errorf("%q does not name operation %s once", message, op)
			}
			if strings.Contains(string(got.body), "hunter2") {
				t.Errorf("the cause reached the caller: %s", got.body)
			}
			if id := got.header.Get("X-Openstack-Request-Id"); !strings.Contains(r.log.String(), id) {
				t.Errorf("%s is not in the log:\n%s", id, r.log)
			}
			if diff := cmp.Diff(withoutColumns(before), withoutColumns(r.rows(t))); diff != "" {
				t.Errorf("a request that failed changed rows: -was +is\n%s", diff)
			}
		})
	}
}

func withoutColumns(rows map[string]map[string]any) map[string]map[string]any {
	for _, row := range rows {
		delete(row, "modified_at")
		delete(row, "updated_at")
	}
	return rows
}

// A panic is an error like others, for the caller; the log says where it was.
func TestPanics(t *testing.T) {
	r := newRig(t, parts{auth: panicking{}})
	got := r.do(t, ask{path: "{P}/os-services"})
	if name, message := got.fault(t); got.status != 500 || name != "computeFault" || strings.Contains(message, "secret") {
		t.Errorf("got %d %s %q", got.status, name, message)
	}
	if log := r.log.String(); !strings.Contains(log, "secret of the panic") || !strings.Contains(log, "actions_test.go") {
		t.Errorf("the log does not say what happened:\n%s", log)
	}
}

type panicking struct{ api.NoAuth }

func (panicking) Authenticate(*http.Request) (cinder.Caller, error) { panic("secret of the panic") }

// Changes are carried out in the caller's name, under the request's id.
func TestCallerReachesTheFleet(t *testing.T) {
	f := &fleet{}
	r := newRig(t, withFleet(f))
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	const id = "req-11111111-2222-4333-8444-555555555555"
	r.do(t, ask{
		method: "PUT", path: "/v3/os-services/freeze", token: "bob:" + project, version: "3.26", body: `{"host": "a@b"}`,
		header: []string{"X-Openstack-Request-Id: " + id},
	})
	want := []cinder.Caller{{
		UserID: "bob", ProjectID: project, Roles: []string{"admin"}, IsAdmin: true, IsAdminProject: true, RequestID: id, GlobalRequestID: id, Address: "127.0.0.1",
	}}
	if diff := cmp.Diff(want, f.callers); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// denies is a policy that denies one rule and writes down all that were asked for.
type denies struct {
	rule  string
	mu    sync.Mutex
	asked []string
}

func (d *denies) Allow(_ context.Context, c cinder.Caller, rule string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, rule)
	if rule == d.rule || c.UserID == "" {
		return cinder.Errorf(cinder.KindForbidden, "Policy doesn't allow %s to be performed.", rule)
	}
	return nil
}

// The order of the checks, as doc/cinder/behaviour.md#order-of-checks has it.
// Each request is wrong in several ways; what is checked first decides.
func TestOrderOfChecks(t *testing.T) {
	const services, update = "volume_extension:services:index", "volume_extension:services:update"
	put := func(path, version, body string) ask {
		return ask{method: "PUT", path: path, version: version, body: body}
	}
	tests := []struct {
		name   string
		denied string
		ask    ask
		status int
		says   string
		rules  []string
	}{
		{name: "unknown path before version", ask: ask{path: "{P}/nothing", version: "x"}, status: 404},
		{name: "version before content type", ask: ask{method: "PUT", path: "{P}/os-services/enable", version: "3.99", body: "{", bare: true}, status: 406},
		{name: "content type before JSON", ask: ask{method: "PUT", path: "{P}/os-services/enable", body: "{", bare: true}, status: 415},
		{name: "JSON before project", ask: put("/v3/ff/os-services/enable", "3.0", "{"), status: 400, says: "Malformed request body"},
		{name: "project before version of the route", ask: ask{path: "/v3/ff/clusters", version: "3.6"}, status: 400, says: "Malformed request url"},
		{name: "project before policy", denied: update, ask: put("/v3/ff/os-services/enable", "3.0", "{}"), status: 400, says: "Malformed request url"},
		{name: "version of the route before body", ask: put("{P}/clusters/enable", "3.6", ""), status: 404},
		{name: "version of the route before policy", denied: "clusters:get_all", ask: ask{path: "{P}/clusters", version: "3.6"}, status: 404},
		{name: "no body before policy", denied: update, ask: put("{P}/os-services/enable", "3.0", ""), status: 400, says: "malformed or otherwise incorrect"},
		{name: "a body before policy", denied: services, ask: ask{path: "{P}/os-services", body: "{}"}, status: 400, says: "malformed or otherwise incorrect"},
		{name: "policy of lists", denied: services, ask: ask{path: "{P}/os-services?host=%FF"}, status: 403, says: "Policy doesn't allow " + services + " to be performed.", rules: []string{services}},
		{name: "policy before schema", denied: update, ask: put("{P}/os-services/enable", "3.0", `{"host": 3}`), status: 403, rules: []string{update}},
		{name: "policy before unknown action", denied: update, ask: put("{P}/os-services/zap", "3.0", `{}`), status: 403, rules: []string{update}},
		{name: "policy of get-log before its version", denied: update, ask: put("{P}/os-services/get-log", "3.31", `{}`), status: 403, rules: []string{update}},
		{name: "get-log of an old version", ask: put("{P}/os-services/get-log", "3.31", `{"zap": 1}`), status: 400, says: "Unknown action", rules: []string{update}},
		{name: "schema before the second policy", denied: "volume:freeze_host", ask: put("{P}/os-services/freeze", "3.0", `{"host": 3}`), status: 400, says: "attribute host", rules: []string{update}},
		{name: "target before the second policy", denied: "volume:freeze_host", ask: put("{P}/os-services/freeze", "3.0", `{}`), status: 400, says: "Host field is missing.", rules: []string{update}},
		{name: "second policy of freeze", denied: "volume:freeze_host", ask: put("{P}/os-services/freeze", "3.0", `{"host": "nope"}`), status: 403, rules: []string{update, "volume:freeze_host"}},
		{name: "second policy of thaw", denied: "volume:thaw_host", ask: put("{P}/os-services/thaw", "3.0", `{"host": "nope"}`), status: 403, rules: []string{update, "volume:thaw_host"}},
		{name: "second policy of failover", denied: "volume:failover_host", ask: put("{P}/os-services/failover", "3.26", `{"cluster": "nope"}`), status: 403, rules: []string{update, "volume:failover_host"}},
		{name: "second policy of failover_host", denied: "volume:failover_host", ask: put("{P}/os-services/failover_host", "3.26", `{"host": "nope"}`), status: 403, rules: []string{update, "volume:failover_host"}},
		{name: "clusters' lists", denied: "clusters:get_all", ask: ask{path: "{P}/clusters?zap=1", version: "3.7"}, status: 403, rules: []string{"clusters:get_all"}},
		{name: "clusters' details", denied: "clusters:get_all", ask: ask{path: "{P}/clusters/detail", version: "3.7"}, status: 403, rules: []string{"clusters:get_all"}},
		{name: "a cluster", denied: "clusters:get", ask: ask{path: "{P}/clusters/nope", version: "3.7"}, status: 403, rules: []string{"clusters:get"}},
		{name: "a change of a cluster", denied: "clusters:update", ask: put("{P}/clusters/enable", "3.7", `{}`), status: 403, rules: []string{"clusters:update"}},
		{name: "an unknown change of a cluster", denied: "clusters:update", ask: put("{P}/clusters/zap", "3.7", `{}`), status: 403, rules: []string{"clusters:update"}},
		{name: "an unknown change that is allowed", ask: put("{P}/clusters/zap", "3.7", `[]`), status: 404, says: "Unknown action", rules: []string{"clusters:update"}},
		{name: "nothing to allow", denied: "", ask: ask{path: "{P}/extensions"}, status: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			policy := &denies{rule: tt.denied}
			r := newRig(t, parts{policy: policy})
			got := r.do(t, tt.ask)
			if got.status != tt.status || !strings.Contains(string(got.body), tt.says) {
				t.Errorf("got %d %s, want %d with %q", got.status, got.body, tt.status, tt.says)
			}
			if got.status == 403 {
				if name, _ := got.fault(t); name != "forbidden" {
					t.Errorf("got a %s", name)
				}
			}
			if diff := cmp.Diff(tt.rules, policy.asked); diff != "" {
				t.Errorf("rules: -want +got\n%s", diff)
			}
		})
	}
}

// What a list shows grows with the version, and the scheduler is asked only when
// its answer is shown.
func TestListByVersion(t *testing.T) {
	f := &fleet{pools: []cinder.Pool{{Name: "a@b#1", BackendState: "down"}, {Name: "cl@b#1", BackendState: "up"}, {Name: "quiet@b#1"}}}
	r := newRig(t, withFleet(f))
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	r.service(t, cinder.BinaryVolume, "n1@b", map[string]any{"cluster_name": "cl@b"})
	r.service(t, cinder.BinaryVolume, "quiet@b", nil)
	r.service(t, cinder.BinaryVolume, "unknown@b", nil)
	r.service(t, cinder.BinaryScheduler, "s", nil)
	tests := []struct {
		version, query string
		shown          []string // of backend_state and cluster, of the volume services
		states         []any
		asked          bool // the scheduler, by now
	}{
		{"3.0", "", nil, []any{nil, nil, nil, nil}, false},
		{"3.6", "", nil, []any{nil, nil, nil, nil}, false},
		{"3.7", "", []string{"cluster"}, []any{nil, nil, nil, nil}, false},
		{"3.48", "", []string{"cluster"}, []any{nil, nil, nil, nil}, false},
		{"3.71", "?binary=cinder-scheduler", []string{"cluster"}, nil, false},
		{"3.49", "", []string{"cluster", "backend_state"}, []any{"down", "up", "up", nil}, true},
		{"3.71", "?binary=cinder-volume", []string{"cluster", "backend_state"}, []any{"down", "up", "up", nil}, true},
		{"3.71", "?host=quiet", []string{"cluster", "backend_state"}, []any{"up"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.version+tt.query, func(t *testing.T) {
			var answer struct{ Services []map[string]any }
			got := r.do(t, ask{path: "{P}/os-services" + tt.query, version: tt.version})
			if err := json.Unmarshal(got.body, &answer); err != nil {
				t.Fatalf("%v: %s", err, got.body)
			}
			var states []any
			for _, s := range answer.Services {
				for _, k := range []string{"cluster", "backend_state"} {
					_, has := s[k]
					if want := slices.Contains(tt.shown, k) && (k == "cluster" || s["binary"] == cinder.BinaryVolume); has != want {
						t.Errorf("%v shows %s: %v, want %v", s["host"], k, has, want)
					}
				}
				if s["binary"] == cinder.BinaryVolume {
					states = append(states, s["backend_state"])
				}
			}
			if diff := cmp.Diff(tt.states, states); diff != "" {
				t.Errorf("states: -want +got\n%s", diff)
			}
			if asked := f.timesAsked() > 0; asked != tt.asked {
				t.Errorf("the scheduler was asked: %v, want %v", asked, tt.asked)
			}
		})
	}
}

// An acknowledged change shows in every list that is asked for afterwards,
// however many lists share a read (G1).
func TestAcknowledgedChangesShow(t *testing.T) {
	r := newRig(t, parts{})
	const hosts = 4
	for i := range hosts {
		r.service(t, cinder.BinaryBackup, fmt.Sprintf("h%d", i), nil)
	}
	var wg sync.WaitGroup
	for i := range hosts {
		wg.Go(func() {
			host := fmt.Sprintf("h%d", i)
			for n := range 12 {
				action, want := "disable", "disabled"
				if n%2 == 1 {
					action, want = "enable", "enabled"
				}
				body := fmt.Sprintf(`{"host": %q, "binary": "cinder-backup"}`, host)
				if got := r.do(t, ask{method: "PUT", path: "{P}/os-services/" + action, body: body}); got.status != 200 || got.header.Get("X-Stoker-Operation") == "" {
					t.Errorf("%s: got %d %s", action, got.status, got.body)
				}
				for _, path := range []string{"{P}/os-services", "{P}/os-services?host=" + host} {
					var answer struct {
						Services []struct{ Host, Status string }
					}
					got := r.do(t, ask{path: path})
					if err := json.Unmarshal(got.body, &answer); err != nil {
						t.Errorf("%v: %s", err, got.body)
					}
					for _, s := range answer.Services {
						if s.Host == host && s.Status != want {
							t.Errorf("%s shows %s after it was %s", path, s.Status, want)
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

// logs are the log levels that services answer, and the errors of those that do not.
type logs struct {
	control.Logs
	errs map[string]error
}

func (l *logs) LogLevels(_ context.Context, s cinder.Service, _ string) (map[string]cinder.LogLevel, error) {
	return map[string]cinder.LogLevel{"x": cinder.LogInfo}, l.errs[s.Host]
}

func (l *logs) SetLogLevel(_ context.Context, s cinder.Service, _ string, _ cinder.LogLevel) error {
	return l.errs[s.Host]
}

func TestLogLevels(t *testing.T) {
	l := &logs{errs: map[string]error{"mute": cinder.Errorf(cinder.KindTimeout, "no answer within 1s")}}
	r := newRig(t, parts{logs: func(control.Logs) control.Logs { return l }})
	r.service(t, cinder.BinaryBackup, "loud", nil)
	r.service(t, cinder.BinaryBackup, "mute", nil)
	put := func(action, body string) reply {
		t.Helper()
		return r.do(t, ask{method: "PUT", path: "{P}/os-services/" + action, version: "3.32", body: body})
	}
	got := put("set-log", `{"level": "debug", "prefix": "stoker"}`)
	if got.status != 202 || len(got.body) != 0 || got.header.Get("X-Stoker-Operation") == "" {
		t.Errorf("set-log: got %d %s, operation %q", got.status, got.body, got.header.Get("X-Stoker-Operation"))
	}
	tests := []struct{ name, body, want string }{
		{"all", `{}`, `{"log_levels":[{"host":"api1","binary":"cinder-api","levels":{"stoker.api":"DEBUG"}},{"host":"loud","binary":"cinder-backup","levels":{"x":"INFO"}}],"unanswered":[{"host":"mute","binary":"cinder-backup","reason":"no answer within 1s"}]}`},
		{"those that answer", `{"server": "loud"}`, `{"log_levels":[{"host":"loud","binary":"cinder-backup","levels":{"x":"INFO"}}]}`},
		{"those that do not", `{"server": "mute", "binary": "cinder-backup"}`, `{"log_levels":[],"unanswered":[{"host":"mute","binary":"cinder-backup","reason":"no answer within 1s"}]}`},
		{"a prefix that nothing has", `{"prefix": "zap", "binary": "cinder-api"}`, `{"log_levels":[{"host":"api1","binary":"cinder-api","levels":{}}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := put("get-log", tt.body)
			if diff := cmp.Diff(tt.want, string(got.body)); got.status != 200 || diff != "" {
				t.Errorf("%d: -want +got\n%s", got.status, diff)
			}
			if got.header.Get("X-Stoker-Operation") != "" {
				t.Error("get-log is no change")
			}
		})
	}
	if got := put("set-log", `{"level": "INFO", "server": "mute"}`); got.status != 503 {
		t.Errorf("set-log where nobody listens: got %d %s", got.status, got.body)
	}
	l.errs["loud"] = cinder.Errorf(cinder.KindNotSupported, "too old")
	if got := put("get-log", `{}`); got.status != 400 {
		t.Errorf("get-log of a service that is too old: got %d %s", got.status, got.body)
	}
}

// away is a database that cannot be reached.
type away struct{ control.Store }

func (away) View(context.Context, cinder.ServiceQuery) (*control.View, error) {
	return nil, cinder.Wrap(cinder.KindUnavailable, errors.New("password hunter2"), "The database is away.")
}

func (away) Clusters(context.Context, cinder.ClusterQuery) (*control.ClusterView, error) {
	return nil, errors.New("hunter2")
}

func (away) Update(context.Context, func(control.Tx) error) error {
	return cinder.Errorf(cinder.KindUnavailable, "The database is away.")
}

func TestDatabaseAway(t *testing.T) {
	r := newRig(t, parts{store: func(s control.Store) control.Store { return away{s} }, level: slog.LevelDebug})
	tests := []struct {
		ask    ask
		status int
	}{
		{ask{path: "{P}/os-services"}, 503},
		{ask{path: "{P}/os-services", version: "3.60"}, 503},
		{ask{path: "{P}/clusters", version: "3.7"}, 500},
		{ask{path: "{P}/clusters/a", version: "3.7"}, 500},
		{ask{method: "PUT", path: "{P}/os-services/enable", body: `{"host": "a", "binary": "b"}`}, 503},
		{ask{method: "PUT", path: "{P}/clusters/disable", version: "3.7", body: `{"name": "a"}`}, 503},
		{ask{method: "PUT", path: "{P}/os-services/get-log", version: "3.32", body: `{}`}, 503},
	}
	for _, tt := range tests {
		t.Run(tt.ask.method+tt.ask.path, func(t *testing.T) {
			got := r.do(t, tt.ask)
			if got.status != tt.status || strings.Contains(string(got.body), "hunter2") {
				t.Errorf("got %d %s, want %d", got.status, got.body, tt.status)
			}
			got.fault(t)
		})
	}
	if log := r.log.String(); !strings.Contains(log, "request answered") || !strings.Contains(log, "hunter2") {
		t.Errorf("the log says too little:\n%s", log)
	}
}
