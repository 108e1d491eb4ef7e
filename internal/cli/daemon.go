package cli

import (
	"context"
	"log/slog"

	"stoker/internal/cinder"
	"stoker/internal/config"
)

// Program is one of those that run with a configuration file until they are stopped.
type Program string

// The programs.
const (
	ProgramAPI       Program = "api"
	ProgramVolume    Program = "volume"
	ProgramScheduler Program = "scheduler"
	ProgramBackup    Program = "backup"
)

// use is what the program reads its configuration for.
func (p Program) use() config.Use {
	switch p {
	case ProgramAPI:
		return config.ForAPI
	case ProgramVolume:
		return config.ForVolume
	default:
		return config.ForService
	}
}

// configFlags name the configuration.
type configFlags struct {
	ConfigFile []string `required:"" sep:"none" placeholder:"FILE" help:"Read options from FILE, in Cinder's format. May be repeated: a later file has the last word, but for the environment (OS_DEFAULT__HOST=...)."`
}

// daemonFlags are those of every program that runs with a configuration.
type daemonFlags struct {
	configFlags
	logFlags
}

// run runs the program.
func (f daemonFlags) run(ctx context.Context, p Process, d Deps, program Program) error {
	conf, err := config.Load(f.ConfigFile, p.Env, program.use())
	if err != nil {
		return err
	}
	if d.Daemon == nil {
		return cinder.Errorf(cinder.KindNotSupported, "this build has no %s server", program)
	}
	s := f.server(p)
	if conf.Debug {
		s.LogLevel = slog.LevelDebug
	}
	return d.Daemon(ctx, DaemonOptions{Program: program, Config: conf, Server: s})
}
