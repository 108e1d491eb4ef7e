package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/internal/telemetry"
)

// bare is a log without times.
func bare(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}

type lines struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns the lines written since the last take.
func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return strings.FieldsFunc(l.b.String(), func(r rune) bool { return r == '\n' })
}

// TestOneLineOfAKindASecond checks that each kind writes the first record at once, then
// the last of each second with the number of the others, and nothing in an idle second.
func TestOneLineOfAKindASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		counted := telemetry.NewCounted(bare(&out), "status")
		log := slog.New(counted)
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, out.take(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		refuse := func(n, status int) {
			for i := range n {
				log.Info("refused", "status", status, "n", i)
			}
		}
		refuse(1000, 401)
		refuse(1, 404)
		log.With("from", "x").Warn("refused", "status", 401)
		expect("level=INFO msg=refused status=401 n=0", "level=INFO msg=refused status=404 n=0", "level=WARN msg=refused from=x status=401")
		<-time.After(999 * time.Millisecond)
		expect()
		<-time.After(time.Millisecond)
		expect(`level=INFO msg="refused ... and 998 more like it" status=401 n=999`)
		refuse(1, 401)
		<-time.After(time.Second)
		expect("level=INFO msg=refused status=401 n=0")
		<-time.After(time.Second) // an idle second: the next record is the first again
		expect()
		refuse(1, 401)
		expect("level=INFO msg=refused status=401 n=0")
		refuse(7, 401)
		if err := counted.Close(t.Context()); err != nil {
			t.Error(err)
		}
		expect(`level=INFO msg="refused ... and 6 more like it" status=401 n=6`)
		refuse(2, 401)
		expect("level=INFO msg=refused status=401 n=0", "level=INFO msg=refused status=401 n=1")
	})
}

// TestKindsAreBounded checks that unlimited kinds use limited memory and lines.
func TestKindsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		counted := telemetry.NewCounted(bare(&out), "kind")
		log := slog.New(counted)
		for i := range 100_000 {
			log.Info("refused", "kind", fmt.Sprint(i))
		}
		if n := len(out.take()); n > 101 {
			t.Errorf("%d lines at once", n)
		}
		<-time.After(time.Second)
		synctest.Wait()
		got := out.take()
		if len(got) != 1 || !strings.Contains(got[0], "... and 99898 more of other kinds") {
			t.Errorf("after a second: %q", got)
		}
		<-time.After(time.Second)
		synctest.Wait()
		log.Info("refused", "kind", "0")
		if got := out.take(); len(got) != 1 || strings.Contains(got[0], "more") {
			t.Errorf("kinds that are over are not forgotten: %q", got)
		}
		if err := counted.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestCountedIsSafeAndTellsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		counted := telemetry.NewCounted(failing{bare(io.Discard), full})
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 100 {
					slog.New(counted.WithGroup("g")).Info("x", "a", 1)
				}
			})
		}
		all.Wait()
		if err := counted.Close(t.Context()); !errors.Is(err, full) {
			t.Errorf("got %v, want %v", err, full)
		}
	})
}

type failing struct {
	slog.Handler
	err error
}

func (f failing) Handle(context.Context, slog.Record) error { return f.err }
func (f failing) WithGroup(name string) slog.Handler {
	return failing{f.Handler.WithGroup(name), f.err}
}

// TestFieldsAreCut checks that lines stay short whatever fields contain, and say what
// is missing; only a stack may be longer.
func TestFieldsAreCut(t *testing.T) {
	long := map[string]string{
		"letters": strings.Repeat("x", 1<<20), "odd bytes": strings.Repeat("\xff", 1<<20), "characters": strings.Repeat("日", 1<<18),
		"hidden": strings.Repeat("\u202e", 1<<18), "tags": strings.Repeat("\U000e0041", 1<<18), "quotes": strings.Repeat(`"`, 1<<20),
	}
	for _, form := range []telemetry.Format{telemetry.Text, telemetry.JSON} {
		for name, text := range long {
			for what, log := range map[string]func(*slog.Logger){
				"text":      func(l *slog.Logger) { l.Info("m", "path", text) },
				"error":     func(l *slog.Logger) { l.Info("m", "error", fmt.Errorf("refused: %s", text)) },
				"texts":     func(l *slog.Logger) { l.Info("m", "roles", []string{text}) },
				"struct":    func(l *slog.Logger) { l.Info("m", "caller", struct{ Name string }{text}) },
				"group":     func(l *slog.Logger) { l.Info("m", slog.Group("caller", "name", text)) },
				"message":   func(l *slog.Logger) { l.Info(text) }, //nolint:sloglint // The message is the attack.
				"attribute": func(l *slog.Logger) { l.With("path", text).Info("m") },
				"a name":    func(l *slog.Logger) { l.Info("m", text, 1) },
			} {
				var out bytes.Buffer
				log(slog.New(telemetry.NewHandler(&out, form)))
				// The worst case is twelve bytes of output for four of input: a
				// surrogate pair.
				if n := out.Len(); n > 200+6*1024 {
					t.Errorf("%s of %s as %s: %d bytes of log", what, name, form, n)
				}
				if !strings.Contains(out.String(), " bytes more)") {
					t.Errorf("%s of %s as %s does not say that it is cut: %.100s", what, name, form, out.String())
				}
			}
		}
	}
	var out bytes.Buffer
	slog.New(telemetry.NewHandler(&out, telemetry.Text)).Error("m", telemetry.StackKey, strings.Repeat("x", 10_000), "error", errors.New(strings.Repeat("é", 600)))
	if !strings.Contains(out.String(), strings.Repeat("x", 10_000)) || !strings.Contains(out.String(), `é... (176 bytes more)`) {
		t.Errorf("%s", out.String())
	}
}
