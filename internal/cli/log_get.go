package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type logGetCmd struct {
	logFilter
	clientFlags
}

// Help is shown by --help.
func (logGetCmd) Help() string {
	return `Services that do not answer are named on standard error; the exit status is 1 then.

Examples:

  stoker log get
  stoker log get --host stor1@alpha --prefix stoker.backend`
}

// Run runs it.
func (c *logGetCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		answer, err := api.GetLog(ctx, c.filter())
		if err != nil {
			return err
		}
		t := format.Table{Header: []string{"Binary", "Host", "Logger", "Level"}}
		for _, s := range answer.Levels {
			for _, name := range slices.Sorted(maps.Keys(s.Levels)) {
				t.Rows = append(t.Rows, []string{s.Binary, s.Host, name, string(s.Levels[name])})
			}
		}
		if err := c.print(p, answer.Levels, t); err != nil {
			return err
		}
		for _, s := range answer.Silent {
			fmt.Fprintln(p.Stderr, "stoker:", oneLine(fmt.Sprintf("%s on %s: %s", s.Binary, s.Host, s.Why)))
		}
		if n := len(answer.Silent); n > 0 {
			return fmt.Errorf("%d of %d services did not answer", n, n+len(answer.Levels))
		}
		return nil
	})
}
