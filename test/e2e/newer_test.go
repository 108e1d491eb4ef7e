package e2e

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver "sqlite".
)

// edit changes a database file as another program would.
func edit(t *testing.T, file string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// A database that a newer Stoker has changed is named as such. Where that one has
// said that older programs must not write, this one does not.
func TestADatabaseOfANewerStoker(t *testing.T) {
	dir := t.TempDir()
	conf, file := onSQLite(t, dir), filepath.Join(dir, "stoker.db")
	if out, err := output(t, "db", "sync", "--config-file", conf); err != nil {
		t.Fatalf("db sync: %v\n%s", err, out)
	}
	edit(t, file, `INSERT INTO stoker_migrations (version_id, is_applied) VALUES (99, TRUE)`)
	for _, command := range []string{"check", "sync"} {
		if out, err := output(t, "db", command, "--config-file", conf); err != nil || !strings.Contains(out, "newer Stoker") || !strings.Contains(out, "99") {
			t.Errorf("db %s does not name migration 99 (%v):\n%s", command, err, out)
		}
	}
	p := start(t, "api", "--config-file", conf)
	if a := p.call(http.MethodGet, "/healthcheck?detailed", nil); a.status != http.StatusOK {
		t.Errorf("health: %d %s", a.status, a.body)
	}

	edit(t, file, `INSERT INTO stoker_writers (since) VALUES (99)`)
	if a := p.call(http.MethodGet, "/healthcheck?detailed", nil); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "it is not prepared for this version") {
		t.Errorf("health of a process that must not write any more: %d %s", a.status, a.body)
	}
	p.interrupt()
	for _, args := range [][]string{
		{"db", "check", "--config-file", conf},
		{"db", "sync", "--config-file", conf},
		{"api", "--config-file", conf},
		{"standalone", "--dir", dir, "--listen", "127.0.0.1:0"},
	} {
		if out, err := output(t, args...); err == nil || !strings.Contains(out, "only programs that know migration 99 may write to it") {
			t.Errorf("%s (%v):\n%s", strings.Join(args, " "), err, out)
		}
	}
}
