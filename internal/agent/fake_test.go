package agent

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"stoker/internal/backend"
	"stoker/internal/cinder"
	"stoker/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = cinder.Errorf(cinder.KindUnavailable, "the database is away")

// bus records messages, and forwards outcomes to the members of a cluster.
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

// Cleanup fails for backup services, as rpc.Client does, and for host9.
func (b *bus) Cleanup(_ context.Context, s cinder.Service, r cinder.CleanupRequest) error {
	if s.Binary == cinder.BinaryBackup || s.Host == "host9@alpha" {
		return cinder.Errorf(cinder.KindNotSupported, "nobody hears")
	}
	return b.note(fmt.Sprintf("cleanup %s of %d on %s in '%s' until %s",
		s.QueueHost(), *r.ServiceID, *r.Host, value(r.Cluster), r.Until.Format(time.TimeOnly)))
}

func (b *bus) setErr(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// heard returns the outcomes sent to members.
func (b *bus) heard() []cinder.FailoverOutcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.outcomes)
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

// array is a backend that fails on demand.
type array struct {
	mu       sync.Mutex
	state    backend.State
	targets  []string
	fail     map[string]error // by command, for instance "setup"
	did      []string
	rounds   int
	verdicts map[string]backend.Verdict // by id
	hold     chan struct{}              // failovers wait for it unless nil
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

// replicated returns the number of replication rounds.
func (a *array) replicated() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rounds
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

func (a *array) Verdicts(_ context.Context, volumes []cinder.Volume) (map[string]backend.Verdict, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	verdicts := map[string]backend.Verdict{}
	for _, v := range volumes {
		if verdict, ok := a.verdicts[v.ID]; ok {
			verdicts[v.ID] = verdict
		}
	}
	return verdicts, a.fail["verdicts"]
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

// site is a volume service with its fakes.
type site struct {
	*Volume
	t     *testing.T
	rows  *rows
	bus   *bus
	array *array
	out   *buffer
}

const alpha = "host1@alpha"

// newSite returns a service that is not started; change sets options.
func newSite(t *testing.T, change ...func(*VolumeOptions)) *site {
	t.Helper()
	s := &site{
		t: t, rows: newRows(), bus: &bus{}, out: &buffer{},
		array: &array{targets: []string{"site-b", "site-c"}, fail: map[string]error{}},
	}
	return s.again(change...)
}

// again returns another process of the same service.
func (s *site) again(change ...func(*VolumeOptions)) *site {
	n := *s
	o := VolumeOptions{
		Options: Options{
			Host: alpha, Zone: "nova", Store: s.rows, Bus: s.bus,
			Loggers:        telemetry.NewLoggers(telemetry.NewHandler(s.out, telemetry.Text), cinder.LogDebug),
			ReportInterval: 10 * time.Second, DownTime: time.Minute,
		},
		Backend: s.array, StatsInterval: time.Minute, ReplicationInterval: 20 * time.Second,
		FailoverExpiry: time.Minute,
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

func (s *site) is() string { s.t.Helper(); return describe(s.rows.row(s.t, s.row.Host)) }

func (s *site) want(want string) {
	s.t.Helper()
	if got := s.is(); got != want {
		s.t.Errorf("row: %s, want %s", got, want)
	}
}

func (s *site) cluster() string {
	var c cinder.Cluster
	s.rows.editCluster(func(row *cinder.Cluster) { c = *row })
	return state(c.Disabled, c.DisabledReason, c.Frozen, c.ReplicationStatus, c.ActiveBackendID)
}

// pass lets time pass in the bubble.
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
