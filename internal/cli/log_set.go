package cli

import (
	"context"

	"stoker/internal/cinder"
	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type logSetCmd struct {
	Level string `arg:"" help:"debug, info, warning or error."`
	logFilter
	clientFlags
}

// Help is shown by --help.
func (logSetCmd) Help() string {
	return `Gives the order and ends; stoker log get shows what is in force. The level lasts until the service is restarted. Without --host and --binary every service is meant.

Examples:

  stoker log set debug --host stor1@alpha --prefix stoker.backend
  stoker log set info`
}

// Run runs it.
func (c *logSetCmd) Run(ctx context.Context, p Process) error {
	level, err := cinder.ParseLogLevel(c.Level)
	if err != nil {
		return usageError{"the level must be debug, info, warning or error, not " + c.Level}
	}
	return c.call(ctx, p, func(api *client.Client) error {
		change, err := api.SetLog(ctx, c.filter(), level)
		if err != nil {
			return err
		}
		r := format.Record{{Name: "level", Value: level}}
		for _, f := range []struct{ name, value string }{{"host", c.Host}, {"binary", c.Binary}, {"prefix", c.Prefix}} {
			if f.value != "" {
				r = append(r, format.Field{Name: f.name, Value: f.value})
			}
		}
		return c.printChange(p, r, change)
	})
}
