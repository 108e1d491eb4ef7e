package rpc

import (
	"context"
	"log/slog"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// LogService has log levels.
type LogService interface {
	// LogLevels returns the level of each logger with that prefix.
	LogLevels(prefix string) map[string]cinder.LogLevel
	// SetLogLevel sets the level of the loggers with that prefix.
	SetLogLevel(prefix string, level cinder.LogLevel)
}

// Cleaner can clean up.
type Cleaner interface {
	// Cleanup cleans up after a service's interrupted work. Its error is only logged.
	Cleanup(ctx context.Context, r cinder.CleanupRequest) error
}

// VolumeService has the commands of a volume service. The context has the caller.
type VolumeService interface {
	LogService
	Cleaner
	// FreezeHost freezes the backend. KindConflict is a refusal by the backend; its
	// message is sent to the caller.
	FreezeHost(ctx context.Context) error
	// ThawHost undoes FreezeHost.
	ThawHost(ctx context.Context) error
	// Failover sends the backend to another site; with nil the backend chooses. Its
	// error is only logged.
	Failover(ctx context.Context, target *string) error
	// FailoverCompleted handles the outcome of a failover by any member of the cluster.
	// Its error is only logged.
	FailoverCompleted(ctx context.Context, o cinder.FailoverOutcome) error
	// PublishCapabilities sends the backend's capabilities to the schedulers.
	PublishCapabilities(ctx context.Context) error
	// Capabilities returns the backend's capabilities.
	Capabilities(ctx context.Context) (map[string]any, error)
}

// SchedulerService has the commands of a scheduler that os-services needs.
type SchedulerService interface {
	LogService
	Cleaner
	// WorkCleanup asks services to clean up. It returns those that it asked, and those
	// that it could not ask.
	WorkCleanup(ctx context.Context, r cinder.CleanupRequest) (cleaning, unavailable []cinder.Service, err error)
	// GetPools returns the pools of the backends in use.
	GetPools(ctx context.Context) ([]Pool, error)
	// UpdateServiceCapabilities handles capabilities sent to all schedulers.
	UpdateServiceCapabilities(ctx context.Context, c cinder.Capabilities) error
	// NotifyServiceCapabilities handles capabilities sent to one scheduler: Host is the
	// service's host or its cluster's name.
	NotifyServiceCapabilities(ctx context.Context, c cinder.Capabilities) error
}

// BackupService has the commands of a backup service that os-services needs.
type BackupService interface {
	LogService
	// PublishCapabilities sends the service's capabilities to the schedulers.
	PublishCapabilities(ctx context.Context) error
}

// Pool is a pool in a scheduler's reply.
type Pool struct {
	Name   string         // host@backend#pool; the cluster's name in place of the host's when clustered
	Values map[string]any // its capabilities; the API reads backend_state
}

// ServeVolume serves the commands of the volume service on host (host@backend), a
// member of cluster (cluster@backend) unless that is "". KindUnavailable when the bus
// is away. The caller closes the server.
func ServeVolume(ctx context.Context, t oslo.Transport, host, cluster string, s VolumeService, log *slog.Logger) (*oslo.Server, error) {
	targets := []oslo.Target{
		{Topic: topicVolume, Server: host},
		{Topic: topicVolume + "." + host, Server: server(host)},
	}
	if cluster != "" {
		targets = append(targets, oslo.Target{Topic: topicVolume + "." + cluster, Server: server(cluster)})
	}
	methods := logMethods(s)
	methods[methodFreeze] = refusable(s.FreezeHost)
	methods[methodThaw] = refusable(s.ThawHost)
	methods[methodFailover] = oslo.Method(func(ctx context.Context, args failoverArgs) (any, error) {
		return nil, s.Failover(ctx, args.Target)
	})
	methods[methodFailoverHost] = methods[methodFailover]
	methods[methodFailoverCompleted] = oslo.Method(func(ctx context.Context, args completedArgs) (any, error) {
		return nil, s.FailoverCompleted(ctx, cinder.FailoverOutcome(args.Updates))
	})
	methods[methodPublish] = plain(s.PublishCapabilities)
	methods[methodCapabilities] = oslo.Method(func(ctx context.Context, _ capabilitiesArgs) (any, error) {
		return s.Capabilities(ctx)
	})
	methods[methodCleanup] = cleanup(s)
	return oslo.Serve(ctx, oslo.ServerOptions{
		Transport: t, Targets: targets, Log: log,
		Endpoint: oslo.Endpoint{Version: cinder.VolumeRPCVersion, Methods: methods, Questions: questions()},
	})
}

// ServeScheduler serves the commands of the scheduler on host. KindUnavailable when the
// bus is away. The caller closes the server.
func ServeScheduler(ctx context.Context, t oslo.Transport, host string, s SchedulerService, log *slog.Logger) (*oslo.Server, error) {
	methods := logMethods(s)
	methods[methodGetPools] = oslo.Method(func(ctx context.Context, args poolsArgs) (any, error) {
		pools, err := s.GetPools(ctx)
		if err != nil {
			return nil, err
		}
		return wirePools(pools, args.Filters)
	})
	methods[methodUpdate] = oslo.Method(func(ctx context.Context, args updateArgs) (any, error) {
		return nil, s.UpdateServiceCapabilities(ctx, args.capabilities())
	})
	methods[methodNotify] = oslo.Method(func(ctx context.Context, args notifyArgs) (any, error) {
		return nil, s.NotifyServiceCapabilities(ctx, cinder.Capabilities{
			Service: args.Service, Host: args.Backend, Values: args.Capabilities, Time: args.Timestamp.or(time.Now()),
		})
	})
	methods[methodCleanup] = cleanup(s)
	methods[methodWorkCleanup] = oslo.Method(func(ctx context.Context, args cleanupArgs) (any, error) {
		if args.Request == nil {
			return nil, missing("cleanup_request")
		}
		cleaning, unavailable, err := s.WorkCleanup(ctx, cinder.CleanupRequest(*args.Request))
		return [2]oslo.Services{cleaning, unavailable}, err
	})
	return oslo.Serve(ctx, oslo.ServerOptions{
		Transport: t, Targets: []oslo.Target{{Topic: topicScheduler, Server: host}}, Log: log,
		Endpoint: oslo.Endpoint{Version: cinder.SchedulerRPCVersion, Methods: methods, Questions: questions()},
	})
}

// ServeBackup serves the commands of the backup service on host. KindUnavailable when
// the bus is away. The caller closes the server.
func ServeBackup(ctx context.Context, t oslo.Transport, host string, s BackupService, log *slog.Logger) (*oslo.Server, error) {
	methods := logMethods(s)
	methods[methodPublish] = plain(s.PublishCapabilities)
	return oslo.Serve(ctx, oslo.ServerOptions{
		Transport: t, Targets: []oslo.Target{{Topic: topicBackup, Server: host}}, Log: log,
		Endpoint: oslo.Endpoint{Version: cinder.BackupRPCVersion, Methods: methods, Questions: questions()},
	})
}

// questions are the methods that change nothing.
func questions() map[string]bool {
	return map[string]bool{methodGetLogLevels: true, methodGetPools: true, methodCapabilities: true}
}

// logMethods are the methods that every service has. Setting an invalid level is
// refused; a query may have none (doc/cinder/wire.md#objects).
func logMethods(s LogService) map[string]oslo.Handler {
	return map[string]oslo.Handler{
		methodGetLogLevels: oslo.Method(func(_ context.Context, args logArgs) (any, error) {
			if args.Request == nil {
				return nil, missing("log_request")
			}
			return oslo.LogLevels(s.LogLevels(args.Request.Prefix)), nil
		}),
		methodSetLogLevels: oslo.Method(func(_ context.Context, args logArgs) (any, error) {
			if args.Request == nil {
				return nil, missing("log_request")
			}
			level, err := cinder.ParseLogLevel(args.Request.Level)
			if err == nil {
				s.SetLogLevel(args.Request.Prefix, level)
			}
			return nil, err
		}),
	}
}

// cleanup is the method of services that can clean up.
func cleanup(s Cleaner) oslo.Handler {
	return oslo.Method(func(ctx context.Context, args cleanupArgs) (any, error) {
		if args.Request == nil {
			return nil, missing("cleanup_request")
		}
		return nil, s.Cleanup(ctx, cinder.CleanupRequest(*args.Request))
	})
}

// missing is the error for an argument that is null or absent.
func missing(argument string) error {
	return cinder.Errorf(cinder.KindInvalid, "Invalid input received: %s is missing.", argument)
}

// plain is a method without arguments and result.
func plain(fn func(context.Context) error) oslo.Handler {
	return oslo.Method(func(ctx context.Context, _ noArgs) (any, error) { return nil, fn(ctx) })
}

// refusable is a method that returns true, or false when the backend refuses.
func refusable(fn func(context.Context) error) oslo.Handler {
	return oslo.Method(func(ctx context.Context, _ noArgs) (any, error) {
		err := fn(ctx)
		if cinder.KindOf(err) == cinder.KindConflict {
			return oslo.Refusal(cinder.Message(err)), nil
		}
		return err == nil, err
	})
}

// capabilities converts the arguments.
func (a updateArgs) capabilities() cinder.Capabilities {
	c := cinder.Capabilities{Service: a.Service, Host: a.Host, Values: a.Capabilities, Time: a.Timestamp.or(time.Now())}
	if a.Cluster != nil {
		c.Cluster = *a.Cluster
	}
	return c
}
