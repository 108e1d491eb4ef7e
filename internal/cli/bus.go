package cli

import (
	"context"

	"stoker/internal/cinder"
	"stoker/internal/config"
)

type busCmd struct {
	Check busCheckCmd `cmd:"" help:"Say whether commands get through: brokers, exchanges, and who listens."`
}

type busCheckCmd struct{ configFlags }

// Help is shown by --help.
func (busCheckCmd) Help() string {
	return `Connects as stoker api does, to each broker of transport_url. It looks whether the broker can be logged in to, whether the exchanges and the queues in use are declared as the options say, whether the account may do what the API does, and whether a message to a queue of its own comes back. For each service in the database it says how many listen to its queue. A service that is up and has no listener gets no command. One that is down and has a listener hangs, or its clock or its database is another.

Nothing stays behind: the check makes no exchange and no queue, but for one queue of its own, which it removes. It takes half a minute at most. Each thing that is wrong has a line on standard error, and makes the exit status 1.

Example:

  stoker bus check --config-file /etc/cinder/cinder.conf`
}

// Run runs it.
func (c *busCheckCmd) Run(ctx context.Context, p Process, d Deps) error {
	conf, err := c.load(p, config.ForBus)
	if err != nil {
		return err
	}
	if d.CheckBus == nil {
		return cinder.Errorf(cinder.KindNotSupported, "this build has no bus")
	}
	return d.CheckBus(ctx, DBOptions{Config: conf, Server: logFlags{}.server(p)})
}
