package agent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// rows is a Store in memory: transactions are serial and atomic, and writes are
// conditional on what was read.
type rows struct {
	noResources

	mu       sync.Mutex
	services []cinder.Service
	clusters []cinder.Cluster
	causes   map[string][]cinder.Cause
	open     []cinder.Operation
	lastID   int64

	away      error // the error of every call; nil while the database is up
	conflicts int   // how many saves lose a race before one wins
	beats     []time.Time
	saves     int
	registers int
}

// noResources is Resources without any.
type noResources struct{}

func (noResources) Volumes(context.Context, cinder.Owner, bool, string, int) ([]cinder.Volume, error) {
	return nil, nil
}

func (noResources) SaveVolumes(context.Context, []cinder.VolumeChange) ([]string, error) {
	panic("there are no volumes")
}

func (noResources) Groups(context.Context, cinder.Owner) ([]cinder.Group, error) { return nil, nil }

func (noResources) SaveGroups(context.Context, []cinder.GroupChange) ([]string, error) {
	panic("there are no groups")
}

func (noResources) Workers(context.Context, int64, cinder.CleanupRequest) ([]cinder.Worker, error) {
	return nil, nil
}

func (noResources) EndWork(context.Context, cinder.Worker, string) (bool, error) {
	panic("there is no work")
}

func newRows() *rows { return &rows{causes: map[string][]cinder.Cause{}} }

func (r *rows) Register(_ context.Context, s cinder.Service) (cinder.Service, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.registers++
	if r.away != nil {
		return cinder.Service{}, r.away
	}
	if s.Cluster != "" && !slices.ContainsFunc(r.clusters, func(c cinder.Cluster) bool { return c.Name == s.Cluster }) {
		r.clusters = append(r.clusters, cinder.Cluster{
			ID: 1, Name: s.Cluster, Binary: s.Binary, ReplicationStatus: cinder.ReplicationNotCapable, CreatedAt: now(),
		})
	}
	for i := range r.services {
		row := &r.services[i]
		if row.Host == s.Host && row.Binary == s.Binary {
			if row.Cluster != s.Cluster {
				r.join(row, s.Cluster)
			}
			row.RPCVersion, row.ObjectVersion, row.Cluster, row.Zone = s.RPCVersion, s.ObjectVersion, s.Cluster, s.Zone
			return *row, nil
		}
	}
	r.lastID++
	s.ID, s.CreatedAt = r.lastID, now()
	r.join(&s, s.Cluster)
	r.services = append(r.services, s)
	return s, nil
}

// join copies to a row the cluster's state, as the store does for a new member.
func (r *rows) join(row *cinder.Service, cluster string) {
	for _, c := range r.clusters {
		if c.Name == cluster {
			row.Frozen = row.Frozen || c.Frozen
			if c.ReplicationStatus == cinder.ReplicationFailedOver {
				row.ReplicationStatus, row.ActiveBackendID = c.ReplicationStatus, c.ActiveBackendID
			}
		}
	}
}

