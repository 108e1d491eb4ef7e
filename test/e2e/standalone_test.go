package e2e

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // To look at the rows behind the program's back.
)

// Everything an administrator does, through HTTP, with restarts in between: what
// was acknowledged is still so afterwards.
func TestStandalone(t *testing.T) {
	dir := t.TempDir()
	run := func() *process { return start(t, "standalone", "--dir", dir, "--listen", "127.0.0.1:0") }
	p := run()

	if got, want := len(p.list()), 5; got != want {
		t.Fatalf("%d services, want %d", got, want)
	}
	for _, s := range p.list() {
		if s.State != "up" || s.Status != "enabled" {
			t.Errorf("%s on %s is %s and %s at the start", s.Binary, s.Host, s.Status, s.State)
		}
	}
	eventually(t, "the scheduler knows that every backend is up", func() bool {
		return !slices.ContainsFunc(p.list(), func(s service) bool {
			return s.Binary == "cinder-volume" && (s.BackendState == nil || *s.BackendState != "up")
		})
	})
	want := func(host, want string) {
		t.Helper()
		if got := p.says(host); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}

	// Disable with a reason, freeze, restart, thaw: the disable is given back.
	alpha := map[string]any{"host": "stoker@alpha"}
	p.put("os-services/disable-log-reason", map[string]any{"host": "stoker@alpha", "binary": "cinder-volume", "disabled_reason": "disk swap"}, 200)
	p.put("os-services/freeze", alpha, 200)
	want("stoker@alpha", "disabled up 'frozen' enabled frozen")
	p.put("os-services/freeze", alpha, 400)
	if a := p.put("os-services/enable", map[string]any{"host": "stoker@alpha", "binary": "cinder-volume"}, 400); !strings.Contains(a.body, "frozen") {
		t.Errorf("enable of a frozen service: %s", a.body)
	}
	p.interrupt()

	p = run()
	want("stoker@alpha", "disabled up 'frozen' enabled frozen")
	p.put("os-services/thaw", alpha, 200)
	want("stoker@alpha", "disabled up 'disk swap' enabled")
	p.put("os-services/enable", map[string]any{"host": "stoker@alpha", "binary": "cinder-volume"}, 200)
	want("stoker@alpha", "enabled up - enabled")

	// Fail over, die without warning, and be where it was; then on, and back.
	over := func(target string) {
		t.Helper()
		a := p.put("os-services/failover_host", map[string]any{"host": "stoker@alpha", "backend_id": target}, 202)
		if a.header.Get("X-Stoker-Operation") == "" {
			t.Error("a failover without an operation")
		}
	}
	settled := func(want string) {
		t.Helper()
		eventually(t, "alpha is "+want, func() bool { return p.says("stoker@alpha") == want })
	}
	over("site-b")
	settled("disabled up 'failed-over' failed-over on site-b")
	p.kill()
	p = run()
	want("stoker@alpha", "disabled up 'failed-over' failed-over on site-b")
	over("site-c")
	settled("disabled up 'failed-over' failed-over on site-c")
	if a := p.put("os-services/failover", map[string]any{"host": "stoker@alpha", "backend_id": "nowhere"}, 400); !strings.Contains(a.body, "site-b") {
		t.Errorf("an unknown target: %s does not name the known ones", a.body)
	}
	over("default")
	settled("enabled up '' enabled")
	p.put("os-services/failover_host", map[string]any{"host": "stoker@beta"}, 400)

	// gamma refuses to thaw until it is told otherwise.
	gamma := map[string]any{"host": "stoker@gamma"}
	p.put("os-services/freeze", gamma, 200)
	if a := p.put("os-services/thaw", gamma, 409); !strings.Contains(a.body, "rebuilding") {
		t.Errorf("the backend's words are not in %s", a.body)
	}
	want("stoker@gamma", "disabled up 'frozen' enabled frozen")
	if err := os.Remove(filepath.Join(dir, "backends", "gamma", "refuse-thaw")); err != nil {
		t.Fatal(err)
	}
	p.interrupt()
	p = run()
	p.put("os-services/thaw", gamma, 200)
	want("stoker@gamma", "enabled up '' enabled")
	p.interrupt()

	journal(t, filepath.Join(dir, "stoker.db"))
}

// journal checks that what was done above is on record (G6).
func journal(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), "SELECT kind, state, user_id, request_id FROM stoker_operations ORDER BY started_at, rowid")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var got []string
	for rows.Next() {
		var kind, state, user, request string
		if err := rows.Scan(&kind, &state, &user, &request); err != nil {
			t.Fatal(err)
		}
		got = append(got, kind+" "+state)
		if user != "admin" || !strings.HasPrefix(request, "req-") {
			t.Errorf("%s by %q in request %q", kind, user, request)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"disable done", "freeze done", "thaw done", "enable done", "failover done", "failover done", "failover done",
		"freeze done", "thaw undone", "thaw done",
	}
	if !slices.Equal(got, want) {
		t.Errorf("journal %v, want %v", got, want)
	}
}

