package cli_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"stoker/internal/cli"
)

// asProcess is the program that the tests below start: stoker with a standalone
// that stops when it is told, or with --fleet 1 takes no notice.
func asProcess() int {
	return cli.Main(cli.Process{Args: os.Args[1:], Env: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Version: "v0"}, cli.Deps{
		Standalone: func(ctx context.Context, o cli.StandaloneOptions) error {
			if err := block(ctx, o.Out); err != nil || o.Fleet == 0 {
				return err
			}
			select {} // hangs while it stops
		},
	})
}

// process is the program, running.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	out *bufio.Scanner

	errs strings.Builder // complete when it has ended
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	p := &process{t: t, cmd: exec.CommandContext(ctx, exe, args...)}
	p.cmd.Env = append(os.Environ(), "STOKER_TEST_MAIN=1", "HOME=/nowhere", "GOCOVERDIR="+t.TempDir())
	p.cmd.Stderr = &p.errs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// says waits for a line.
func (p *process) says(want string) {
	p.t.Helper()
	if !p.out.Scan() || p.out.Text() != want {
		p.t.Fatalf("it says %q, want %q", p.out.Text(), want)
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ended is how it ended: "exit status 0", or by which signal.
func (p *process) ended() string {
	err := p.cmd.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.String()
	}
	return fmt.Sprint(err)
}

func TestSignals(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			p := start(t, "standalone")
			p.says("runs")
			p.signal(s)
			p.says("stops")
			if got, want := p.ended(), "<nil>"; got != want {
				t.Errorf("ended with %s, want %s", got, want)
			}
		})
		t.Run(s.String()+" twice", func(t *testing.T) {
			p := start(t, "standalone", "--fleet", "1")
			p.says("runs")
			p.signal(s)
			p.says("stops")
			// It takes the process a moment to give the second its default action.
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			ended := make(chan string, 1)
			go func() { ended <- p.ended() }()
			got := ""
			for got == "" {
				select {
				case got = <-ended:
				case <-tick.C:
					_ = p.cmd.Process.Signal(s)
				}
			}
			if want := "signal: " + s.String(); got != want {
				t.Errorf("ended with %s, want %s", got, want)
			}
		})
	}
}

func TestUsageErrorsEndWithTwo(t *testing.T) {
	p := start(t, "standalone", "--fleet=-1")
	if got := p.ended(); got != "exit status 2" || !strings.HasPrefix(p.errs.String(), "stoker: --fleet must be from 0 to 100000\n") {
		t.Errorf("ended with %s, %s", got, p.errs.String())
	}
}
