package cli

import (
	"context"

	"stoker/internal/cinder"
	"stoker/internal/config"
)

type dbCmd struct {
	Sync  dbSyncCmd  `cmd:"" help:"Make the tables where they are missing; do nothing where they are not."`
	Check dbCheckCmd `cmd:"" help:"Say what the database is, and what is in it."`
}

type dbSyncCmd struct{ configFlags }

// Help is shown by --help.
func (dbSyncCmd) Help() string {
	return `On a database that Cinder made, only tables whose names start with stoker_ are added, and nothing of Cinder's is altered. On an empty one, the tables that Stoker needs are made as Cinder makes them. A new SQLite file is for its owner alone or, in a directory with the setgid bit, readable by the directory's group.

Migrations of a newer Stoker are named and stay. Where one of them says that older programs must not write, nothing is done and the exit status is 1.

Example:

  stoker db sync --config-file /etc/cinder/cinder.conf`
}

// Run runs it.
func (c *dbSyncCmd) Run(ctx context.Context, p Process, d Deps) error {
	return c.database(ctx, p, d.SyncDB)
}

type dbCheckCmd struct{ configFlags }

// Help is shown by --help.
func (dbCheckCmd) Help() string {
	return `Changes nothing. The exit status is 1 when the database cannot be reached, lacks what stoker db sync would add, or has been changed by a newer Stoker so that this one must not write to it.

Example:

  stoker db check --config-file /etc/cinder/cinder.conf`
}

// Run runs it.
func (c *dbCheckCmd) Run(ctx context.Context, p Process, d Deps) error {
	return c.database(ctx, p, d.CheckDB)
}

// database does something to the database that the configuration names.
func (f configFlags) database(ctx context.Context, p Process, do func(context.Context, DBOptions) error) error {
	conf, err := f.load(p, config.ForDatabase)
	if err != nil {
		return err
	}
	if do == nil {
		return cinder.Errorf(cinder.KindNotSupported, "this build has no database")
	}
	return do(ctx, DBOptions{Config: conf, Server: logFlags{}.server(p)})
}
