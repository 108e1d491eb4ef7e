package control_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// A world is what the model test plays with: services that do to their rows what
// Python ones do (doc/cinder/behaviour.md#who-writes-what), with their backends,
// and the queues before them. Nothing in it happens by itself.
type world struct {
	db *store.DB

	mu       sync.Mutex // guards what follows
	services map[string]*simulated
	backends map[string]*simulatedBackend // by queue
	queues   map[string][]*simulatedCommand
	erred    map[string]bool // queues whose failovers have ever failed
	failed   []string        // queues whose failovers were carried out since somebody asked
	repeats  []func() error
}

// simulated is a service process.
type simulated struct {
	host, cluster string
	row           int64
	state         string // alive, hung or dead
	held          []*simulatedCommand
	site          string // where its driver takes the backend to be
}

func (s *simulated) queue() string {
	if s.cluster != "" {
		return s.cluster
	}
	return s.host
}

// simulatedBackend is the truth.
type simulatedBackend struct {
	frozen bool
	site   string // "" is the primary one
}

type simulatedCommand struct {
	kind    string
	site    string
	outcome cinder.FailoverOutcome // of failover_completed
	expires time.Time
	answer  chan error
}

// copy is the same command, whose answer nobody waits for.
func (c *simulatedCommand) copy() *simulatedCommand {
	again := *c
	again.answer = make(chan error, 1)
	return &again
}

func newWorld(db *store.DB) *world {
	return &world{
		db: db, erred: map[string]bool{}, services: map[string]*simulated{}, queues: map[string][]*simulatedCommand{},
		backends: map[string]*simulatedBackend{alpha: {}, "mycl@alpha": {}},
	}
}

// populate starts the services.
func (w *world) populate(ctx context.Context) error {
	for _, host := range w.hosts() {
		s := &simulated{host: host, state: "alive"}
		if host != alpha {
			s.cluster = "mycl@alpha"
		}
		row, err := w.db.Register(ctx, cinder.Service{
			Host: host, Binary: cinder.BinaryVolume, Topic: cinder.BinaryVolume, Zone: "nova", Cluster: s.cluster,
			ReplicationStatus: cinder.ReplicationEnabled, RPCVersion: cinder.VolumeRPCVersion, ObjectVersion: "1.39",
		})
		if err != nil {
			return err
		}
		s.row = row.ID
		w.services[host] = s
	}
	return w.writeCluster("mycl@alpha", func(c *cinder.Cluster) { c.ReplicationStatus = cinder.ReplicationEnabled })
}

// consumer says whether anybody takes what is in the queue.
func (w *world) consumer(queue string) bool {
	for _, s := range w.services {
		if s.state != "dead" && (s.host == queue || s.cluster == queue) {
			return true
		}
	}
	return false
}

func (w *world) send(s cinder.Service, cmd *simulatedCommand) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.consumer(s.QueueHost()) {
		return cinder.Errorf(cinder.KindUndeliverable, "nobody listens")
	}
	w.queues[s.QueueHost()] = append(w.queues[s.QueueHost()], cmd)
	return nil
}

func (w *world) call(ctx context.Context, s cinder.Service, kind string) error {
	deadline, _ := ctx.Deadline()
	cmd := &simulatedCommand{kind: kind, expires: deadline, answer: make(chan error, 1)}
	if err := w.send(s, cmd); err != nil {
		return err
	}
	select {
	case err := <-cmd.answer:
		return err
	case <-ctx.Done():
		return cinder.Errorf(cinder.KindTimeout, "no answer")
	}
}

func (w *world) Freeze(ctx context.Context, s cinder.Service) error { return w.call(ctx, s, "freeze") }

func (w *world) Thaw(ctx context.Context, s cinder.Service) error { return w.call(ctx, s, "thaw") }

func (w *world) Failover(_ context.Context, s cinder.Service, target *string) error {
	site := "site-b"
	if target != nil {
		site = *target
	}
	return w.send(s, &simulatedCommand{kind: "failover", site: site, expires: time.Now().Add(simulatedTimeout), answer: make(chan error, 1)})
}

func (w *world) FailoverCompleted(_ context.Context, cluster string, o cinder.FailoverOutcome) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.completed(cluster, o)
}

// completed tells those who live, and lets those who hang hear of it later.
func (w *world) completed(cluster string, o cinder.FailoverOutcome) error {
	var errs []error
	for _, host := range w.hosts() {
		s := w.services[host]
		switch {
		case s.cluster != cluster:
		case s.state == "alive":
			errs = append(errs, w.follow(s, o))
		case s.state == "hung":
			s.held = append(s.held, &simulatedCommand{kind: "completed", outcome: o, answer: make(chan error, 1)})
		}
	}
	return errors.Join(errs...)
}

func (w *world) follow(s *simulated, o cinder.FailoverOutcome) error {
	if o.ActiveBackendID != nil {
		s.site = *o.ActiveBackendID
	}
	return w.write(s, func(r *cinder.Service) { arrive(r, o) })
}

func arrive(r *cinder.Service, o cinder.FailoverOutcome) {
	if o.ReplicationStatus != "" {
		r.ReplicationStatus = o.ReplicationStatus
	}
	if o.ActiveBackendID != nil {
		r.ActiveBackendID = o.ActiveBackendID
	}
	if o.Disabled != nil {
		r.Disabled, r.ModifiedAt = *o.Disabled, time.Now()
	}
	if o.DisabledReason != nil {
		r.DisabledReason = o.DisabledReason
	}
}

func (w *world) Listening(_ context.Context, s cinder.Service) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.consumer(s.QueueHost()), nil
}

