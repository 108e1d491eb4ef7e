package store_test

import (
	"database/sql"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/store"
	"stoker/internal/store/storetest"
)

// TestContractOnGalera runs TestContract on a cluster. Each process talks to a
// different server, as does the program that writes past the store.
func TestContractOnGalera(t *testing.T) {
	cluster := servers.Galera(t)
	storetest.Run(t, func(tb testing.TB) storetest.Database {
		tb.Helper()
		urls := cluster.New(tb)
		prepare(tb, urls[0])
		other := rawMySQL(tb, urls[1])
		execOn(tb, other, `SET SESSION wsrep_sync_wait = 7`)
		opened := 0
		return storetest.Database{
			Open: func(tb testing.TB) *store.DB {
				tb.Helper()
				opened++
				return openURL(tb, urls[opened%2])
			},
			Exec:         func(tb testing.TB, query string, args ...any) { tb.Helper(); execOn(tb, other, query, args...) },
			Texts:        func(tb testing.TB, query string) map[string]string { tb.Helper(); return texts(tb, other, query) },
			WholeSeconds: true,
		}
	})
}

// TestGaleraServerOutsideItsCluster checks a server that is cut off from its cluster
// and refuses everything (1047): its clients get an unavailable database, nothing is
// written, and they continue when it is back.
func TestGaleraServerOutsideItsCluster(t *testing.T) {
	cluster := servers.Galera(t)
	urls := cluster.New(t)
	prepare(t, urls[0])
	inside, outside := openURL(t, urls[0]), openURL(t, urls[1])
	admin := rawMySQL(t, urls[1])
	row, err := inside.Register(t.Context(), cinder.Service{Host: "h@b", Binary: cinder.BinaryVolume})
	if err != nil {
		t.Fatal(err)
	}
	seen(t, outside, row.ID)

	execOn(t, admin, `SET GLOBAL wsrep_reject_queries = ALL`)
	defer accept(t, admin)
	for name, call := range map[string]func() error{
		"list":   func() error { _, err := outside.View(t.Context(), cinder.ServiceQuery{}); return err },
		"update": func() error { return addOperation(t, outside, "refused") },
		"beat":   func() error { _, err := outside.Beat(t.Context(), row.ID); return err },
		"ready":  func() error { return outside.Ready(t.Context()) },
	} {
		if err := call(); cinder.KindOf(err) != cinder.KindUnavailable {
			t.Errorf("%s: %v, want that the database is unavailable", name, err)
		}
	}
	if err := addOperation(t, inside, "meanwhile"); err != nil {
		t.Errorf("an update at the other server: %v", err)
	}
	accept(t, admin)
	if err := addOperation(t, outside, "after"); err != nil {
		t.Errorf("an update once the server is back: %v", err)
	}
	for name, db := range map[string]*store.DB{"inside": inside, "outside": outside} {
		if got := operationIDs(t, db); len(got) != 2 {
			t.Errorf("%s shows the operations %v, want meanwhile and after", name, got)
		}
	}
}

func accept(tb testing.TB, admin *sql.DB) {
	tb.Helper()
	execOn(tb, admin, `SET GLOBAL wsrep_reject_queries = NONE`)
}
