package cli

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	ConfigFile []string `sep:"none" placeholder:"FILE" help:"Read options from FILE, in Cinder's format. May be repeated: a later file has the last word, but for the environment (OS_DEFAULT__HOST=...)."`
	ConfigDir  []string `sep:"none" placeholder:"DIR" help:"Read the files *.conf in DIR, in the order of their names, alone or after those of --config-file. May be repeated."`
}

// files are those to read, in their order. One of the two flags is needed.
func (f configFlags) files() ([]string, error) {
	if len(f.ConfigFile) == 0 && len(f.ConfigDir) == 0 {
		return nil, usageError{"name a configuration: --config-file FILE or --config-dir DIR"}
	}
	return f.named()
}

// named are those to read, or none.
func (f configFlags) named() ([]string, error) {
	files := slices.Clone(f.ConfigFile)
	for _, dir := range f.ConfigDir {
		entries, err := os.ReadDir(dir) // sorted by name
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			hidden := strings.HasPrefix(e.Name(), ".")
			if !e.IsDir() && !hidden && filepath.Ext(e.Name()) == ".conf" {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	return files, nil
}

// load reads the configuration.
func (f configFlags) load(p Process, use config.Use) (config.Config, error) {
	files, err := f.files()
	if err != nil {
		return config.Config{}, err
	}
	return config.Load(files, p.Env, use)
}

// daemonFlags are those of every program that runs with a configuration.
type daemonFlags struct {
	configFlags
	logFlags
	LogFile string `placeholder:"FILE" help:"Log to FILE, whatever log_file and log_dir say."`
}

// run runs the program.
func (f daemonFlags) run(ctx context.Context, p Process, d Deps, program Program) error {
	conf, err := f.load(p, program.use())
	if err != nil {
		return err
	}
	if d.Daemon == nil {
		return cinder.Errorf(cinder.KindNotSupported, "this build has no %s server", program)
	}
	if f.LogFile != "" {
		conf.LogFile, conf.LogDir = f.LogFile, ""
	}
	s := f.server(p)
	if conf.Debug {
		s.LogLevel = slog.LevelDebug
	}
	return d.Daemon(ctx, DaemonOptions{Program: program, Config: conf, Server: s})
}
