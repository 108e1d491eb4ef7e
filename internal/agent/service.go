package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/telemetry"
)

const (
	rowTimeout          = 10 * time.Second // one change of a row, with retries
	busTimeout          = 5 * time.Second  // sending one message, or starting to listen
	listenRetryInterval = 2 * time.Second  // between attempts to start listening
	saveAttempts        = 8                // of a conditional write that loses races
	maxSavePause        = 50 * time.Millisecond
)

// Options are common to all services.
type Options struct {
	Host  string // host, or host@backend for a volume service
	Zone  string // storage_availability_zone
	Store Store
	Bus   Bus

	Loggers *telemetry.Loggers // of this service only

	ReportInterval time.Duration // between heartbeats
	DownTime       time.Duration // service_down_time: without a heartbeat for this long, a service is down
}

// service is the part that all roles share.
type service struct {
	o    Options
	row  cinder.Service // what it registers
	role role
	log  *slog.Logger

	lifeMu  sync.Mutex // guards the fields below
	id      int64      // of the row
	server  Server
	listens bool               // commands are served, by server unless that is nil
	cancel  context.CancelFunc // ends the tasks; nil when not running
	done    chan struct{}      // closed when the tasks have ended

	failedBeats int // consecutive failures; used by the heartbeat task only
}

// role is what differs between kinds of services.
type role interface {
	// status is the replication status of a service that never failed over.
	status(ctx context.Context) cinder.ReplicationStatus
	// settle reconciles the row with the service after registration.
	settle(ctx context.Context, r registration) error
	// serve starts serving commands.
	serve(ctx context.Context) (Server, error)
	// working returns why the service must not send heartbeats; nil when it works.
	working() error
	// publish sends the capabilities to the schedulers or, for a scheduler, asks for
	// them.
	publish(ctx context.Context) error
	// afterBeat is called after every successful heartbeat.
	afterBeat(ctx context.Context)
	// tasks are the tasks other than the heartbeat.
	tasks() []task
}

// registration describes a registration of the service's row.
type registration struct {
	before cinder.Service           // the row as it was; zero when there was none
	status cinder.ReplicationStatus // role.status
	rerun  bool                     // not at a start: the row of the running service was gone
}

// newRow reports whether the row is new, although the service may have had one before.
func (r registration) newRow() bool { return r.rerun || r.before.UpdatedAt.IsZero() }

// task is done periodically.
type task struct {
	every  time.Duration
	do     func(context.Context)
	atOnce bool // the first run does not wait for the interval
}

func newService(o Options, binary, rpcVersion, cluster string, r role) *service {
	return &service{
		o: o, role: r, log: o.Loggers.Logger("stoker.agent"),
		row: cinder.Service{
			Host: o.Host, Binary: binary, Topic: binary, Zone: o.Zone, Cluster: cluster,
			RPCVersion: rpcVersion, ObjectVersion: cinder.ObjectVersion,
		},
	}
}

// LogLevels returns the level of each of this service's loggers with that prefix.
func (s *service) LogLevels(prefix string) map[string]cinder.LogLevel {
	return s.o.Loggers.Levels(prefix)
}

// SetLogLevel sets the level of the loggers with that prefix.
func (s *service) SetLogLevel(prefix string, level cinder.LogLevel) {
	s.o.Loggers.SetLevel(prefix, level)
	s.log.Info("log levels set", "prefix", prefix, "level", string(level))
}

// Start registers the service, serves its commands and sends heartbeats until Stop; ctx
// bounds only the start. It fails, with nothing left running, when the row cannot be
// registered or commands can never be served. When the bus is away it succeeds: the
// service sends heartbeats, and serves commands once the bus is back. When the backend
// cannot be set up it succeeds too: the service runs and logs the error, but sends no
// heartbeats.
func (s *service) Start(ctx context.Context) error {
	if err := s.register(ctx, false); err != nil {
		return fmt.Errorf("start %s on %s: %w", s.row.Binary, s.row.Host, err)
	}
	server, err := s.listen(ctx)
	listens := err == nil
	if !listens && (cinder.KindOf(err) != cinder.KindUnavailable || ctx.Err() != nil) {
		return fmt.Errorf("start %s on %s: serve: %w", s.row.Binary, s.row.Host, err)
	}
	s.beat(ctx)
	s.cleanUp(ctx)
	tasks := append(s.role.tasks(), task{every: s.o.ReportInterval, do: s.beat})
	if listens {
		s.announce(ctx)
	} else {
		s.log.Error("message bus unavailable; commands are served once it connects", "error", err)
		tasks = append(tasks, task{every: listenRetryInterval, do: s.listenLate})
	}

	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, t := range tasks {
		running.Go(func() { t.run(run) })
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()

	s.lifeMu.Lock()
	defer s.lifeMu.Unlock()
	s.server, s.listens, s.cancel, s.done = server, listens, cancel, done
	s.log.Info("service started", "row", s.id)
	return nil
}

// Stop stops serving commands, then heartbeats. It waits for running commands and
// tasks, and fails only when ctx ends first. The row stays as it is.
func (s *service) Stop(ctx context.Context) error {
	s.lifeMu.Lock()
	server, cancel, done := s.server, s.cancel, s.done
	s.server, s.cancel = nil, nil
	s.lifeMu.Unlock()
	if cancel == nil {
		return nil
	}
	var errs error
	if server != nil {
		errs = server.Close(ctx)
	}
	cancel()
	select {
	case <-done:
		s.log.Info("service stopped")
	case <-ctx.Done():
		errs = errors.Join(errs, context.Cause(ctx))
	}
	if errs != nil {
		return fmt.Errorf("stop %s on %s: %w", s.row.Binary, s.row.Host, errs)
	}
	return nil
}

// run runs the task at its interval until ctx ends. A run that takes longer than the
// interval skips the next one; runs never queue up.
func (t task) run(ctx context.Context) {
	if t.atOnce {
		t.do(ctx)
	}
	ticker := time.NewTicker(t.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.do(ctx)
		}
	}
}

