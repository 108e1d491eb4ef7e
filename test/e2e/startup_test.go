package e2e

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"stoker/test/peers"
)

// output runs a command of the program to its end.
func output(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, built.Program(t), args...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// What keeps the program from starting is one line that says which and why.
func TestStartUpFaults(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	conf := func(name, database string, more ...string) string {
		return file(name, "[DEFAULT]\nauth_strategy = noauth\ntransport_url = memory://\nosapi_volume_listen_port = 0\n"+
			strings.Join(more, "\n")+"\n[database]\nconnection = sqlite:///"+database+"\n")
	}
	notADatabase := file("notes.txt", strings.Repeat("These are my notes, and no database at all. ", 100))
	tests := []struct {
		name string
		args []string
		says []string
	}{
		{"port in use", []string{"standalone", "--dir", filepath.Join(dir, "a"), "--listen", l.Addr().String()}, []string{l.Addr().String(), "in use"}},
		{"not loopback", []string{"standalone", "--dir", filepath.Join(dir, "b"), "--listen", "0.0.0.0:0"}, []string{"loopback"}},
		{"data directory is a file", []string{"standalone", "--dir", notADatabase, "--listen", "127.0.0.1:0"}, []string{notADatabase}},
		{"no such configuration", []string{"api", "--config-file", filepath.Join(dir, "none.conf")}, []string{"none.conf"}},
		{"not a database", []string{"api", "--config-file", conf("notdb.conf", notADatabase)}, []string{"notes.txt"}},
		{"a directory that is not there", []string{"api", "--config-file", conf("nodir.conf", filepath.Join(dir, "no", "such", "x.db"))}, []string{"x.db"}},
		{"out of range", []string{"api", "--config-file", conf("range.conf", filepath.Join(dir, "x.db"), "service_down_time = -5")}, []string{"service_down_time", "-5"}},
		{"keystone", []string{"api", "--config-file", conf("keystone.conf", filepath.Join(dir, "x.db"), "auth_strategy = keystone\n[keystone_authtoken]\nauth_type = password\nuser_id = u\npassword = x")}, []string{"auth_url", "keystone"}},
		{"schema missing", []string{"api", "--config-file", conf("empty.conf", filepath.Join(dir, "empty.db"))}, []string{"empty.db", "db sync"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := output(t, tt.args...)
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.ExitCode() != 1 {
				t.Errorf("ended with %v, want exit status 1", err)
			}
			if n := strings.Count(strings.TrimSpace(out), "\n"); n != 0 {
				t.Errorf("%d lines, want one:\n%s", n+1, out)
			}
			for _, words := range tt.says {
				if !strings.Contains(out, words) {
					t.Errorf("%q does not say %q", out, words)
				}
			}
		})
	}
}

// systemd is told that the API is ready; logrotate moves its log away and sends
// SIGHUP.
func TestLogFileAndSystemd(t *testing.T) {
	dir := t.TempDir()
	conf, log := filepath.Join(dir, "stoker.conf"), filepath.Join(dir, "stoker-api.log")
	text := "[DEFAULT]\nauth_strategy = noauth\nosapi_volume_listen_port = 0\nlog_dir = " + dir + "\n" +
		"[database]\nconnection = sqlite:///" + filepath.Join(dir, "cinder.db") + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := output(t, "db", "sync", "--config-file", conf); err != nil {
		t.Fatalf("db sync: %v\n%s", err, out)
	}
	socket := filepath.Join(dir, "notify")
	systemd, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = systemd.Close() }()
	t.Setenv("NOTIFY_SOCKET", socket)
	p := start(t, "api", "--config-file", conf, "--debug")
	told := make([]byte, 100)
	if err := systemd.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := systemd.ReadFrom(told); err != nil || string(told[:n]) != "READY=1" {
		t.Errorf("systemd is told %q, %v", told[:n], err)
	}
	list := func() { p.call(http.MethodGet, "/v3/os-services", nil) }
	list()
	logged := func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), "/v3/os-services")
	}
	eventually(t, "the list is logged, which it is after its answer", func() bool { return logged(log) })
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is a new log file", func() bool {
		list()
		return logged(log)
	})
	if !logged(log + ".1") {
		t.Error("the old log does not speak of the list")
	}
	p.interrupt()
}

// A program that waits for its database is stopped as any other.
func TestStoppedWhileItWaits(t *testing.T) {
	conf := guarded(t, "postgresql://cinder:x@"+peers.Nobody(t)+"/cinder")
	more := filepath.Join(t.TempDir(), "more.conf")
	if err := os.WriteFile(more, []byte("[database]\nmax_retries = -1\nretry_interval = 3600\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"api", "volume"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var logs lines
		cmd := exec.CommandContext(ctx, built.Program(t), name, "--config-file", conf, "--config-file", more)
		cmd.Stderr = &logs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it waits", func() bool { return strings.Contains(logs.String(), "the database is away") })
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v: %s", name, err, logs.String())
		}
	}
}
