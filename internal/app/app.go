package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"stoker/internal/config"
	"stoker/internal/control"
	"stoker/internal/metrics"
	"stoker/internal/oslo"
	"stoker/internal/policy"
	"stoker/internal/rpc"
	"stoker/internal/store"
	"stoker/internal/telemetry"
	"stoker/internal/upstream"
)

// App is a process: what New wired, Start runs and Stop ends.
type App struct {
	o       Options
	output  slog.Handler       // what every logger of the process writes to
	loggers *telemetry.Loggers // of the process itself, as the API
	log     *slog.Logger

	db      *store.DB
	bus     oslo.Transport
	client  *oslo.Client
	rpc     *rpc.Client
	control *control.Control
	web     *web               // nil without an API
	passed  *upstream.Upstream // nil when nothing is passed on
	policy  *policy.Enforcer   // nil without an API
	scrapes *web               // nil without metrics
	metrics *metrics.Metrics   // nil without metrics

	failed chan error // what ended the process, if anything did

	mu       sync.Mutex
	cleanups []cleanup // the newest last
}

type cleanup struct {
	name string
	end  func(context.Context) error
}

// servers is how many may fail: the API's and that of metrics.
const servers = 2

// New opens the database and the bus and wires what o asks for. Nothing answers
// or beats before Start. It fails with one line that says what is wrong, and
// leaves nothing open then.
func New(ctx context.Context, o Options) (*App, error) {
	o = o.withDefaults()
	format := telemetry.Text
	if o.Config.UseJSON {
		format = telemetry.JSON
	}
	output := telemetry.NewHandler(o.Log, format)
	loggers := telemetry.NewLoggers(output.WithAttrs(who(o.binary(), o.Config.Host)), o.LogLevel)
	a := &App{o: o, output: output, loggers: loggers, log: loggers.Logger("stoker.app"), failed: make(chan error, servers)}
	if err := a.wire(ctx); err != nil {
		return nil, errors.Join(err, a.Stop(ctx))
	}
	a.warn(ctx) // not before: what does not start says why, and nothing else
	return a, nil
}

// who are the attributes that tell the records of one service from another's.
func who(binary, host string) []slog.Attr {
	return []slog.Attr{slog.String("binary", binary), slog.String("host", host)}
}

// wire makes everything that does not run by itself.
func (a *App) wire(ctx context.Context) error {
	c := a.o.Config
	for _, file := range a.o.Locks {
		if err := a.lock(file); err != nil {
			return err
		}
	}
	if err := a.openStore(ctx); err != nil {
		return err
	}
	bus, err := a.newBus(ctx)
	if err != nil {
		return err
	}
	a.bus = bus
	a.onStop("bus", a.bus.Close)
	a.client = oslo.NewClient(oslo.ClientOptions{
		Transport: a.bus, ResponseTimeout: c.ResponseTimeout, Log: a.loggers.Logger("stoker.oslo"),
	})
	a.onStop("bus client", a.client.Close)
	a.rpc = rpc.New(a.client, rpc.Options{FailoverExpiry: c.FailoverExpiry, Log: a.loggers.Logger("stoker.rpc")})
	var told control.Notifier
	if slices.Contains(c.NotifyDrivers, config.NotifyBus) {
		told = notifier{a.client, c.NotifyTopics, c.Host}
	}
	a.control = control.New(control.Options{
		Notifier: told,
		Store:    Store(a.db), Fleet: a.rpc, Logs: a.rpc, Loggers: a.loggers, Log: a.loggers.Logger("stoker.control"),
		Host: c.Host, Owner: c.Host + ":" + uuid.NewString(), Alone: a.o.Alone,
		DownTime: c.DownTime, PoolsTimeout: c.PoolsTimeout, LogTimeout: c.LogTimeout,
		ResponseTimeout: c.ResponseTimeout, FailoverExpiry: c.FailoverExpiry, FailoverDeadline: c.FailoverDeadline,
		Watch: c.WatchTime, Retention: time.Duration(c.JournalDays) * 24 * time.Hour, Lease: c.LeaseTime, Keys: c.Edge.Keys,
	})
	if !a.o.API {
		return nil
	}
	if c.MetricsListen != "" {
		if err := a.newMetrics(ctx); err != nil {
			return err
		}
	}
	a.web, err = a.newWeb(ctx)
	return err
}

