package cli_test

import (
	"strings"
	"testing"

	"stoker/internal/cli"
	"stoker/test/peers"
)

// A database that takes no changes is one that stoker db check complains of.
func TestDBCheckOfAReadOnlyDatabase(t *testing.T) {
	url := engines.Postgres(t).New(t)
	file := conf(t, "[database]\nconnection = "+url+"\n")
	command := func(what string) result { return run(t, nil, cli.Servers(), "db", what, "--config-file", file) }
	if got := command("sync"); got.status != 0 {
		t.Fatal(got)
	}
	if got := command("check"); got.status != 0 || strings.Contains(got.stdout, "| Changes") {
		t.Errorf("while it takes changes: %v", got)
	}
	admin := peers.Open(t, url)
	name := url[strings.LastIndexByte(url, '/')+1:]
	if _, err := admin.ExecContext(t.Context(), "ALTER DATABASE "+name+" SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	got := command("check")
	if got.status != 1 || !strings.Contains(got.stdout, "read-only: no change can be made") ||
		!strings.Contains(got.stderr, "The database is read-only: it can be read, and takes no changes: ") || !strings.Contains(got.stderr, "25006") {
		t.Errorf("once it takes none: %v", got)
	}
}
