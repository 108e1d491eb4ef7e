package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"stoker/internal/config"
	"stoker/internal/printable"
)

// usageError is a command line that parses and still makes no sense.
type usageError struct{ msg string }

// Error says what makes no sense.
func (e usageError) Error() string { return e.msg }

// report says on w why a command failed and returns the exit status.
func report(ctx context.Context, w io.Writer, err error, parsed *kong.Context) int {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "stoker: interrupted")
		return exitInterrupted
	}
	if faults, ok := errors.AsType[config.FaultsError](err); ok {
		reportFaults(w, faults)
		return exitFailed
	}
	if e, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(w, "stoker: %s\nTry: %s --help\n", oneLine(e.Error()), parsed.Selected().FullPath())
		return exitUsage
	}
	fmt.Fprintln(w, "stoker:", oneLine(err.Error()))
	return exitFailed
}

// reportFaults writes the faults of a configuration, a line each.
func reportFaults(w io.Writer, faults config.FaultsError) {
	for _, f := range faults {
		fmt.Fprintln(w, "stoker:", oneLine(f.String()))
	}
}

// oneLine keeps a message on one line, whoever wrote it, and escapes what a
// terminal would obey or hide.
func oneLine(s string) string { return printable.Text(strings.Join(strings.Fields(s), " ")) }
