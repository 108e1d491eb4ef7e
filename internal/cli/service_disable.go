package cli

import (
	"context"

	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type serviceDisableCmd struct {
	service
	Reason string `placeholder:"TEXT" help:"Why, for others to read: at most 255 characters. Without it the reason stays as it is."`
	clientFlags
}

// Help is shown by --help.
func (serviceDisableCmd) Help() string {
	return `Examples:

  stoker service disable stor1@alpha --reason "disk swap until Friday"
  stoker service disable stor1 cinder-backup`
}

// Run runs it.
func (c *serviceDisableCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		change, err := api.Disable(ctx, c.Host, c.Binary, c.Reason)
		if err != nil {
			return err
		}
		r := format.Record{{Name: "host", Value: c.Host}, {Name: "binary", Value: c.Binary}, {Name: "status", Value: "disabled"}}
		if c.Reason != "" {
			r = append(r, format.Field{Name: "disabled_reason", Value: c.Reason})
		}
		return c.printChange(p, r, change)
	})
}
