package texts

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/internal/app"
	"stoker/internal/config"
	"stoker/test/peers"
)

var engines peers.Shared

func TestMain(m *testing.M) { os.Exit(engines.Run(m)) }

// number reads a number from the environment.
func number(tb testing.TB, name string, preset int) int {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return preset
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestTextsOverHTTP sends STOKER_TEXTS requests (3,000) to a whole control plane
// over each kind of database. Whatever is in them, the answer is one that a client
// can read, never a 500, and tells nothing of what is inside; what was refused has
// changed nothing, and what was acknowledged shows to the letter.
func TestTextsOverHTTP(t *testing.T) {
	requests, seed := number(t, "STOKER_TEXTS", 3000), number(t, "STOKER_TEXTS_SEED", 1)
	for _, database := range []struct {
		name string
		url  func(*testing.T) string
	}{
		{"SQLite", func(t *testing.T) string {
			t.Helper()
			return "sqlite:///" + filepath.Join(t.TempDir(), "stoker.db")
		}},
		// A real Cinder makes its tables in utf8mb3, whatever the database has.
		{"MariaDB with Cinder's tables", func(t *testing.T) string { t.Helper(); return engines.MariaDB(t).Cinder(t) }},
		{"MariaDB in utf8mb4", func(t *testing.T) string { t.Helper(); return mariaDB(t, "utf8mb4") }},
		{"MariaDB in latin1", func(t *testing.T) string { t.Helper(); return mariaDB(t, "latin1") }},
		{"PostgreSQL", func(t *testing.T) string { t.Helper(); return engines.Postgres(t).New(t) }},
	} {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, database.url(t))
			g := newGenerator(routes(t, c.document(t)), uint64(seed)) //nolint:gosec // any number will do
			c.look(t)
			for n := range requests {
				c.try(t, g, g.next())
				if t.Failed() {
					t.Fatalf("that was request %d of seed %d", n, seed)
				}
			}
			c.journal(t)
			t.Logf("%d requests of seed %d: %s", requests, seed, c.summary())
		})
	}
}

// mariaDB makes a database whose tables have that charset.
func mariaDB(t *testing.T, charset string) string {
	t.Helper()
	url := engines.MariaDB(t).New(t)
	if _, err := peers.Open(t, url).ExecContext(t.Context(), "ALTER DATABASE CHARACTER SET "+charset); err != nil {
		t.Fatal(err)
	}
	return url
}

// start starts a control plane with a scheduler, a backup service, two volume
// services and a cluster of two.
func start(t *testing.T, database string) *client {
	t.Helper()
	dir := t.TempDir()
	o, err := app.Standalone(dir, "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	o.Config.Database = config.URL(database)
	o.Config.Edge.ProxyHeaders = true
	o.Config.WatchTime = time.Minute
	o.Volumes = slices.DeleteFunc(o.Volumes, func(v app.Volume) bool { return v.RefuseThaw != "" })
	for _, node := range []string{"nodea", "nodeb"} {
		o.Volumes = append(o.Volumes, app.Volume{
			Host: node + "@mirror", Cluster: "mycl@mirror", Name: "mirror", Root: filepath.Join(dir, "backends", "shared"), Targets: []string{"site-b", "site-c"},
		})
	}
	log := &tail{}
	o.Log = log
	a, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &client{address: a.Addr().String(), statuses: map[int]int{}}
	t.Cleanup(func() {
		c.hangUp()
		if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if log.has("panic") {
			t.Error("something panicked")
		}
		if t.Failed() {
			t.Log(log)
		}
	})
	return c
}

// tail is the end of a log: the last of its lines, and whatever panics.
type tail struct {
	mu    sync.Mutex // guards lines
	lines []string
}

// Write implements io.Writer for a logger, which writes a line at a time.
func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) >= 40 && !strings.Contains(l.lines[0], "panic") {
		l.lines = l.lines[1:]
	}
	l.lines = append(l.lines, string(bytes.ToValidUTF8(p[:min(len(p), 2000)], []byte("?"))))
	return len(p), nil
}

func (l *tail) has(word string) bool { return strings.Contains(l.String(), word) }

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprint("the end of the log:\n", strings.Join(l.lines, ""))
}
