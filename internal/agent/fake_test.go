package agent

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"stoker/internal/backend"
	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = cinder.Errorf(cinder.KindUnavailable, "the database is away")

// rows is a store in memory: transactions one after another, writes conditional
// on what was read, nothing kept of a transaction that fails.
type rows struct {
	mu       sync.Mutex
	services []cinder.Service
	clusters []cinder.Cluster
	causes   map[string][]cinder.Cause
	lastID   int64

	away      error // what every call fails with; nil while the database is there
	conflicts int   // how many saves lose a race before one wins
	beats     []time.Time
	saves     int
	registers int
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

// join gives a row what the store gives to one that is new to a cluster.
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

// tx is a transaction; the journal is none of an agent's business.
type tx struct {
	control.Journal
	rows *rows
}

func (t tx) Now() time.Time { return now() }

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

func (t tx) SaveCauses(_ context.Context, binary, host string, causes []cinder.Cause) error {
	t.rows.causes[binary+" "+host] = causes
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// edit is what somebody else does to a row.
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

// says is a row in words.
func says(s cinder.Service) string {
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

// bus is a bus that remembers, and tells members of a cluster what they must hear.
type bus struct {
	mu       sync.Mutex
	said     []string
	caps     []cinder.Capabilities
	members  []*Volume
	outcomes []cinder.FailoverOutcome
	err      error
	hearing  sync.WaitGroup
}

func (b *bus) note(words string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, words)
	return b.err
}

func (b *bus) UpdateServiceCapabilities(_ context.Context, c cinder.Capabilities) error {
	b.mu.Lock()
	b.caps = append(b.caps, c)
	b.mu.Unlock()
	return b.note("update " + c.Host)
}

func (b *bus) NotifyServiceCapabilities(_ context.Context, c cinder.Capabilities) error {
	return b.note("notify " + c.Host)
}

func (b *bus) PublishServiceCapabilities(context.Context) error { return b.note("publish") }

func (b *bus) FailoverCompleted(_ context.Context, cluster string, o cinder.FailoverOutcome) error {
	b.mu.Lock()
	b.outcomes = append(b.outcomes, o)
	members := b.members
	b.mu.Unlock()
	err := b.note("failover_completed " + cluster)
	if err == nil {
		for _, v := range members {
			b.hearing.Go(func() { _ = v.FailoverCompleted(context.Background(), o) })
		}
	}
	return err
}

func (b *bus) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	said := b.said
	b.said = nil
	return said
}

func (b *bus) last() cinder.Capabilities {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.caps[len(b.caps)-1]
}

// array is a backend that does as it is told, and fails as it is told.
type array struct {
	mu      sync.Mutex
	state   backend.State
	targets []string
	fail    map[string]error // by command; "setup" for instance
	did     []string
	rounds  int
	hold    chan struct{} // when not nil, failovers wait for it
}

func (a *array) command(name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.did = append(a.did, name)
	return a.fail[name]
}

func (a *array) set(command string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail[command] = err
}

func (a *array) is() backend.State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

func (a *array) Setup(_ context.Context, s backend.State) error {
	if err := a.command("setup"); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = s
	return nil
}

func (a *array) Stats(context.Context) (backend.Stats, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return backend.Stats{Name: "alpha", Targets: a.targets, Pools: []backend.Pool{{Name: "alpha", Up: true}}}, a.fail["stats"]
}

func (a *array) freeze(name string, frozen bool) error {
	if err := a.command(name); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.Frozen = frozen
	return nil
}

func (a *array) Freeze(context.Context) error { return a.freeze("freeze", true) }
func (a *array) Thaw(context.Context) error   { return a.freeze("thaw", false) }

func (a *array) Failover(ctx context.Context, target *string) (string, error) {
	if err := a.command("failover"); err != nil {
		return "", err
	}
	if a.hold != nil {
		select {
		case <-a.hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	site := "site-b"
	if target != nil {
		site = *target
	}
	if site == cinder.FailbackTarget {
		site = ""
	} else if !slices.Contains(a.targets, site) {
		return "", cinder.Errorf(cinder.KindInvalid, "no target %s", site)
	}
	return site, a.FailoverCompleted(ctx, site)
}

func (a *array) FailoverCompleted(_ context.Context, active string) error {
	if err := a.command("completed"); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.Active = active
	return nil
}

func (a *array) Replicate(context.Context) error {
	a.mu.Lock()
	a.rounds++
	a.mu.Unlock()
	return a.command("replicate")
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// site is a volume service with all that is around it.
type site struct {
	*Volume
	t     *testing.T
	rows  *rows
	bus   *bus
	array *array
	out   *buffer
}

const alpha = "host1@alpha"

// newSite makes a service that is not started yet; the fields of o that matter
// to the test are set by change.
func newSite(t *testing.T, change ...func(*VolumeOptions)) *site {
	t.Helper()
	s := &site{
		t: t, rows: newRows(), bus: &bus{}, out: &buffer{},
		array: &array{targets: []string{"site-b", "site-c"}, fail: map[string]error{}},
	}
	return s.again(change...)
}

// again makes another process of the same service.
func (s *site) again(change ...func(*VolumeOptions)) *site {
	n := *s
	o := VolumeOptions{
		Options: Options{
			Host: alpha, Zone: "nova", Store: s.rows, Bus: s.bus,
			Loggers:        telemetry.NewLoggers(telemetry.NewHandler(s.out, telemetry.Text), cinder.LogDebug),
			ReportInterval: 10 * time.Second, DownTime: time.Minute,
		},
		Backend: s.array, StatsInterval: time.Minute, ReplicationInterval: 20 * time.Second,
	}
	for _, fn := range change {
		fn(&o)
	}
	n.Volume = NewVolume(o)
	return &n
}

func (s *site) start() *site {
	s.t.Helper()
	if err := s.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.stop)
	return s
}

func (s *site) stop() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		s.t.Error(err)
	}
}

func (s *site) is() string { s.t.Helper(); return says(s.rows.row(s.t, s.row.Host)) }

func (s *site) want(want string) {
	s.t.Helper()
	if got := s.is(); got != want {
		s.t.Errorf("row: %s, want %s", got, want)
	}
}

func (s *site) cluster() string {
	c := s.rows.clusters[0]
	return state(c.Disabled, c.DisabledReason, c.Frozen, c.ReplicationStatus, c.ActiveBackendID)
}

// pass lets the time of the bubble go by, with all that happens meanwhile.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func wantKind(t *testing.T, err error, want cinder.Kind) {
	t.Helper()
	if err == nil || cinder.KindOf(err) != want {
		t.Errorf("error %v of kind %v, want kind %v", err, cinder.KindOf(err), want)
	}
}
