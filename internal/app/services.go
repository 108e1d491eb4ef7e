package app

import (
	"cmp"
	"context"
	"fmt"

	"stoker/internal/agent"
	"stoker/internal/backend/mirror"
	"stoker/internal/cinder"
	"stoker/internal/config"
	"stoker/internal/rpc"
	"stoker/internal/telemetry"
)

// startServices starts the scheduler first, so that it hears what the others say
// of themselves, and the simulated services last.
func (a *App) startServices(ctx context.Context) error {
	if a.o.Scheduler {
		if err := a.patiently(ctx, a.startScheduler); err != nil {
			return err
		}
	}
	if a.o.Backup {
		if err := a.patiently(ctx, a.startBackup); err != nil {
			return err
		}
	}
	if len(a.o.Volumes) > 0 {
		a.noteDrivers(ctx)
	}
	for _, v := range a.o.Volumes {
		if err := a.patiently(ctx, func(ctx context.Context) error { return a.startVolume(ctx, v) }); err != nil {
			return err
		}
	}
	if a.o.Fleet == 0 {
		return nil
	}
	fleet := agent.NewFleet(agent.FleetOptions{
		Size: a.o.Fleet, Zone: a.o.Config.Zone, Store: a.db, ReportInterval: a.o.Config.ReportInterval,
		Log: a.loggers.Logger("stoker.agent"),
	})
	if err := fleet.Start(ctx); err != nil {
		return err
	}
	a.onStop("simulated services", fleet.Stop)
	return nil
}

// noteDrivers says that the drivers a file names are not those that run.
func (a *App) noteDrivers(ctx context.Context) {
	for _, i := range a.o.Config.Unknown(config.ForVolume) {
		if i.Option == "volume_driver" && i.Matters {
			a.log.WarnContext(ctx, "volume_driver is not ours to run: the backend is a mirror, directories under state_path; the driver's storage is neither asked nor changed",
				"section", i.Section, "file", i.File, "line", i.Line)
		}
	}
}

// service is what every service is made of. Each has log levels of its own.
func (a *App) service(binary, host string) agent.Options {
	return agent.Options{
		Host: host, Zone: a.o.Config.Zone, Store: Store(a.db), Bus: a.rpc,
		Loggers:        telemetry.NewLoggers(a.output.WithAttrs(who(binary, host)), a.o.LogLevel),
		ReportInterval: a.o.Config.ReportInterval, DownTime: a.o.Config.ServiceDownTime(),
	}
}

// served is a server, or none: a nil of its own type would look like one.
func served[S agent.Server](s S, err error) (agent.Server, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (a *App) startScheduler(ctx context.Context) error {
	o := a.service(cinder.BinaryScheduler, a.o.Config.Host)
	s := agent.NewScheduler(agent.SchedulerOptions{
		Options: o, View: Store(a.db),
		Serve: func(ctx context.Context, s *agent.Scheduler) (agent.Server, error) {
			return served(rpc.ServeScheduler(ctx, a.bus, o.Host, schedulerPort{s}, o.Loggers.Logger("stoker.rpc")))
		},
	})
	if err := s.Start(ctx); err != nil {
		return err
	}
	a.onStop("scheduler", s.Stop)
	return nil
}

func (a *App) startBackup(ctx context.Context) error {
	o := a.service(cinder.BinaryBackup, a.o.Config.Host)
	b := agent.NewBackup(agent.BackupOptions{
		Options: o, Driver: "stoker.backup.none", StatsInterval: a.o.Config.PollInterval,
		Serve: func(ctx context.Context, b *agent.Backup) (agent.Server, error) {
			return served(rpc.ServeBackup(ctx, a.bus, o.Host, b, o.Loggers.Logger("stoker.rpc")))
		},
	})
	if err := b.Start(ctx); err != nil {
		return err
	}
	a.onStop("backup", b.Stop)
	return nil
}

func (a *App) startVolume(ctx context.Context, v Volume) error {
	o := a.service(cinder.BinaryVolume, v.Host)
	o.Zone = cmp.Or(v.Zone, o.Zone)
	backend, err := mirror.New(mirror.Options{
		Name: v.Name, Root: v.Root, Targets: v.Targets, RefuseThaw: v.RefuseThaw,
		Log: o.Loggers.Logger("stoker.backend.mirror"),
	})
	if err != nil {
		return fmt.Errorf("backend of %s: %w", v.Host, err)
	}
	s := agent.NewVolume(agent.VolumeOptions{
		Options: o, Cluster: v.Cluster, Backend: backend,
		StatsInterval: a.o.Config.PollInterval, ReplicationInterval: a.o.ReplicationInterval,
		FailoverExpiry: a.o.Config.FailoverExpiry,
		Serve: func(ctx context.Context, s *agent.Volume) (agent.Server, error) {
			return served(rpc.ServeVolume(ctx, a.bus, v.Host, v.Cluster, s, o.Loggers.Logger("stoker.rpc")))
		},
	})
	if err := s.Start(ctx); err != nil {
		return err
	}
	a.onStop("volume service "+v.Host, s.Stop)
	return nil
}

// schedulerPort is a scheduler as rpc serves it: the two differ in the name of
// what a pool is.
type schedulerPort struct{ *agent.Scheduler }

// GetPools implements rpc.SchedulerService.
func (s schedulerPort) GetPools(ctx context.Context) ([]rpc.Pool, error) {
	found, err := s.Scheduler.GetPools(ctx)
	pools := make([]rpc.Pool, len(found))
	for i, p := range found {
		pools[i] = rpc.Pool(p)
	}
	return pools, err
}
