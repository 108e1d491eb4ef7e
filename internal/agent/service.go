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
	rowTimeout   = 10 * time.Second // for one change of a row, retries included
	busTimeout   = 5 * time.Second  // for one message, or to begin to listen
	listenAgain  = 2 * time.Second  // between attempts to begin to listen
	saveAttempts = 8                // of a conditional write that lost a race
	saveWait     = 50 * time.Millisecond
)

// Options are what every service is made of.
type Options struct {
	Host  string // host, or host@backend for a volume service
	Zone  string // storage_availability_zone
	Store Store
	Bus   Bus

	Loggers *telemetry.Loggers // of this service alone

	ReportInterval time.Duration // between heartbeats
	DownTime       time.Duration // service_down_time: silence that means dead
}

// service is what all roles have in common.
type service struct {
	o    Options
	row  cinder.Service // what it registers
	role role
	log  *slog.Logger

	life    sync.Mutex // guards what follows
	id      int64      // of the row
	server  Server
	listens bool               // commands are taken, by server when that is not nil
	cancel  context.CancelFunc // ends the tasks; nil when not running
	done    chan struct{}      // closed when they have ended

	silent int // heartbeats in a row that failed; of the heartbeat task alone
}

// role is what tells one kind of service from another.
type role interface {
	// status is the replication status of a service that nothing has happened to.
	status(ctx context.Context) cinder.ReplicationStatus
	// settle makes the row and the service agree after it was registered.
	settle(ctx context.Context, r registration) error
	// serve starts to take commands.
	serve(ctx context.Context) (Server, error)
	// working says why the service must not beat; nil when it is well.
	working() error
	// publish tells the schedulers, or asks to be told.
	publish(ctx context.Context) error
	// afterBeat is called after every heartbeat that got through.
	afterBeat(ctx context.Context)
	// tasks are what goes on besides the heartbeat.
	tasks() []task
}

// registration is what happened when a service registered its row.
type registration struct {
	before cinder.Service           // the row that was there; zero when there was none
	status cinder.ReplicationStatus // role.status
	again  bool                     // not at a start: the row of the running service was gone
}

// revived says whether the row is new to a service that may have had one before.
func (r registration) revived() bool { return r.again || r.before.UpdatedAt.IsZero() }

// task is something done again and again.
type task struct {
	every  time.Duration
	do     func(context.Context)
	atOnce bool // for the first time
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

// LogLevels returns the level of every logger of this service whose name starts
// with prefix.
func (s *service) LogLevels(prefix string) map[string]cinder.LogLevel {
	return s.o.Loggers.Levels(prefix)
}

// SetLogLevel sets the level of those loggers.
func (s *service) SetLogLevel(prefix string, level cinder.LogLevel) {
	s.o.Loggers.SetLevel(prefix, level)
	s.log.Info("Log levels set.", "prefix", prefix, "level", string(level))
}

// Start registers the service, serves its commands and keeps it alive until
// Stop; ctx bounds the start alone. It fails when the row cannot be registered
// or the commands can never be served, and leaves nothing running then. A bus
// that is away is no failure: the service beats, and takes commands once the bus
// is there. Nor is a backend that cannot be set up: the service runs, says so in
// its log and does not beat.
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
		s.tell(ctx)
	} else {
		s.log.Error("The bus is away: commands are taken once it is there.", "error", err)
		tasks = append(tasks, task{every: listenAgain, do: s.listenLate})
	}

	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, t := range tasks {
		running.Go(func() { t.run(run) })
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()

	s.life.Lock()
	defer s.life.Unlock()
	s.server, s.listens, s.cancel, s.done = server, listens, cancel, done
	s.log.Info("Service started.", "row", s.id)
	return nil
}

// Stop ends the service: no more commands, then no more heartbeats. It waits for
// what is under way until ctx ends, and fails only when that comes first. The
// row stays as it is.
func (s *service) Stop(ctx context.Context) error {
	s.life.Lock()
	server, cancel, done := s.server, s.cancel, s.done
	s.server, s.cancel = nil, nil
	s.life.Unlock()
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
		s.log.Info("Service stopped.")
	case <-ctx.Done():
		errs = errors.Join(errs, context.Cause(ctx))
	}
	if errs != nil {
		return fmt.Errorf("stop %s on %s: %w", s.row.Binary, s.row.Host, errs)
	}
	return nil
}