// register ensures that the row exists and agrees with the service. rerun says that it
// is not the start.
func (s *service) register(ctx context.Context, rerun bool) error {
	ctx, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	r := registration{status: s.role.status(ctx), rerun: rerun}
	err := s.update(ctx, func(ctx context.Context, tx control.Tx) (err error) {
		if r.before, err = s.ownRow(ctx, tx); cinder.KindOf(err) == cinder.KindNotFound {
			err = nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	want := s.row
	want.ReplicationStatus = r.status
	row, err := s.o.Store.Register(ctx, want)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if err := s.role.settle(ctx, r); err != nil {
		return fmt.Errorf("settle the row: %w", err)
	}
	// Not earlier: until the row is settled, the next heartbeat must find it gone.
	s.lifeMu.Lock()
	defer s.lifeMu.Unlock()
	s.id = row.ID
	return nil
}

// beat sends one heartbeat. A failed one is not retried: the next one is due soon, and
// a database in trouble needs no more load.
func (s *service) beat(ctx context.Context) {
	if err := s.role.working(); err != nil {
		s.log.Error("backend not set up; no heartbeat sent", "error", err)
		return
	}
	s.lifeMu.Lock()
	id := s.id
	s.lifeMu.Unlock()
	within, cancel := context.WithTimeout(ctx, s.o.ReportInterval)
	defer cancel()
	missing, err := s.o.Store.Beat(within, id)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.failedBeats++
		if s.failedBeats == 1 {
			s.log.Warn("heartbeat failed; further failures are not logged until one succeeds", "error", err)
		}
		return
	case s.failedBeats > 0:
		s.log.Warn("heartbeats resumed", "failed", s.failedBeats)
		s.failedBeats = 0
	}
	if len(missing) > 0 {
		s.log.Warn("row is gone; registering again", "row", id)
		if err := s.register(ctx, true); err != nil {
			s.log.Error("registering again failed", "error", err)
			return
		}
	}
	s.role.afterBeat(ctx)
}

// announce publishes the capabilities. It logs an error: the next publication is due
// soon.
func (s *service) announce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	if err := s.role.publish(ctx); err != nil {
		s.log.Warn("capabilities could not be published", "error", err)
	}
}

// change rewrites the service's own row: fn modifies it. A write that loses a race is
// retried with the row re-read. KindNotFound when the row is gone.
func (s *service) change(ctx context.Context, fn func(tx control.Tx, row *cinder.Service) error) error {
	return s.update(ctx, func(ctx context.Context, tx control.Tx) error {
		was, err := s.ownRow(ctx, tx)
		if err != nil {
			return err
		}
		now := was
		if err := fn(tx, &now); err != nil {
			return err
		}
		return tx.SaveService(ctx, was, now)
	})
}

// update runs fn in a transaction, and retries while it loses races.
func (s *service) update(ctx context.Context, fn func(context.Context, control.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := s.o.Store.Update(ctx, func(tx control.Tx) error { return fn(ctx, tx) })
		if cinder.KindOf(err) != cinder.KindConflict {
			return err
		}
		select {
		case <-time.After(rand.N(maxSavePause)):
		case <-ctx.Done():
		}
		if attempt == saveAttempts || ctx.Err() != nil {
			// Not KindConflict: to the caller that means a refusal by the backend.
			return cinder.Wrap(cinder.KindUnavailable, err, "The rows are being changed by others all the time.")
		}
	}
}

// ownRow reads the service's row.
func (s *service) ownRow(ctx context.Context, tx control.Tx) (cinder.Service, error) {
	rows, err := tx.Services(ctx, cinder.ServiceQuery{Host: &s.row.Host, Binary: &s.row.Binary})
	if err != nil {
		return cinder.Service{}, err
	}
	for _, row := range rows {
		if row.Host == s.row.Host {
			return row, nil
		}
	}
	return cinder.Service{}, cinder.Errorf(cinder.KindNotFound, "The row of %s on %s is gone.", s.row.Binary, s.row.Host)
}

// The methods below implement role for a service without a backend.

func (s *service) status(context.Context) cinder.ReplicationStatus {
	return cinder.ReplicationNotCapable
}

func (s *service) working() error { return nil }

func (s *service) afterBeat(context.Context) {}

func (s *service) tasks() []task { return nil }

// settle applies the recorded causes for disabling the service to a new row: they
// outlive the row (doc/cinder/behaviour.md#registration).
func (s *service) settle(ctx context.Context, r registration) error {
	if !r.newRow() {
		return nil
	}
	return s.change(ctx, func(tx control.Tx, now *cinder.Service) error {
		causes, err := tx.Causes(ctx, now.Binary, now.Host)
		if err != nil {
			return err
		}
		restoreRow(now, "", false, causes, tx.Now())
		return nil
	})
}

// serveWith implements role.serve with the function from a role's options.
func serveWith[R any](ctx context.Context, serve func(context.Context, R) (Server, error), r R) (Server, error) {
	if serve == nil {
		return nil, nil //nolint:nilnil // Nothing to close.
	}
	return serve(ctx, r)
}
