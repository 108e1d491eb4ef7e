package cli

import (
	"context"
	"log/slog"

	"stoker/internal/cinder"
	"stoker/internal/config"
)

type apiCmd struct {
	ConfigFile []string `required:"" sep:"none" placeholder:"FILE" help:"Read options from FILE, in Cinder's format. May be repeated: a later file has the last word, but for the environment (OS_DEFAULT__HOST=...)."`
	logFlags
}

// Help is shown by --help.
func (apiCmd) Help() string {
	return `A cinder.conf does: options that stoker has no use for are ignored. The database must have its schema: see stoker db sync.

A configuration that starts:

  [DEFAULT]
  auth_strategy = noauth
  [database]
  connection = sqlite:////var/lib/stoker/stoker.sqlite

Examples:

  stoker api --config-file /etc/cinder/cinder.conf
  stoker api --config-file cinder.conf --config-file site.conf --debug`
}

// Run runs it.
func (c *apiCmd) Run(ctx context.Context, p Process, d Deps) error {
	conf, err := config.Load(c.ConfigFile, p.Env, config.ForAPI)
	if err != nil {
		return err
	}
	if d.API == nil {
		return cinder.Errorf(cinder.KindNotSupported, "this build has no API server")
	}
	s := c.server(p)
	if conf.Debug {
		s.LogLevel = slog.LevelDebug
	}
	return d.API(ctx, APIOptions{Config: conf, Server: s})
}
