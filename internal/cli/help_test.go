package cli_test

import (
	"slices"
	"strings"
	"testing"

	"stoker/internal/cli"
)

// commands are all there are, as on the command line.
func commands() []string {
	return []string{
		"", "standalone", "api", "volume", "scheduler", "backup", "config", "config check", "policy", "policy list", "policy check", "policy sample", "db", "db sync", "db check", "bus", "bus check",
		"service", "service list", "service enable", "service disable", "service freeze", "service thaw", "service failover",
		"log", "log get", "log set", "cluster", "cluster list", "cluster show", "cluster enable", "cluster disable",
		"operation", "operation list", "operation show", "operation abort", "event", "event watch",
	}
}

func TestHelp(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	var all strings.Builder
	for _, c := range commands() {
		args := append(strings.Fields(c), "--help")
		r := run(t, nil, cli.Deps{}, args...)
		if r.status != 0 || r.stderr != "" {
			t.Errorf("%s --help: exit status %d, %s", c, r.status, r.stderr)
		}
		all.WriteString("$ stoker " + strings.Join(args, " ") + "\n" + r.stdout + "\n")
	}
	golden(t, "help", all.String())
}

func TestNothingIsHelp(t *testing.T) {
	if bare, help := run(t, nil, cli.Deps{}), run(t, nil, cli.Deps{}, "--help"); bare != help || bare.stdout == "" {
		t.Errorf("stoker alone:\n%v", bare)
	}
}

// Every command has an example of itself in its help.
func TestHelpHasExamples(t *testing.T) {
	for _, c := range commands() {
		if slices.Contains([]string{"", "config", "policy", "db", "bus", "service", "log", "cluster", "operation", "event"}, c) {
			continue
		}
		if got := run(t, nil, cli.Deps{}, append(strings.Fields(c), "--help")...).stdout; strings.Count(got, "    stoker "+c) == 0 {
			t.Errorf("stoker %s --help has no example", c)
		}
	}
}

func TestVersionFlag(t *testing.T) {
	want := result{stdout: "stoker v1.2.3 (go1.26)\n"}
	for _, args := range [][]string{{"--version"}, {"service", "list", "--version"}} {
		if got := run(t, nil, cli.Deps{}, args...); got != want {
			t.Errorf("%v: got %v, want %v", args, got, want)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		args string
		want string // on standard error
	}{
		{"servce list", "stoker: unexpected argument servce, did you mean \"service\"?\nTry: stoker --help\n"},
		{"service", "stoker: expected one of \"list\", \"enable\", \"disable\", \"freeze\", \"thaw\", ...\nTry: stoker service --help\n"},
		{"service list --lng", "stoker: unknown flag --lng, did you mean \"--long\"?\nTry: stoker service list --help\n"},
		{"service enable", "stoker: expected \"<host>\"\nTry: stoker service enable --help\n"},
		{"service freeze", "stoker: name either a host or, with --cluster, a cluster\nTry: stoker service freeze --help\n"},
		{"service thaw h@b --cluster c", "stoker: name either a host or, with --cluster, a cluster\nTry: stoker service thaw --help\n"},
		{"service failover", "stoker: name either a host or, with --cluster, a cluster\nTry: stoker service failover --help\n"},
		{"service failover h@b --wait --timeout 0s", "stoker: --timeout must be more than 0\nTry: stoker service failover --help\n"},
		{"service list -o xml", "stoker: --output must be one of \"table\",\"json\",\"yaml\" but got \"xml\"\nTry: stoker service list --help\n"},
		{"service list --request-timeout 0s", "stoker: --request-timeout must be more than 0\nTry: stoker service list --help\n"},
		{"service list --endpoint h:1", "stoker: the endpoint \"h:1\" is not an http:// or https:// URL\nTry: stoker service list --help\n"},
		{"log set loud", "stoker: the level must be debug, info, warning or error, not loud\nTry: stoker log set --help\n"},
		{"cluster list --up --down", "stoker: --up and --down can't be used together\nTry: stoker cluster list --help\n"},
		{"api", "stoker: name a configuration: --config-file FILE or --config-dir DIR\nTry: stoker api --help\n"},
		{"db sync", "stoker: name a configuration: --config-file FILE or --config-dir DIR\nTry: stoker db sync --help\n"},
		{"standalone --fleet x", "stoker: --fleet: expected a valid 64 bit int but got \"x\"\nTry: stoker standalone --help\n"},
		{"standalone --fleet=-1", "stoker: --fleet must be from 0 to 100000\nTry: stoker standalone --help\n"},
		{"standalone --log-level loud", "stoker: --log-level: slog: level string \"loud\": unknown name\nTry: stoker standalone --help\n"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got := run(t, refuse{}, cli.Deps{}, strings.Fields(tt.args)...)
			if want := (result{2, "", tt.want}); got != want {
				t.Errorf("got\n%v\nwant\n%v", got, want)
			}
		})
	}
}