func (r *rows) RegisterMany(ctx context.Context, services []cinder.Service) ([]cinder.Service, error) {
	var all []cinder.Service
	for _, s := range services {
		row, err := r.Register(ctx, s)
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, nil
}

func (r *rows) Beat(ctx context.Context, ids ...int64) (missing []int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away != nil {
		return nil, errors.Join(r.away, ctx.Err())
	}
	for _, id := range ids {
		i := slices.IndexFunc(r.services, func(s cinder.Service) bool { return s.ID == id })
		if i < 0 {
			missing = append(missing, id)
			continue
		}
		r.beats = append(r.beats, time.Now())
		r.services[i].ReportCount++
		r.services[i].UpdatedAt = now()
	}
	return missing, nil
}

func (r *rows) View(context.Context, cinder.ServiceQuery) (*control.View, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &control.View{Services: slices.Clone(r.services), Now: time.Now().UTC()}, r.away
}

func (r *rows) Update(_ context.Context, fn func(control.Tx) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away != nil {
		return r.away
	}
	services, clusters := slices.Clone(r.services), slices.Clone(r.clusters)
	if err := fn(tx{rows: r}); err != nil {
		r.services, r.clusters = services, clusters
		return err
	}
	return nil
}

// tx is a transaction. Of the journal, an agent reads only open operations.
type tx struct {
	control.Journal
	control.Requests
	rows *rows
}

func (t tx) Now() time.Time { return now() }

func (t tx) OpenOperations(context.Context) ([]cinder.Operation, error) { return t.rows.open, nil }

func (t tx) HostNow() time.Time { return now() }

func (t tx) Services(_ context.Context, q cinder.ServiceQuery) ([]cinder.Service, error) {
	var found []cinder.Service
	for i := range t.rows.services {
		if q.Matches(&t.rows.services[i]) {
			found = append(found, t.rows.services[i])
		}
	}
	return found, nil
}

func (t tx) Cluster(_ context.Context, name, binary string) (cinder.Cluster, error) {
	for _, c := range t.rows.clusters {
		if c.Name == name && c.Binary == binary {
			return c, nil
		}
	}
	return cinder.Cluster{}, cinder.Errorf(cinder.KindNotFound, "no cluster %s", name)
}

func (t tx) SaveService(_ context.Context, was, now cinder.Service) error {
	i := slices.IndexFunc(t.rows.services, func(s cinder.Service) bool { return s.ID == was.ID })
	if t.rows.conflicts > 0 || i < 0 || t.rows.services[i] != was {
		t.rows.conflicts--
		return cinder.Errorf(cinder.KindConflict, "the row changed")
	}
	if now != was {
		t.rows.saves++
	}
	t.rows.services[i] = now
	return nil
}

func (t tx) SaveCluster(_ context.Context, was, now cinder.Cluster) error {
	i := slices.IndexFunc(t.rows.clusters, func(c cinder.Cluster) bool { return c.ID == was.ID })
	if i < 0 || t.rows.clusters[i] != was {
		return cinder.Errorf(cinder.KindConflict, "the row changed")
	}
	t.rows.clusters[i] = now
	return nil
}

func (t tx) Causes(_ context.Context, binary, host string) ([]cinder.Cause, error) {
	return t.rows.causes[binary+" "+host], nil
}

func (t tx) AllCauses(context.Context) (map[cinder.ServiceName][]cinder.Cause, error) {
	panic("services do not ask what is on record of others")
}

func (t tx) SaveCauses(_ context.Context, binary, host string, causes []cinder.Cause) error {
	t.rows.causes[binary+" "+host] = causes
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// edit changes a row as another program would.
func (r *rows) edit(t *testing.T, host string, fn func(*cinder.Service)) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.services {
		if r.services[i].Host == host {
			fn(&r.services[i])
			return
		}
	}
	t.Fatalf("no row of %s", host)
}

func (r *rows) editCluster(fn func(*cinder.Cluster)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn(&r.clusters[0])
}

// set changes the store itself.
func (r *rows) set(fn func(r *rows)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn(r)
}

// look returns copies of all rows, and the times of all heartbeats.
func (r *rows) look() ([]cinder.Service, []time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.services), slices.Clone(r.beats)
}

func (r *rows) row(t *testing.T, host string) cinder.Service {
	t.Helper()
	var row cinder.Service
	r.edit(t, host, func(s *cinder.Service) { row = *s })
	return row
}

func (r *rows) remove(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.services = slices.DeleteFunc(r.services, func(s cinder.Service) bool { return s.Host == host })
}

func (r *rows) setAway(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = err
}

// describe describes a row.
func describe(s cinder.Service) string {
	return state(s.Disabled, s.DisabledReason, s.Frozen, s.ReplicationStatus, s.ActiveBackendID)
}

func state(disabled bool, reason *string, frozen bool, status cinder.ReplicationStatus, active *string) string {
	words := []string{"enabled"}
	if disabled {
		words[0] = "disabled"
	}
	if value(reason) != "" {
		words = append(words, "'"+*reason+"'")
	}
	if frozen {
		words = append(words, "frozen")
	}
	words = append(words, string(status))
	if value(active) != "" {
		words = append(words, "on "+*active)
	}
	return strings.Join(words, " ")
}
