package cli

import (
	"context"
	"io"
	"log/slog"

	"stoker/internal/config"
)

// Deps are the servers, which others put together. Each function runs until ctx
// ends, which is no error, or until it fails.
type Deps struct {
	Standalone func(ctx context.Context, o StandaloneOptions) error
	Daemon     func(ctx context.Context, o DaemonOptions) error
	// SyncDB makes the schema where it is missing and says on Out what it did.
	SyncDB func(ctx context.Context, o DBOptions) error
	// CheckDB says on Out what the database is.
	CheckDB func(ctx context.Context, o DBOptions) error
	// CheckBus says on Out what the bus is and who listens there, and what is wrong
	// with it on Log.
	CheckBus func(ctx context.Context, o DBOptions) error
}

// StandaloneOptions are what `stoker standalone` was asked for.
type StandaloneOptions struct {
	Dir    string // made when it is not there
	Listen string // host:port; port 0 is any that is free
	Fleet  int    // how many simulated volume services to add
	Server
}

// DaemonOptions are what `stoker api` and its like were asked for.
type DaemonOptions struct {
	Program Program
	Config  config.Config // valid for it
	Server
}

// DBOptions are what `stoker db` and `stoker bus` were asked for.
type DBOptions struct {
	Config config.Config // valid as far as the database goes, or the bus as well
	Server
}

// Server is what all servers are given.
type Server struct {
	Out      io.Writer // for the operator
	Log      io.Writer
	LogLevel slog.Level
	Version  string
}

// logFlags choose how much a server logs.
type logFlags struct {
	LogLevel slog.Level `placeholder:"LEVEL" default:"info" help:"How much to log on standard error: debug, info, warn or error (default: info)."`
	Debug    bool       `help:"Short for --log-level=debug."`
}

func (f logFlags) server(p Process) Server {
	s := Server{Out: p.Stdout, Log: p.Stderr, LogLevel: f.LogLevel, Version: p.Version}
	if f.Debug {
		s.LogLevel = slog.LevelDebug
	}
	return s
}
