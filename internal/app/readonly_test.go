package app_test

import (
	"net/http"
	"strings"
	"testing"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/client"
	"stoker/internal/config"
	"stoker/test/peers"
)

// TestReadOnlyDatabase: of a database that takes no changes, health, the metrics and
// the answers to changes say so; lists go on, and changes too, once it takes them.
func TestReadOnlyDatabase(t *testing.T) {
	url := engines.Postgres(t).New(t)
	o := standalone(t, t.TempDir())
	o.Config.Database, o.Config.MetricsListen = config.URL(url), "127.0.0.1:0"
	o = app.Options{Config: o.Config, API: true, Alone: true, Sync: true, Backup: true}
	s := start(t, o)
	admin := peers.Open(t, url)
	admin.SetMaxOpenConns(1)
	readOnly := func(value string) {
		t.Helper()
		name := url[strings.LastIndexByte(url, '/')+1:]
		for _, statement := range []string{
			`SET default_transaction_read_only = off`,
			`ALTER DATABASE ` + name + ` SET default_transaction_read_only = ` + value,
			`SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity WHERE datname = CURRENT_DATABASE() AND pid <> PG_BACKEND_PID()`,
		} {
			if _, err := admin.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := func(status int, database, writable string) {
		t.Helper()
		eventually(t, "health says of the database: "+database, func() bool {
			got, parts := s.health(t)
			return got == status && parts["database"] == database
		})
		eventually(t, "stoker_database_writable is "+writable, func() bool {
			got := s.scrape(t, "stoker_database_")
			return got["stoker_database_up"] == "1" && got["stoker_database_writable"] == writable
		})
	}
	disable := func() error {
		_, err := s.Disable(t.Context(), "stoker", cinder.BinaryBackup, "a reason")
		return err
	}
	want(http.StatusOK, "OK/", "1")
	readOnly("on")
	want(http.StatusServiceUnavailable, "read-only: no change can be made/", "0")
	eventually(t, "a change is answered with the reason", func() bool {
		err := disable()
		return cinder.KindOf(err) == cinder.KindUnavailable && strings.Contains(err.Error(), "The database is read-only")
	})
	if services, err := s.Services(t.Context(), client.ServiceFilter{}); err != nil || len(services) != 1 || services[0].Status != "enabled" {
		t.Errorf("a list of %v, %v; want the one service, as it was", services, err)
	}
	readOnly("off")
	want(http.StatusOK, "OK/", "1")
	if err := disable(); err != nil {
		t.Errorf("a change, once it is possible: %v", err)
	}
}