// run does the task at its interval until ctx ends. What takes longer than the
// interval skips a turn; turns never queue up.
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

// register makes sure that the row is there and agrees with the service.
func (s *service) register(ctx context.Context, again bool) error {
	ctx, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	r := registration{status: s.role.status(ctx), again: again}
	err := s.update(ctx, func(ctx context.Context, tx control.Tx) (err error) {
		if r.before, err = s.own(ctx, tx); cinder.KindOf(err) == cinder.KindNotFound {
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
	// Not before: a row that does not agree yet must look gone to the next heartbeat.
	s.life.Lock()
	defer s.life.Unlock()
	s.id = row.ID
	return nil
}

// beat is one heartbeat. One that fails is not tried again: the next one is due
// soon enough, and a database in trouble needs no more callers.
func (s *service) beat(ctx context.Context) {
	if err := s.role.working(); err != nil {
		s.log.Error("The service does not work and is not reported alive.", "error", err)
		return
	}
	s.life.Lock()
	id := s.id
	s.life.Unlock()
	within, cancel := context.WithTimeout(ctx, s.o.ReportInterval)
	defer cancel()
	missing, err := s.o.Store.Beat(within, id)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.silent++
		if s.silent == 1 {
			s.log.Warn("A heartbeat failed; the next ones are not reported until one gets through.", "error", err)
		}
		return
	case s.silent > 0:
		s.log.Warn("Heartbeats get through again.", "failed", s.silent)
		s.silent = 0
	}
	if len(missing) > 0 {
		s.log.Warn("The service's row is gone: it registers anew.", "row", id)
		if err := s.register(ctx, true); err != nil {
			s.log.Error("The service could not register anew.", "error", err)
			return
		}
	}
	s.role.afterBeat(ctx)
}

// tell publishes, and logs what goes wrong: the next time is due soon enough.
func (s *service) tell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	if err := s.role.publish(ctx); err != nil {
		s.log.Warn("Capabilities could not be published.", "error", err)
	}
}

// change rewrites the service's own row: fn gets it as it is and changes it. A
// write that loses a race is tried again on the row as it is then. KindNotFound
// when the row is gone.
func (s *service) change(ctx context.Context, fn func(tx control.Tx, row *cinder.Service) error) error {
	return s.update(ctx, func(ctx context.Context, tx control.Tx) error {
		was, err := s.own(ctx, tx)
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

// update runs fn in a transaction, again while it loses races.
func (s *service) update(ctx context.Context, fn func(context.Context, control.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := s.o.Store.Update(ctx, func(tx control.Tx) error { return fn(ctx, tx) })
		if cinder.KindOf(err) != cinder.KindConflict {
			return err
		}
		select {
		case <-time.After(rand.N(saveWait)):
		case <-ctx.Done():
		}
		if attempt == saveAttempts || ctx.Err() != nil {
			// Not a conflict to the caller: that would be a refusal by the backend.
			return cinder.Wrap(cinder.KindUnavailable, err, "The rows are being changed by others all the time.")
		}
	}
}

// own is the service's row.
func (s *service) own(ctx context.Context, tx control.Tx) (cinder.Service, error) {
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

// What follows are the roles' methods as they are for a service without a backend.

func (s *service) status(context.Context) cinder.ReplicationStatus {
	return cinder.ReplicationNotCapable
}

func (s *service) working() error { return nil }

func (s *service) afterBeat(context.Context) {}

func (s *service) tasks() []task { return nil }

// settle gives a row that was made anew the causes for which its service is
// disabled: they outlive the row (doc/cinder/behaviour.md#registration).
func (s *service) settle(ctx context.Context, r registration) error {
	if !r.revived() {
		return nil
	}
	return s.change(ctx, func(tx control.Tx, now *cinder.Service) error {
		causes, err := tx.Causes(ctx, now.Binary, now.Host)
		if err != nil {
			return err
		}
		renew(now, "", false, causes, tx.Now())
		return nil
	})
}

// serving is role.serve of a role whose options say how.
func serving[R any](ctx context.Context, serve func(context.Context, R) (Server, error), r R) (Server, error) {
	if serve == nil {
		return nil, nil //nolint:nilnil // Nothing to close.
	}
	return serve(ctx, r)
}
