package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/printable"
	"stoker/internal/telemetry"
)

func TestLevels(t *testing.T) {
	type levels map[string]cinder.LogLevel
	tests := []struct {
		name   string
		prefix string
		level  cinder.LogLevel
		want   levels
	}{
		{"one logger", "stoker.rpc", cinder.LogDebug, levels{
			"stoker.agent": "INFO", "stoker.backend.mirror": "INFO", "stoker.rpc": "DEBUG",
		}},
		{"all of them", "", cinder.LogError, levels{
			"stoker.agent": "ERROR", "stoker.backend.mirror": "ERROR", "stoker.rpc": "ERROR",
		}},
		{"a prefix is a plain string, not a path", "stoker.ba", cinder.LogWarning, levels{
			"stoker.agent": "INFO", "stoker.backend.mirror": "WARNING", "stoker.rpc": "INFO",
		}},
		{"nobody's prefix", "cinder.volume", cinder.LogDebug, levels{
			"stoker.agent": "INFO", "stoker.backend.mirror": "INFO", "stoker.rpc": "INFO",
		}},
		{"no level", "", "LOUD", levels{
			"stoker.agent": "INFO", "stoker.backend.mirror": "INFO", "stoker.rpc": "INFO",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := telemetry.NewLoggers(slog.DiscardHandler, cinder.LogInfo)
			for _, name := range []string{"stoker.agent", "stoker.backend.mirror", "stoker.rpc"} {
				l.Logger(name)
			}
			l.SetLevel(tt.prefix, tt.level)
			if diff := cmp.Diff(tt.want, levels(l.Levels(""))); diff != "" {
				t.Errorf("levels after SetLevel(%q, %s) (-want +got):\n%s", tt.prefix, tt.level, diff)
			}
		})
	}
}

func TestLevelsOfAPrefix(t *testing.T) {
	l := telemetry.NewLoggers(slog.DiscardHandler, cinder.LogWarning)
	l.Logger("stoker.agent")
	l.Logger("stoker.rpc")
	want := map[string]cinder.LogLevel{"stoker.agent": cinder.LogWarning}
	if diff := cmp.Diff(want, l.Levels("stoker.a")); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
	if got := l.Levels("nobody"); got == nil || len(got) != 0 {
		t.Errorf("levels of no logger: %v, want an empty map", got)
	}
}

// TestLevelDecidesWhatIsWritten checks that a new level takes effect at once, also in
// loggers derived earlier.
func TestLevelDecidesWhatIsWritten(t *testing.T) {
	var out bytes.Buffer
	l := telemetry.NewLoggers(telemetry.NewHandler(&out, telemetry.Text), cinder.LogInfo)
	log := l.Logger("stoker.agent")
	derived := log.With("row", 1).WithGroup("g")
	say := func() string {
		out.Reset()
		for _, log := range []*slog.Logger{log, derived} {
			log.Debug("d")
			log.Info("i")
			log.Warn("w")
			log.Error("e")
		}
		said := ""
		for line := range strings.Lines(out.String()) {
			_, rest, _ := strings.Cut(line, "msg=")
			said += rest[:1]
		}
		return said
	}
	for _, tt := range []struct {
		level cinder.LogLevel
		want  string
	}{
		{cinder.LogInfo, "iweiwe"},
		{cinder.LogDebug, "diwediwe"},
		{cinder.LogWarning, "wewe"},
		{cinder.LogError, "ee"},
		{cinder.LogInfo, "iweiwe"},
	} {
		l.SetLevel("stoker", tt.level)
		if got := say(); got != tt.want {
			t.Errorf("written at level %s: %q, want %q", tt.level, got, tt.want)
		}
	}
}

func TestLoggersOfOneNameAreOne(t *testing.T) {
	l := telemetry.NewLoggers(slog.DiscardHandler, cinder.LogInfo)
	a := l.Logger("stoker.agent")
	l.SetLevel("", cinder.LogDebug)
	b := l.Logger("stoker.agent")
	if !b.Enabled(t.Context(), slog.LevelDebug) || a != b {
		t.Error("asking for a logger again gave another one")
	}
	if l.Logger("stoker.later").Enabled(t.Context(), slog.LevelDebug) {
		t.Error("a level was set for a logger that was not there yet")
	}
}

// TestServicesAreToldApart checks that services of one process share only the output.
func TestServicesAreToldApart(t *testing.T) {
	var out bytes.Buffer
	h := telemetry.NewHandler(&out, telemetry.JSON)
	service := func(host string) *telemetry.Loggers {
		return telemetry.NewLoggers(h.WithAttrs([]slog.Attr{slog.String("host", host)}), cinder.LogInfo)
	}
	one, other := service("host1@alpha"), service("host1@beta")
	logs := []*slog.Logger{one.Logger("stoker.agent"), other.Logger("stoker.agent")}
	other.SetLevel("", cinder.LogError)
	for _, log := range logs {
		log.Warn("here", "n", 1)
	}
	got := map[string]any{}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("not one record: %v\n%s", err, out.String())
	}
	delete(got, "time")
	want := map[string]any{"host": "host1@alpha", "logger": "stoker.agent", "level": "WARNING", "msg": "here", "n": 1.0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// TestRecordsCannotBeForged checks that nothing logged looks like another record or
// controls a terminal.
func TestRecordsCannotBeForged(t *testing.T) {
	evil := []string{
		"a\ntime=2026-01-01 level=ERROR msg=forged", "a\r\nb", "a\u2028b\u0085c", "\x1b[2Jgone", "\x00", `"} {"msg":"forged"`,
		"\u009b31m", "\u202egnorw", "tag\U000e0041", "filler\u3164", "selector\ufe0f",
	}
	for _, f := range []telemetry.Format{telemetry.Text, telemetry.JSON} {
		for _, e := range evil {
			t.Run(fmt.Sprintf("%s %q", f, e), func(t *testing.T) {
				var out bytes.Buffer
				log := telemetry.NewLoggers(telemetry.NewHandler(&out, f), cinder.LogInfo).Logger(e)
				log.Warn(e, e, e, "error", io.ErrUnexpectedEOF, "as error", fmt.Errorf("%s", e)) //nolint:sloglint // The message is the attack.
				line, rest, _ := strings.Cut(out.String(), "\n")
				if rest != "" {
					t.Errorf("more than one line: %q", out.String())
				}
				if strings.ContainsFunc(line, printable.Hidden) {
					t.Errorf("%q is not fit for a terminal", line)
				}
				if f == telemetry.JSON && !json.Valid([]byte(line)) {
					t.Errorf("no JSON: %s", line)
				}
			})
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	l := telemetry.NewLoggers(telemetry.NewHandler(io.Discard, telemetry.Text), cinder.LogInfo)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 100 {
				l.Logger(fmt.Sprint("stoker.", i%3)).Info("hello")
				l.SetLevel("stoker.1", cinder.LogDebug)
				l.Levels("")
			}
		})
	}
	all.Wait()
}

func BenchmarkDisabled(b *testing.B) {
	log := telemetry.NewLoggers(telemetry.NewHandler(io.Discard, telemetry.Text), cinder.LogInfo).Logger("stoker.agent")
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		log.LogAttrs(ctx, slog.LevelDebug, "nothing to see", slog.String("key", "value"))
	}
}
