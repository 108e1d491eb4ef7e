package telemetry_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stoker/internal/telemetry"
)

// TestFileThatIsMovedAway checks Reopen after a logrotate.
func TestFileThatIsMovedAway(t *testing.T) {
	dir := t.TempDir()
	name, old := filepath.Join(dir, "x.log"), filepath.Join(dir, "x.log.1")
	if err := os.WriteFile(name, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := telemetry.OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	write := func(s string) {
		t.Helper()
		if _, err := f.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	write("one\n")
	if err := os.Rename(name, old); err != nil {
		t.Fatal(err)
	}
	write("two\n")
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	write("three\n")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{old: "before\none\ntwo\n", name: "three\n"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v; want %q", path, got, err, want)
		}
	}
}

func TestFileThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	if _, err := telemetry.OpenFile(filepath.Join(dir, "none", "x.log")); err == nil {
		t.Error("a log in a directory that is not there")
	}
	name := filepath.Join(dir, "x.log")
	f, err := telemetry.OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err == nil {
		t.Error("a directory is a log")
	}
	if _, err := f.Write([]byte("still\n")); err != nil {
		t.Errorf("nothing can be written after Reopen failed: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestForeign checks that another program's lines near the end are detected.
func TestForeign(t *testing.T) {
	const (
		text   = "time=2026-01-02T03:04:05.678Z level=INFO msg=x\n"
		json   = `{"time":"2026-01-02T03:04:05.678Z","level":"INFO","msg":"x"}` + "\n"
		cinder = "2026-01-02 03:04:05.678 7 INFO cinder.service [-] Starting\n"
	)
	for _, tt := range []struct {
		name, log string
		want      bool
	}{
		{"empty", "", false},
		{"our text", text, false},
		{"our JSON and what ended us", json + "stoker: the disk is full\n", false},
		{"Cinder's", cinder, true},
		{"both", text + cinder + text, true},
		{"Cinder's once, long ago", cinder + strings.Repeat(text, 1000), false},
		{"ours, from the midst of a line", strings.Repeat(text, 1000), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.log")
			if err := os.WriteFile(path, []byte(tt.log), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := telemetry.Foreign(path); got != tt.want {
				t.Errorf("foreign: %v, want %v", got, tt.want)
			}
		})
	}
	if dir := t.TempDir(); telemetry.Foreign(dir) || telemetry.Foreign(filepath.Join(dir, "none")) {
		t.Error("what is no file, or not there, is foreign")
	}
}
