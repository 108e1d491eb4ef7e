package cli

import (
	"context"

	"stoker/internal/cinder"
	"stoker/internal/config"
)

type dbCmd struct {
	Sync dbSyncCmd `cmd:"" help:"Make the tables where they are missing; do nothing where they are not."`
}

type dbSyncCmd struct {
	ConfigFile []string `required:"" sep:"none" placeholder:"FILE" help:"Read [database] connection from FILE, in Cinder's format. May be repeated: a later file has the last word."`
}

// Help is shown by --help.
func (dbSyncCmd) Help() string {
	return `Example:

  stoker db sync --config-file /etc/cinder/cinder.conf`
}

// Run runs it.
func (c *dbSyncCmd) Run(ctx context.Context, p Process, d Deps) error {
	conf, err := config.Load(c.ConfigFile, p.Env, config.ForDatabase)
	if err != nil {
		return err
	}
	if d.SyncDB == nil {
		return cinder.Errorf(cinder.KindNotSupported, "this build has no database")
	}
	return d.SyncDB(ctx, SyncDBOptions{Database: conf.Database, Server: logFlags{}.server(p)})
}
