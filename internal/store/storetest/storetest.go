package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// Database is an empty, prepared database for one test.
type Database struct {
	// Open opens it again, like another process.
	Open func(tb testing.TB) *store.DB
	// Exec runs a statement as another program would.
	Exec func(tb testing.TB, query string, args ...any)
	// Texts reads two columns of text as another program would; the first is the key.
	Texts func(tb testing.TB, query string) map[string]string
	// WholeSeconds is true where Cinder's columns have no fractions of a second.
	WholeSeconds bool
}

// Run runs the suite; create makes a new database for each test.
func Run(t *testing.T, create func(tb testing.TB) Database) {
	t.Helper()
	for _, topic := range []struct {
		name string
		run  func(*testing.T, func(testing.TB) Database)
	}{
		{"rows", rows},
		{"texts", Texts},
		{"conditional writes", conditionalWrites},
		{"transactions", transactions},
		{"reads", reads},
		{"causes", causes},
		{"journal", journal},
		{"journal queries", journalQueries},
		{"journal pages", journalPages},
		{"kept requests", keptRequests},
		{"registration", registration},
		{"beats", beats},
		{"visibility", visibility},
		{"concurrency", concurrency},
		{"registration against others", registrationRace},
		{"failovers", failovers},
		{"a newer program", newerSchema},
	} {
		t.Run(topic.name, func(t *testing.T) { topic.run(t, create) })
	}
}

// insertService inserts a row as Cinder's own fixture tools do.
const insertService = `INSERT INTO services (id, uuid, host, "binary", topic, availability_zone, cluster_name, disabled, disabled_reason,
	frozen, replication_status, active_backend_id, report_count, rpc_current_version, object_current_version,
	created_at, updated_at, modified_at, deleted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// at is a time that is easy to recognise in a diff.
func at(hour, minute int) time.Time { return time.Date(2026, 11, 23, hour, minute, 0, 0, time.UTC) }

// volume is a volume service when it registers.
func volume(host string) cinder.Service {
	return cinder.Service{
		Host: host, Binary: cinder.BinaryVolume, Topic: cinder.BinaryVolume, Zone: "nova",
		RPCVersion: "3.18", ObjectVersion: "1.39", ReplicationStatus: cinder.ReplicationEnabled,
	}
}

func clustered(host, cluster string) cinder.Service {
	s := volume(host)
	s.Cluster = cluster
	return s
}

func register(tb testing.TB, db *store.DB, s cinder.Service) cinder.Service {
	tb.Helper()
	row, err := db.Register(tb.Context(), s)
	if err != nil {
		tb.Fatalf("register %s: %v", s.Host, err)
	}
	return row
}

func view(tb testing.TB, db *store.DB, q cinder.ServiceQuery) []cinder.Service {
	tb.Helper()
	v, err := db.View(tb.Context(), q)
	if err != nil {
		tb.Fatalf("view: %v", err)
	}
	return v.Services
}

// row returns the service, and checks that every way to read it agrees.
func row(tb testing.TB, db *store.DB, id int64) cinder.Service {
	tb.Helper()
	for _, s := range view(tb, db, cinder.ServiceQuery{}) {
		if s.ID == id {
			one := view(tb, db, cinder.ServiceQuery{Host: &s.Host, Binary: &s.Binary})
			if len(one) == 0 || !cmp.Equal(one[0], s) {
				tb.Fatalf("service %d by name differs from the list (-list +by name):\n%s", id, cmp.Diff([]cinder.Service{s}, one))
			}
			return s
		}
	}
	tb.Fatalf("service %d is not there", id)
	return cinder.Service{}
}

// cluster returns the only cluster.
func cluster(tb testing.TB, db *store.DB) cinder.Cluster {
	tb.Helper()
	v, err := db.Clusters(tb.Context(), cinder.ClusterQuery{})
	if err != nil {
		tb.Fatalf("clusters: %v", err)
	}
	if len(v.Clusters) != 1 {
		tb.Fatalf("clusters %v, want one", v.Clusters)
	}
	return v.Clusters[0]
}

func update(tb testing.TB, db *store.DB, fn func(*store.Tx) error) {
	tb.Helper()
	if err := db.Update(tb.Context(), fn); err != nil {
		tb.Fatalf("update: %v", err)
	}
}

func hosts(services []cinder.Service) []string {
	var names []string
	for _, s := range services {
		names = append(names, s.Host)
	}
	return names
}

func wantKind(tb testing.TB, err error, want cinder.Kind) {
	tb.Helper()
	if err == nil {
		tb.Fatalf("no error, want kind %v", want)
	}
	if got := cinder.KindOf(err); got != want {
		tb.Fatalf("error %v is of kind %v, want %v", err, got, want)
	}
}

func wantSame(tb testing.TB, what string, got, want any) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