// warn says what of the configuration is unlikely to be meant.
func (a *App) warn(ctx context.Context) {
	if a.o.Alone {
		return
	}
	for _, w := range a.o.Config.Warnings(a.o.use()) {
		a.log.WarnContext(ctx, "the configuration may not say what is meant", "option", w.String())
	}
}

// Start runs what was wired: the services first, the API last, so that its first
// answer shows them all. When it fails, everything it started has been stopped.
func (a *App) Start(ctx context.Context) error {
	if err := a.start(ctx); err != nil {
		return errors.Join(err, a.Stop(ctx))
	}
	return nil
}

func (a *App) start(ctx context.Context) error {
	if a.o.API {
		if err := a.follow(ctx); err != nil {
			return fmt.Errorf("listen for capabilities: %w", err)
		}
	}
	if a.o.Alone {
		// What the process before this one had in hand: a service that starts would
		// take the mark of an intent in its row for what is.
		if err := a.control.Look(ctx); err != nil {
			a.log.WarnContext(ctx, "what the last process had in hand could not be settled yet", "error", err)
		}
	}
	if err := a.startServices(ctx); err != nil {
		return err
	}
	if !a.o.API {
		return nil
	}
	a.run("recovery", a.control.Run)
	a.run("events", a.control.Publish)
	a.run("notifications", a.control.Notify)
	if a.passed != nil {
		a.passed.Look(ctx) // so that the first client is told the versions of both
		a.run("upstream", a.passed.Run)
	}
	if a.scrapes != nil {
		a.scrapes.start(a)
		a.log.InfoContext(ctx, "metrics are served", "address", a.scrapes.listener.Addr().String())
	}
	a.web.start(a)
	return nil
}

// run keeps fn going until the process stops.
func (a *App) run(name string, fn func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); fn(ctx) }()
	a.onStop(name, func(ctx context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// onStop remembers what has to be ended, after all that comes later.
func (a *App) onStop(name string, end func(context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, cleanup{name, end})
}

// stopTimeout bounds the end of each part. Requests that wait for a service are
// given less than that by their own deadlines, or are left to recovery.
const stopTimeout = 10 * time.Second

// Stop ends everything, the newest first, and waits for it. It may be called
// more than once, and does not hurry when ctx has ended: that is why it is called.
func (a *App) Stop(ctx context.Context) error {
	a.mu.Lock()
	cleanups := a.cleanups
	a.cleanups = nil
	a.mu.Unlock()
	var errs []error
	for _, c := range slices.Backward(cleanups) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		if err := c.end(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", c.name, err))
		}
		cancel()
	}
	return errors.Join(errs...)
}

// Addr is where the API listens; nil without one.
func (a *App) Addr() net.Addr {
	if a.web == nil {
		return nil
	}
	return a.web.listener.Addr()
}

// MetricsAddr is where metrics are served; nil when they are not.
func (a *App) MetricsAddr() net.Addr {
	if a.scrapes == nil {
		return nil
	}
	return a.scrapes.listener.Addr()
}

// URL is what the API is reached at from this machine; "" without one.
func (a *App) URL() string {
	if a.web == nil {
		return ""
	}
	scheme := "http://"
	if a.o.Config.Edge.UseSSL {
		scheme = "https://"
	}
	return scheme + a.web.listener.Addr().String()
}

// Failed tells, once, why the process cannot go on.
func (a *App) Failed() <-chan error { return a.failed }
