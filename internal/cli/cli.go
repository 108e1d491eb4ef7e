package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

// The exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
)

// Process is what the operating system gives a program.
type Process struct {
	Args    []string // without the program's name
	Env     []string // NAME=value
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Version string // for --version; see Version

	Transport http.RoundTripper // to the API; nil is the network
}

// root is the command line.
type root struct {
	Version versionFlag `name:"version" help:"Print the version and exit."`

	Standalone standaloneCmd `cmd:"" help:"Run everything in one process: API, scheduler, backup and three volume backends."`
	API        apiCmd        `cmd:"" name:"api" help:"Run the API alone, with a configuration file."`
	Volume     volumeCmd     `cmd:"" help:"Run volume services, with a configuration file."`
	Scheduler  schedulerCmd  `cmd:"" help:"Run a scheduler, with a configuration file."`
	Backup     backupCmd     `cmd:"" help:"Run a backup service, with a configuration file."`
	Config     configCmd     `cmd:"" help:"Check a configuration file."`
	Policy     policyCmd     `cmd:"" help:"Show who may do what, and why."`
	DB         dbCmd         `cmd:"" name:"db" help:"Look after the database."`
	Bus        busCmd        `cmd:"" help:"Look after the message bus."`
	Service    serviceCmd    `cmd:"" help:"List services, and enable, disable, freeze, thaw or fail them over."`
	Log        logCmd        `cmd:"" help:"Show and change what services log."`
	Cluster    clusterCmd    `cmd:"" help:"List clusters, and enable or disable them."`
	Operation  operationCmd  `cmd:"" help:"Show the journal: who did what, and what came of it."`
	Event      eventCmd      `cmd:"" help:"Follow what changes."`
}

// Main runs the command line and returns the exit status. An interrupt or a
// SIGTERM cancels what is under way, a second one ends the process at once.
func Main(p Process, d Deps) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal finds the default action: death
	return Run(ctx, p, d)
}

// Run is Main without its signals: ctx ends what is under way.
func Run(ctx context.Context, p Process, d Deps) int {
	if len(p.Args) == 0 {
		p.Args = []string{"--help"}
	}
	// The parser would put another letter in the place of such bytes: another name.
	if i := slices.IndexFunc(p.Args, func(arg string) bool { return !utf8.ValidString(arg) }); i >= 0 {
		fmt.Fprintf(p.Stderr, "stoker: the argument %q is not UTF-8\n", p.Args[i])
		return exitUsage
	}
	status, exited := 0, false
	parser, err := newParser(p, func(code int) { status, exited = code, true })
	if err != nil {
		fmt.Fprintln(p.Stderr, "stoker:", err)
		return exitFailed
	}
	parsed, err := parser.Parse(p.Args)
	switch {
	case exited: // --help or --version has had its say
		return status
	case err != nil:
		fmt.Fprintf(p.Stderr, "stoker: %s\nTry: %s --help\n", oneLine(err.Error()), command(err))
		return exitUsage
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(p, d); err != nil {
		return report(ctx, p.Stderr, err, parsed)
	}
	return exitOK
}

func newParser(p Process, exit func(int)) (*kong.Kong, error) {
	return kong.New(&root{},
		kong.Name("stoker"),
		kong.Description(description),
		kong.Writers(p.Stdout, p.Stderr),
		kong.Exit(exit),
		kong.ExplicitGroups([]kong.Group{{Key: "api", Title: "Flags of all commands that call the API:"}}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{
			"version":  p.Version,
			"data_dir": dataDir(p.Env),
			"endpoint": p.env("STOKER_ENDPOINT"),
			"local":    defaultEndpoint,
			"cloud":    p.env("OS_CLOUD"),
			"project":  p.env("STOKER_PROJECT"),
		},
	)
}

const description = `Stoker is the control plane of a block-storage fleet: the system behind the os-services API of OpenStack Cinder.

Start here:

  stoker standalone               # a whole system on this machine, in one process
  stoker service list             # in another terminal: what runs there
  stoker service freeze HOST      # and so on: see stoker service --help`

// command is the part of the command line that was understood, for a hint.
func command(err error) string {
	if e, ok := errors.AsType[*kong.ParseError](err); ok && e.Context != nil {
		if node := e.Context.Selected(); node != nil {
			return strings.TrimSpace(node.FullPath())
		}
	}
	return "stoker"
}

// env returns the value of a variable, "" when it is not set.
func (p Process) env(name string) string {
	for _, e := range p.Env {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// versionFlag prints the version as soon as it is seen.
type versionFlag bool

// BeforeReset implements kong's hook for flags that end the program.
func (versionFlag) BeforeReset(k *kong.Kong, vars kong.Vars) error {
	fmt.Fprintln(k.Stdout, "stoker", vars["version"])
	k.Exit(exitOK)
	return nil
}
