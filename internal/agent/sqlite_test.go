package agent_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/agent"
	"stoker/internal/backend/mirror"
	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/store"
	"stoker/internal/store/storetest"
	"stoker/internal/telemetry"
	"stoker/test/peers"
)

// port adapts a database to Store.
type port struct{ *store.DB }

func (p port) Update(ctx context.Context, fn func(control.Tx) error) error {
	return p.DB.Update(ctx, func(tx *store.Tx) error { return fn(tx) })
}

// databases makes the databases of this package's tests.
var databases storetest.Template

func open(tb testing.TB) port {
	tb.Helper()
	return openURL(tb, "sqlite:///"+databases.New(tb))
}

// openURL opens a prepared database.
func openURL(tb testing.TB, url string) port {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Options{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return port{db}
}

// noBus is a bus without listeners.
type noBus struct{}

func (noBus) UpdateServiceCapabilities(context.Context, cinder.Capabilities) error { return nil }
func (noBus) NotifyServiceCapabilities(context.Context, cinder.Capabilities) error { return nil }
func (noBus) PublishServiceCapabilities(context.Context) error                     { return nil }
func (noBus) Cleanup(context.Context, cinder.Service, cinder.CleanupRequest) error { return nil }
func (noBus) FailoverCompleted(context.Context, string, cinder.FailoverOutcome) error {
	return nil
}

// alpha is a volume service with a real database and a real mirror.
type alpha struct {
	*agent.Volume
	t    *testing.T
	db   port
	root string
}

func newAlpha(t *testing.T, db port, root, cluster string) *alpha {
	t.Helper()
	log := telemetry.NewLoggers(telemetry.NewHandler(io.Discard, telemetry.Text), cinder.LogDebug)
	b, err := mirror.New(mirror.Options{
		Name: "alpha", Root: root, Targets: []string{"site-b", "site-c"}, Log: log.Logger("stoker.backend.mirror"),
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &alpha{t: t, db: db, root: root, Volume: agent.NewVolume(agent.VolumeOptions{
		Options: agent.Options{
			Host: "host1@alpha", Zone: "nova", Store: db, Bus: noBus{}, Loggers: log,
			ReportInterval: 20 * time.Millisecond, DownTime: time.Minute,
		},
		Cluster: cluster, Backend: b, StatsInterval: time.Minute, ReplicationInterval: time.Minute,
	})}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.stop)
	return a
}

func (a *alpha) stop() {
	if err := a.Stop(context.Background()); err != nil {
		a.t.Error(err)
	}
}

func (a *alpha) row() cinder.Service {
	a.t.Helper()
	view, err := a.db.View(a.t.Context(), cinder.ServiceQuery{})
	if err != nil || len(view.Services) != 1 {
		a.t.Fatalf("%d services, %v", len(view.Services), err)
	}
	return view.Services[0]
}

// edit changes the row as control would.
func (a *alpha) edit(fn func(*cinder.Service)) {
	a.t.Helper()
	err := a.db.Update(a.t.Context(), func(tx control.Tx) error {
		rows, err := tx.Services(a.t.Context(), cinder.ServiceQuery{})
		if err != nil {
			return err
		}
		now := rows[0]
		fn(&now)
		return tx.SaveService(a.t.Context(), rows[0], now)
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *alpha) want(want string) {
	a.t.Helper()
	r := a.row()
	words := func(s *string) string {
		if s == nil {
			return "-"
		}
		return "'" + *s + "'"
	}
	got := fmt.Sprintf("disabled %v %s, frozen %v, %s on %s",
		r.Disabled, words(r.DisabledReason), r.Frozen, r.ReplicationStatus, words(r.ActiveBackendID))
	if got != want {
		a.t.Errorf("row: %s, want %s", got, want)
	}
}

// TestVolumeOnARealDatabase freezes a service, fails it over, restarts it and fails it
// back.
func TestVolumeOnARealDatabase(t *testing.T) {
	db, root := open(t), filepath.Join(t.TempDir(), "alpha")
	a := newAlpha(t, db, root, "")
	ctx := t.Context()
	a.want("disabled false -, frozen false, enabled on -")
	if err := os.WriteFile(filepath.Join(root, "default", "volume-1"), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}

	a.edit(func(r *cinder.Service) { r.Frozen = true })
	if err := a.FreezeHost(ctx); err != nil {
		t.Fatal(err)
	}
	a.want("disabled true 'frozen', frozen true, enabled on -")
	await(t, func() bool { return !a.row().UpdatedAt.IsZero() }) // a heartbeat that takes longer than its interval is dropped
	if row := a.row(); row.ModifiedAt.IsZero() || row.UpdatedAt.IsZero() {
		t.Errorf("modified at %v, updated at %v", row.ModifiedAt, row.UpdatedAt)
	}
	a.edit(func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationFailingOver })
	if err := a.Failover(ctx, new("site-c")); err != nil {
		t.Fatal(err)
	}
	a.want("disabled true 'failed-over', frozen true, failed-over on 'site-c'")
	if data, err := os.ReadFile(filepath.Join(root, "site-c", "volume-1")); string(data) != "data" {
		t.Errorf("the volume at site-c holds %q, %v", data, err)
	}
	a.stop()

	a = newAlpha(t, db, root, "")
	a.want("disabled true 'failed-over', frozen true, failed-over on 'site-c'")
	a.edit(func(r *cinder.Service) { r.Frozen = false })
	if err := a.ThawHost(ctx); err != nil {
		t.Fatal(err)
	}
	a.want("disabled true 'failed-over', frozen false, failed-over on 'site-c'")
	a.edit(func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationFailingOver })
	if err := a.Failover(ctx, new("default")); err != nil {
		t.Fatal(err)
	}
	a.want("disabled false '', frozen false, enabled on ''")
}

func TestClusterOnARealDatabase(t *testing.T) {
	db := open(t)
	a := newAlpha(t, db, filepath.Join(t.TempDir(), "alpha"), "mycl@alpha")
	a.edit(func(r *cinder.Service) { r.ReplicationStatus = cinder.ReplicationFailingOver })
	if err := a.Failover(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	a.want("disabled true 'failed-over', frozen false, failed-over on 'site-b'")
	v, err := db.Clusters(t.Context(), cinder.ClusterQuery{})
	if err != nil || len(v.Clusters) != 1 {
		t.Fatalf("%+v, %v, want one cluster", v, err)
	}
	c := v.Clusters[0]
	if !c.Disabled || *c.DisabledReason != "failed-over" || c.ReplicationStatus != "failed-over" || *c.ActiveBackendID != "site-b" {
		t.Errorf("cluster %+v", c)
	}
}

func TestFleetOnARealDatabase(t *testing.T) {
	for name, open := range map[string]func(*testing.T) port{
		"SQLite":     func(t *testing.T) port { t.Helper(); return open(t) },
		"MariaDB":    func(t *testing.T) port { t.Helper(); return prepared(t, peers.StartMariaDB(t).New(t)) },
		"PostgreSQL": func(t *testing.T) port { t.Helper(); return prepared(t, peers.StartPostgres(t).New(t)) },
	} {
		t.Run(name, func(t *testing.T) { fleet(t, open(t)) })
	}
}

func prepared(t *testing.T, url string) port {
	t.Helper()
	db := openURL(t, url)
	if _, err := db.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// fleet starts a fleet of more than one batch.
func fleet(t *testing.T, db port) {
	t.Helper()
	f := agent.NewFleet(agent.FleetOptions{
		Size: 1100, Zone: "nova", Store: db, Log: slog.New(slog.DiscardHandler), ReportInterval: 10 * time.Second,
	})
	for range 2 { // The second start finds the rows.
		if err := f.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := f.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	view, err := db.View(t.Context(), cinder.ServiceQuery{})
	if err != nil || len(view.Services) != 1100 {
		t.Fatalf("%d services, %v", len(view.Services), err)
	}
	got := view.Services[1099]
	want := cinder.Service{
		Host: "sim-01100@mirror", Binary: "cinder-volume", Topic: "cinder-volume", Zone: "nova", ReplicationStatus: "disabled",
		ReportCount: 2, RPCVersion: cinder.VolumeRPCVersion, ObjectVersion: "1.39",
		ID: got.ID, UUID: got.UUID, CreatedAt: got.CreatedAt, UpdatedAt: got.UpdatedAt,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the last row (-want +got):\n%s", diff)
	}
	for _, row := range view.Services {
		if !row.Up(view.Now, time.Minute) || !strings.HasPrefix(row.Host, "sim-") {
			t.Fatalf("%s is not up", row.Host)
		}
	}
}

// BenchmarkFleetStart starts 10,000 services on an empty database.
func BenchmarkFleetStart(b *testing.B) {
	for b.Loop() {
		f := agent.NewFleet(agent.FleetOptions{
			Size: 10_000, Store: open(b), Log: slog.New(slog.DiscardHandler), ReportInterval: time.Minute,
		})
		if err := f.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := f.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