func (w *world) Targets(cinder.Service) cinder.FailoverTargets {
	return cinder.FailoverTargets{Names: []string{"site-b", "site-c"}, Complete: true}
}
func (w *world) Pools(context.Context) ([]cinder.Pool, error) { return nil, nil }
func (w *world) hosts() []string                              { return []string{alpha, "nodea@alpha", "nodeb@alpha"} }

func (w *world) row(s *simulated) (cinder.Service, error) {
	v, err := w.db.View(context.Background(), cinder.ServiceQuery{Host: &s.host})
	if err != nil {
		return cinder.Service{}, err
	}
	return v.Services[0], nil
}

func (w *world) write(s *simulated, f func(*cinder.Service)) error {
	return w.db.Update(context.Background(), func(tx *store.Tx) error {
		rows, err := tx.Services(context.Background(), cinder.ServiceQuery{Host: &s.host})
		if err != nil || len(rows) == 0 {
			return err
		}
		now := rows[0]
		f(&now)
		return tx.SaveService(context.Background(), rows[0], now)
	})
}

func (w *world) writeCluster(name string, f func(*cinder.Cluster)) error {
	return w.db.Update(context.Background(), func(tx *store.Tx) error {
		was, err := tx.Cluster(context.Background(), name, cinder.BinaryVolume)
		if err != nil {
			return err
		}
		now := was
		f(&now)
		return tx.SaveCluster(context.Background(), was, now)
	})
}

// next takes the next command that has not expired out of the queues of a service.
func (w *world) next(s *simulated) *simulatedCommand {
	for _, queue := range []string{s.host, s.queue()} {
		for len(w.queues[queue]) > 0 {
			cmd := w.queues[queue][0]
			w.queues[queue] = w.queues[queue][1:]
			if time.Now().Before(cmd.expires) {
				return cmd
			}
		}
	}
	return nil
}

// serve lets a service take a command and, unless it hangs, carry it out: how
// says what becomes of it.
func (w *world) serve(host, how string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.services[host]
	if s.state == "dead" {
		return false, nil
	}
	cmd := w.next(s)
	switch {
	case cmd == nil:
		return false, nil
	case s.state == "hung":
		s.held = append(s.held, cmd)
		return true, nil
	case how == "again":
		w.repeats = append(w.repeats, func() error { return w.carryOut(s, cmd.copy(), "done") })
	}
	return true, w.carryOut(s, cmd, how)
}

func (w *world) carryOut(s *simulated, cmd *simulatedCommand, how string) error {
	backend := w.backends[s.queue()]
	answer := func(err error) {
		if how != "lost" {
			cmd.answer <- err
		}
	}
	switch {
	case cmd.kind == "completed":
		w.failed = append(w.failed, s.queue()) // it hears late
		return w.follow(s, cmd.outcome)
	case cmd.kind == "failover":
		return w.failover(s, cmd, how)
	case how == "raise":
		answer(cinder.Errorf(cinder.KindRemote, "boom"))
		return nil
	case how == "refuse" && cmd.kind == "thaw":
		answer(cinder.Errorf(cinder.KindConflict, "the array is rebuilding"))
		return nil
	}
	if how == "twice" { // the broker gave it to this service again, before it has answered
		if err := w.carryOut(s, cmd.copy(), "done"); err != nil {
			return err
		}
	}
	backend.frozen = cmd.kind == "freeze"
	err := w.write(s, func(r *cinder.Service) {
		r.Disabled, r.DisabledReason, r.ModifiedAt = backend.frozen, new(""), time.Now()
		if backend.frozen {
			r.DisabledReason = new("frozen")
		}
	})
	answer(nil)
	return err
}

func (w *world) failover(s *simulated, cmd *simulatedCommand, how string) error {
	backend := w.backends[s.queue()]
	w.failed = append(w.failed, s.queue())
	var o cinder.FailoverOutcome
	yes, no, none, over, frozen := true, false, "", "failed-over", "frozen"
	site := cmd.site
	switch {
	case how == "raise":
		o = cinder.FailoverOutcome{ReplicationStatus: cinder.ReplicationFailoverError, Disabled: &yes}
		w.erred[s.queue()] = true
	case how == "refuse":
		o = cinder.FailoverOutcome{ReplicationStatus: cinder.ReplicationEnabled}
		if backend.site != "" {
			o.ReplicationStatus = cinder.ReplicationFailedOver
		}
	case site == "default":
		backend.site, s.site = "", ""
		row, err := w.row(s)
		if err != nil {
			return err
		}
		o = cinder.FailoverOutcome{ReplicationStatus: cinder.ReplicationEnabled, ActiveBackendID: &none, Disabled: &no, DisabledReason: &none}
		if row.Frozen { // a way back of a frozen service leaves it disabled for that
			o.Disabled, o.DisabledReason = &yes, &frozen
		}
	default:
		backend.site, s.site = site, site
		o = cinder.FailoverOutcome{ReplicationStatus: cinder.ReplicationFailedOver, ActiveBackendID: &site, Disabled: &yes, DisabledReason: &over}
	}
	if s.cluster == "" {
		return w.write(s, func(r *cinder.Service) { arrive(r, o) })
	}
	err := w.writeCluster(s.cluster, func(c *cinder.Cluster) {
		c.ReplicationStatus = o.ReplicationStatus
		if o.ActiveBackendID != nil {
			c.ActiveBackendID = o.ActiveBackendID
		}
		if o.Disabled != nil {
			c.Disabled = *o.Disabled
		}
		if o.DisabledReason != nil {
			c.DisabledReason = o.DisabledReason
		}
	})
	if how == "lost" { // it dies before it tells the others
		s.state, s.held = "dead", nil
		return err
	}
	return errors.Join(err, w.completed(s.cluster, o))
}