// set-log really changes what a service logs, and only that service; get-log
// says what is in force.
func TestLogLevels(t *testing.T) {
	p := start(t, "standalone", "--dir", t.TempDir(), "--listen", "127.0.0.1:0")
	levels := func(body map[string]any) map[string]map[string]string {
		t.Helper()
		a := p.put("os-services/get-log", body, 200)
		var l struct {
			Levels []struct {
				Host, Binary string
				Levels       map[string]string
			} `json:"log_levels"`
		}
		if err := json.Unmarshal([]byte(a.body), &l); err != nil {
			t.Fatal(err)
		}
		found := map[string]map[string]string{}
		for _, s := range l.Levels {
			found[s.Binary+" "+s.Host] = s.Levels
		}
		return found
	}
	if got := levels(map[string]any{}); len(got) != 6 || got["cinder-api stoker"]["stoker.control"] != "INFO" {
		t.Fatalf("levels of everybody: %v", got)
	}
	debug := func() int { return strings.Count(p.logs.String(), "level=DEBUG") }
	if debug() != 0 {
		t.Fatal("DEBUG records at the start")
	}
	p.put("os-services/set-log", map[string]any{"binary": "cinder-scheduler", "prefix": "stoker.agent", "level": "debug"}, 202)
	eventually(t, "the scheduler logs at DEBUG", func() bool {
		return levels(map[string]any{"binary": "cinder-scheduler"})["cinder-scheduler stoker"]["stoker.agent"] == "DEBUG"
	})
	if got := levels(map[string]any{"server": "stoker@alpha"})["cinder-volume stoker@alpha"]["stoker.agent"]; got != "INFO" {
		t.Errorf("alpha logs at %s, want INFO: it was not meant", got)
	}
	p.put("os-services/set-log", map[string]any{"binary": "*", "level": "error", "prefix": ""}, 202)
	eventually(t, "all loggers are at ERROR", func() bool {
		for _, service := range levels(map[string]any{}) {
			for _, l := range service {
				if l != "ERROR" {
					return false
				}
			}
		}
		return true
	})
	since := time.Now()
	p.put("os-services/disable", map[string]any{"host": "stoker", "binary": "cinder-backup"}, 200)
	p.interrupt() // all that it has logged is here then
	for line := range strings.Lines(p.logs.String()) {
		text, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		if at, err := time.Parse(time.RFC3339, text); err == nil && at.After(since) && !strings.Contains(line, "level=ERROR") {
			t.Errorf("while everybody is at ERROR: %s", line)
		}
	}
}

func TestAPIAlone(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "stoker.conf")
	text := "[DEFAULT]\nauth_strategy = noauth_include_project_id\ntransport_url = memory://\nosapi_volume_listen_port = 0\n" +
		"[database]\nconnection = sqlite:///" + filepath.Join(dir, "cinder.db") + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := output(t, "db", "check", "--config-file", conf); err == nil || !strings.Contains(out, "db sync") {
		t.Fatalf("db check of no database: %v\n%s", err, out)
	}
	if out, err := output(t, "db", "sync", "--config-file", conf); err != nil || !strings.Contains(out, "services") {
		t.Fatalf("db sync: %v\n%s", err, out)
	}
	if out, err := output(t, "db", "sync", "--config-file", conf); err != nil || !strings.Contains(out, "Nothing to do") {
		t.Fatalf("db sync again: %v\n%s", err, out)
	}
	if out, err := output(t, "db", "check", "--config-file", conf); err != nil || !strings.Contains(out, "| Missing migrations | none ") || !strings.Contains(out, "| services           | 0 rows ") {
		t.Fatalf("db check: %v\n%s", err, out)
	}
	p := start(t, "api", "--config-file", conf)
	db, err := sql.Open("sqlite", filepath.Join(dir, "cinder.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	// A row that somebody else writes is served at once, and nobody listens for it.
	_, err = db.ExecContext(t.Context(), "INSERT INTO services (created_at, updated_at, deleted, host, binary, topic, report_count, disabled, availability_zone, "+
		"replication_status, frozen, rpc_current_version, object_current_version) VALUES (datetime('now'), datetime('now'), 0, 'other@lvm', 'cinder-volume', "+
		"'cinder-volume', 5, 0, 'nova', 'enabled', 0, '3.18', '1.39')")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.says("other@lvm"), "enabled up - enabled"; got != want {
		t.Errorf("row %s, want %s", got, want)
	}
	for _, action := range []string{"freeze", "failover_host"} {
		p.put("os-services/"+action, map[string]any{"host": "other@lvm"}, 503)
		if got, want := p.says("other@lvm"), "enabled up - enabled"; got != want {
			t.Errorf("after an undeliverable %s: %s, want %s", action, got, want)
		}
	}
	if a := p.call(http.MethodGet, "/healthcheck", nil); a.status != http.StatusOK {
		t.Errorf("healthcheck: %d", a.status)
	}
	p.interrupt()
}
