package cli_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/internal/cli"
)

// recorder are servers that end at once and remember what they were asked for.
type recorder struct {
	standalone cli.StandaloneOptions
	api        cli.APIOptions
	db         cli.SyncDBOptions
	err        error
}

func (r *recorder) deps() cli.Deps {
	return cli.Deps{
		Standalone: func(_ context.Context, o cli.StandaloneOptions) error { r.standalone = o; return r.err },
		API:        func(_ context.Context, o cli.APIOptions) error { r.api = o; return r.err },
		SyncDB:     func(_ context.Context, o cli.SyncDBOptions) error { r.db = o; return r.err },
	}
}

func TestStandaloneOptions(t *testing.T) {
	tests := []struct {
		args string
		want cli.StandaloneOptions
	}{
		{"", cli.StandaloneOptions{Dir: "/home/op/.local/share/stoker", Listen: "127.0.0.1:8776"}},
		{
			"--dir /d --listen 127.0.0.1:0 --fleet 7 --debug",
			cli.StandaloneOptions{Dir: "/d", Listen: "127.0.0.1:0", Fleet: 7, Server: cli.Server{LogLevel: slog.LevelDebug}},
		},
		{"--log-level WARN --dir x", cli.StandaloneOptions{Dir: "x", Listen: "127.0.0.1:8776", Server: cli.Server{LogLevel: slog.LevelWarn}}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var r recorder
			if got := run(t, nil, r.deps(), words("standalone "+tt.args)...); got != (result{}) {
				t.Fatal(got)
			}
			if r.standalone.Out == nil || r.standalone.Log == nil {
				t.Error("nowhere to write to")
			}
			tt.want.Version = "v1.2.3 (go1.26)"
			if diff := cmp.Diff(tt.want, r.standalone, cmpopts.IgnoreFields(cli.Server{}, "Out", "Log")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDataDirectory(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		want string // "" is a usage error
	}{
		{"home", []string{"HOME=/home/op"}, "/home/op/.local/share/stoker"},
		{"data home", []string{"HOME=/home/op", "XDG_DATA_HOME=/data"}, "/data/stoker"},
		{"a relative data home is none", []string{"HOME=/home/op", "XDG_DATA_HOME=data"}, "/home/op/.local/share/stoker"},
		{"neither", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r recorder
			var errs strings.Builder
			status := cli.Run(t.Context(), cli.Process{Args: []string{"standalone"}, Env: tt.env, Stdout: &errs, Stderr: &errs}, r.deps())
			if r.standalone.Dir != tt.want || (status == 2) != (tt.want == "") {
				t.Errorf("directory %q, exit status %d, %s", r.standalone.Dir, status, errs.String())
			}
		})
	}
}

func conf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAPIOptions(t *testing.T) {
	one := conf(t, "[DEFAULT]\nauth_strategy = noauth\nhost = one\nosapi_volume_listen_port = 1\n")
	two := conf(t, "[DEFAULT]\nhost = two, with a comma\ndebug = true\n[database]\nconnection = sqlite:////x\n")
	var r recorder
	got := run(t, nil, r.deps(), "api", "--config-file", one, "--config-file", two)
	if want := "two, with a comma"; got.status != 1 || !strings.Contains(got.stderr, want) {
		t.Fatalf("a host of three words: %v", got)
	}
	two = conf(t, "[DEFAULT]\nhost = two\ndebug = true\n[database]\nconnection = sqlite:////x\n")
	if got := run(t, nil, r.deps(), "api", "--config-file", one, "--config-file", two); got != (result{}) {
		t.Fatal(got)
	}
	c := r.api.Config
	if c.Host != "two" || c.ListenPort != 1 || c.Database != "sqlite:////x" || r.api.LogLevel != slog.LevelDebug {
		t.Errorf("got %v at %v", c, r.api.LogLevel)
	}
	if got := run(t, nil, r.deps(), "db", "sync", "--config-file", two); got != (result{}) || r.db.Database != "sqlite:////x" || r.db.Out == nil {
		t.Errorf("db sync of %s: %v", r.db.Database, got)
	}
}

// Each fault of a configuration has a line of its own; a password has none.
func TestConfigurationFaults(t *testing.T) {
	path := conf(t, "[DEFAULT]\nauth_strategy = noauth\nreport_interval = 0\n[database]\nconnection = oracle://u:hunter2@h/d\n")
	for args, want := range map[string]string{
		"api": "stoker: " + path + ":3: [DEFAULT] report_interval = 0: must be a whole number of seconds from 1 to 31536000\n" +
			"stoker: " + path + ":5: [database] connection = oracle://***@h/d: database engine \"oracle\" is not supported: use mysql, postgresql or sqlite\n",
		"db sync": "stoker: " + path + ":5: [database] connection = oracle://***@h/d: database engine \"oracle\" is not supported: use mysql, postgresql or sqlite\n",
	} {
		var r recorder
		if got, want := run(t, nil, r.deps(), words(args+" --config-file "+path)...), (result{1, "", want}); got != want {
			t.Errorf("got\n%v\nwant\n%v", got, want)
		}
	}
}

func TestServersThatFail(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"any error", errors.New("the disk\n is full"), "stoker: the disk is full\n"},
		{"stopped by itself", context.Canceled, "stoker: context canceled\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := recorder{err: tt.err}
			if got, want := run(t, nil, r.deps(), "standalone"), (result{1, "", tt.want}); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestBuildsWithoutServers(t *testing.T) {
	path := conf(t, "[DEFAULT]\nauth_strategy = noauth\n")
	for args, want := range map[string]string{
		"standalone":                      "stoker: this build has no standalone server\n",
		"api --config-file " + path:       "stoker: this build has no API server\n",
		"db sync --config-file " + path:   "stoker: this build has no database\n",
		"api --config-file /nowhere/conf": "stoker: /nowhere/conf: no such file or directory\n",
	} {
		if got, want := run(t, nil, cli.Deps{}, words(args)...), (result{1, "", want}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestInterruptedClient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs strings.Builder
	status := cli.Run(ctx, cli.Process{Args: words("service list"), Stdout: &out, Stderr: &errs, Transport: refuse{context.Canceled}}, cli.Deps{})
	if status != 130 || errs.String() != "stoker: interrupted\n" {
		t.Errorf("exit status %d, %s", status, errs.String())
	}
}
