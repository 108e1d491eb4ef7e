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
	daemon     cli.DaemonOptions
	db, check  cli.DBOptions
	err        error
}

func (r *recorder) deps() cli.Deps {
	return cli.Deps{
		Standalone: func(_ context.Context, o cli.StandaloneOptions) error { r.standalone = o; return r.err },
		Daemon:     func(_ context.Context, o cli.DaemonOptions) error { r.daemon = o; return r.err },
		SyncDB:     func(_ context.Context, o cli.DBOptions) error { r.db = o; return r.err },
		CheckDB:    func(_ context.Context, o cli.DBOptions) error { r.check = o; return r.err },
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
	c := r.daemon.Config
	if c.Host != "two" || c.ListenPort != 1 || c.Database != "sqlite:////x" || r.daemon.LogLevel != slog.LevelDebug {
		t.Errorf("got %v at %v", c, r.daemon.LogLevel)
	}
	if got := run(t, nil, r.deps(), "db", "check", "--config-file", two); got != (result{}) || r.check.Config.Database != "sqlite:////x" {
		t.Errorf("db check of %s: %v", r.check.Config.Database, got)
	}
	if got := run(t, nil, r.deps(), "db", "sync", "--config-file", two); got != (result{}) || r.db.Config.Database != "sqlite:////x" || r.db.Out == nil {
		t.Errorf("db sync of %s: %v", r.db.Config.Database, got)
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

func TestPrograms(t *testing.T) {
	path := conf(t, "[DEFAULT]\nauth_strategy = noauth\nenabled_backends = a\ntransport_url = rabbit://h/\nhost = ctl\n[a]\n")
	for _, program := range []cli.Program{cli.ProgramAPI, cli.ProgramVolume, cli.ProgramScheduler, cli.ProgramBackup} {
		var r recorder
		if got := run(t, nil, r.deps(), string(program), "--config-file", path); got != (result{}) || r.daemon.Program != program || r.daemon.Config.Host != "ctl" {
			t.Errorf("%s runs %s of %s: %v", program, r.daemon.Program, r.daemon.Config.Host, got)
		}
	}
	// What is of no use to a program does not keep it from running.
	path = conf(t, "[DEFAULT]\ntransport_url = rabbit://h/\nosapi_volume_listen_port = x\n")
	var r recorder
	if got := run(t, nil, r.deps(), "scheduler", "--config-file", path); got != (result{}) {
		t.Error(got)
	}
	if got := run(t, nil, r.deps(), "volume", "--config-file", path); got.status != 1 || !strings.Contains(got.stderr, "[DEFAULT] enabled_backends: a volume service needs a backend") {
		t.Error(got)
	}
}

// A directory of files comes after the files, and none of its others count.
func TestConfigDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"20.conf": "host = twenty\n", "10.conf": "host = ten\nosapi_volume_listen_port = 10\n", "30.conf~": "host = old\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("[DEFAULT]\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := conf(t, "[DEFAULT]\nauth_strategy = noauth\nhost = first\nosapi_volume_listen_port = 1\nlog_dir = /d\n")
	var r recorder
	got := run(t, nil, r.deps(), "api", "--config-dir", dir, "--config-file", first, "--log-file", "x.log")
	if c := r.daemon.Config; got != (result{}) || c.Host != "twenty" || c.ListenPort != 10 || c.Log("stoker-api") != "x.log" {
		t.Errorf("host %s, port %d, log %s: %v", c.Host, c.ListenPort, c.Log("stoker-api"), got)
	}
	if got, want := run(t, nil, r.deps(), "api", "--config-dir", "/nowhere", "--config-file", first), (result{1, "", "stoker: open /nowhere: no such file or directory\n"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A directory is enough, for every command that takes files.
func TestConfigDirectoryAlone(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"10.conf":    "[DEFAULT]\nauth_strategy = noauth\ntransport_url = rabbit://h/\nhost = ten\nenabled_backends = a\n[a]\n",
		"20.conf":    "[database]\nconnection = sqlite:////x\n[oslo_policy]\npolicy_file = " + filepath.Join(dir, "rules.yaml") + "\n",
		".30.conf":   "[DEFAULT]\nlog_file = hidden\n", // as an editor leaves it; the shell's * and oslo.config pass it over
		"rules.yaml": `{"clusters:get": "role:of-the-directory"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{"api", "volume", "scheduler", "backup"} {
		var r recorder
		if got := run(t, nil, r.deps(), program, "--config-dir", dir); got != (result{}) || r.daemon.Config.Host != "ten" || r.daemon.Config.Database != "sqlite:////x" || r.daemon.Config.LogFile != "" {
			t.Errorf("%s of %s at %s, log %q: %v", program, r.daemon.Config.Host, r.daemon.Config.Database, r.daemon.Config.LogFile, got)
		}
	}
	var r recorder
	for _, what := range []string{"sync", "check"} {
		if got := run(t, nil, r.deps(), "db", what, "--config-dir", dir); got != (result{}) {
			t.Errorf("db %s: %v", what, got)
		}
	}
	if r.db.Config.Database != "sqlite:////x" || r.check.Config.Database != "sqlite:////x" {
		t.Errorf("sync of %s, check of %s", r.db.Config.Database, r.check.Config.Database)
	}
	for command, want := range map[string]string{
		"config check": "No faults", "policy list": "role:of-the-directory", "policy check clusters:get --role of-the-directory": "clusters:get: allowed",
	} {
		if got := run(t, nil, cli.Deps{}, words(command+" --config-dir "+dir)...); got.status != 0 || !strings.Contains(got.stdout, want) {
			t.Errorf("%s: %v, want %q", command, got, want)
		}
	}
}

func TestConfigCheck(t *testing.T) {
	const (
		bus   = "[DEFAULT]\ntransport_url = rabbit://h/\n"
		noBus = "warning: [DEFAULT] transport_url = memory:// (the default): reaches no other process: no command gets to a service. " +
			"Name a broker, rabbit://USER:PASSWORD@HOST:PORT/VHOST\n"
		alone = "note: [stoker] upstream is not set: what Stoker does not serve is answered with 404. " +
			"The catalog must not lead to Stoker alone, but to a proxy that sends the rest to cinder-api.\n"
	)
	good := conf(t, "[DEFAULT]\nauth_strategy = noauth\nosapi_volume_workers = 4\nenabled_backends = a\n[a]\nvolume_driver = x\n")
	bad := conf(t, "[DEFAULT]\nreport_interval = never\nhelp = me\n[database]\nconnection = mysql://u:hunter2@[h/d\n"+
		"[keystone_authtoken]\nauth_type = password\npassword = hunter2\nauth_url = http://k\nuser_id = u\nmemcached_servers = h\n"+bus)
	workers := ":3: [DEFAULT] osapi_volume_workers: one process uses all the CPUs it is given\n"
	driver := "ignored: " + good + ":6: [a] volume_driver: the backend is a mirror, directories under state_path: the storage of this driver is neither asked nor changed\n"
	url := conf(t, "[DEFAULT]\nauth_strategy = noauth\n[database]\n"+
		"connection = mysql+pymysql://u:hunter2@h/d?charset=utf8&ssl_cipher=AES&read_timeout=30&ssl_verify_cert=true&plugin=dbcounter&p/w=hunter2\n"+bus)
	lookalikes := conf(t, "[DEFAULT]\nauth_strategy = noauth\nmy_ip = 192.0.2.1\nservice_downtime = 5\n[stoker]\npool_timeout = 2\nnosuch = 1\n"+bus)
	tests := []struct {
		name string
		args []string
		want result
	}{
		{"fine", []string{"--config-file", good}, result{
			stdout: noBus + alone + driver + "Ignored options that matter: 1; harmless ones: 1 (--all lists them).\nNo faults.\n",
		}},
		{"all of it", []string{"--config-file", good, "--all"}, result{
			stdout: noBus + alone + "ignored, harmless: " + good + workers + driver + "Ignored options that matter: 1; harmless ones: 1.\nNo faults.\n",
		}},
		{"for what it lacks", []string{"--config-file", good, "--for", "backup"}, result{
			status: 1, stdout: "Ignored options that matter: 0; harmless ones: 2 (--all lists them).\n",
			stderr: "stoker: [DEFAULT] transport_url = memory:// (the default): reaches no other process: a service by itself needs a bus, rabbit://...\nstoker: 1 fault\n",
		}},
		{"faults", []string{"--config-file", bad}, result{
			status: 1, stdout: "Ignored options that matter: 0; harmless ones: 2 (--all lists them).\n",
			stderr: "stoker: " + bad + ":2: [DEFAULT] report_interval = never: must be a whole number of seconds from 1 to 31536000\n" +
				"stoker: " + bad + ":5: [database] connection = mysql://***@[h/d: the host of the database connection makes no sense: an @ in a password is written %40, an IPv6 address stands in brackets\n" +
				"stoker: 2 faults\n",
		}},
		{"a database URL with more than is followed", []string{"--config-file", url}, result{
			stdout: alone + "ignored: " + url + ":4: [database] connection: the URL's option read_timeout is not followed\n" +
				"ignored: " + url + ":4: [database] connection: the URL's option ssl_cipher is not followed\n" +
				"Ignored options that matter: 2; harmless ones: 0.\nNo faults.\n",
		}},
		{"names that are nearly ours", []string{"--config-file", lookalikes}, result{
			stdout: alone + "ignored: " + lookalikes + ":4: [DEFAULT] service_downtime: is service_down_time meant?\n" +
				"ignored: " + lookalikes + ":6: [stoker] pool_timeout: is pools_timeout meant?\n" +
				"ignored: " + lookalikes + ":7: [stoker] nosuch\n" +
				"Ignored options that matter: 3; harmless ones: 1 (--all lists them).\nNo faults.\n",
		}},
		{"nothing ignored", []string{"--config-file", conf(t, "[DEFAULT]\nauth_strategy = noauth\n"+bus)}, result{stdout: alone + "No faults.\n"}},
		{"no file", []string{"--config-file", "/nowhere/x"}, result{status: 1, stderr: "stoker: /nowhere/x: no such file or directory\nstoker: 1 fault\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want.String(), run(t, nil, cli.Deps{}, append([]string{"config", "check"}, tt.args...)...).String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What goes into the log of a cinder-api does so with a word of warning.
func TestLogOfAnotherProgram(t *testing.T) {
	const warning = "stoker: warning: another program writes to the log file "
	for text, want := range map[string]bool{
		"2026-01-02 03:04:05.678 7 INFO cinder.api.openstack.wsgi [-] GET http://h/v3/\n":       true,
		"time=2026-01-02T03:04:05.678Z level=INFO msg=\"Service started.\" binary=cinder-api\n": false,
		"": false,
	} {
		log := filepath.Join(t.TempDir(), "api.log")
		if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// It ends at once: there is no database.
		path := conf(t, "[DEFAULT]\nauth_strategy = noauth\nlog_file = "+log+"\n[database]\nconnection = sqlite:///"+t.TempDir()+"/none/x.db\n")
		got := run(t, nil, cli.Servers(), "api", "--config-file", path)
		if warns := strings.Contains(got.stderr, warning+log); got.status != 1 || warns != want {
			t.Errorf("over %q, which warns: %v: %v", text, want, got)
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
		"api --config-file " + path:       "stoker: this build has no api server\n",
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
