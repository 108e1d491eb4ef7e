package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// command is a program to start.
type command struct {
	in   Release
	name string   // of its log file
	path string   // the program
	args []string // without the name
	env  []string // added to the environment, which is otherwise PATH and LANG
	dir  string   // where it runs and logs
	as   *syscall.Credential
	quit syscall.Signal // what ends it well; SIGTERM when zero
}

// process is a running program and everything it has started: a process group.
type process struct {
	command
	pid     int
	guard   io.WriteCloser // to its guardian
	guardID int

	mu    sync.Mutex
	ended bool // guarded by mu; and reaped
}

// guard waits for a word, and for want of it kills a process group and removes
// its directory.
const guard = `read -r _ || { kill -s KILL -- "-$0"; rm -rf -- "$1"; }`

// start runs a program in a process group of its own, together with a
// guardian: a shell that waits on a pipe from this process and tidies up when
// the pipe ends without a word, as it does when a test process is killed.
// (PR_SET_PDEATHSIG would reach the program alone and not what it starts, and
// fires when a thread ends.)
func start(c command) (*process, error) {
	log, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := c.prepared(context.Background())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{command: c, pid: cmd.Process.Pid}
	guardian := exec.CommandContext(context.Background(), "/bin/sh", "-c", guard, strconv.Itoa(p.pid), c.dir)
	guardian.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.guard, err = guardian.StdinPipe(); err == nil {
		err = guardian.Start()
	}
	if err != nil {
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		return nil, errors.Join(err, cmd.Wait())
	}
	p.guardID = guardian.Process.Pid
	// From here on the two are known by their numbers: see exited.
	return p, errors.Join(cmd.Process.Release(), guardian.Process.Release())
}

// prepared is the program with its environment, ready to be started.
func (c command) prepared(ctx context.Context) *exec.Cmd {
	cmd := c.in.command(ctx, c.dir, c.as, c.path, c.args)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin", "LANG=C.UTF-8", "HOME=" + c.dir}, c.env...)
	return cmd
}

func (c command) log() string { return filepath.Join(c.dir, c.name+".log") }

// said returns the last lines that it has logged.
func (c command) said() string {
	text, err := os.ReadFile(c.log())
	if err != nil {
		return err.Error()
	}
	return last(text)
}

// last are the last lines of a log.
func last(text []byte) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-30):], []byte("\n")))
}

// exited reports whether the program has ended. It takes no goroutine that
// waits, which a test that counts goroutines would find.
func (p *process) exited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(p.pid, &status, syscall.WNOHANG, nil)
		p.ended = pid == p.pid || errors.Is(err, syscall.ECHILD)
	}
	return p.ended
}

// Halt stops a process (SIGSTOP) and returns when all of its threads have
// stopped, which they do one after the other. SIGCONT lets it go on.
func Halt(tb testing.TB, pid int) {
	tb.Helper()
	err := syscall.Kill(pid, syscall.SIGSTOP)
	if err == nil {
		err = await(endWithin, "it is stopped", func() bool { return stopped(pid) })
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// stopped reports whether every thread of a process is stopped.
func stopped(pid int) bool {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*/stat", pid))
	for _, path := range stats {
		text, lost := os.ReadFile(path)
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if lost != nil || len(fields) == 0 || fields[0] != "T" {
			return false
		}
	}
	return err == nil && len(stats) > 0
}

// signal sends a signal to the program and all that it has started.
func (p *process) signal(s syscall.Signal) error {
	if p.exited() {
		return fmt.Errorf("%s has ended", p.name)
	}
	return syscall.Kill(-p.pid, s)
}

// stop ends it well, and kills it when that takes too long, which is an error.
func (p *process) stop() error {
	quit := p.quit
	if quit == 0 {
		quit = syscall.SIGTERM
	}
	_ = syscall.Kill(p.pid, quit)
	_ = syscall.Kill(-p.pid, syscall.SIGCONT)
	err := await(endWithin, p.name+" ends", p.exited)
	return errors.Join(err, p.kill())
}

// kill ends it, and all that it has started, as a power cut does, and returns
// when nothing of it is left.
func (p *process) kill() error {
	if p.guard == nil {
		return nil
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	err := await(endWithin, p.name+" is gone", func() bool { return p.exited() && !groupLives(p.pid) })
	_, told := io.WriteString(p.guard, "done\n")
	err = errors.Join(err, told, p.guard.Close())
	p.guard = nil
	_, reaped := syscall.Wait4(p.guardID, nil, 0, nil)
	return errors.Join(err, reaped)
}

// groupLives reports whether a process group has a member that is no zombie.
func groupLives(group int) bool {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return false
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		// pid (name) state ppid pgrp: a name may hold anything.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) > 2 && fields[2] == strconv.Itoa(group) && fields[0] != "Z" && fields[0] != "X" {
			return true
		}
	}
	return false
}

// run runs a program to its end.
func run(c command) error {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	cmd := c.prepared(ctx)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", c.name, err, out)
	}
	return nil
}

// await waits until something is so, and says what was not when it takes too long.
func await(within time.Duration, what string, so func() bool) error {
	end := time.NewTimer(within)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-end.C:
			return fmt.Errorf("in %v it did not come to pass that %s", within, what)
		case <-tick.C:
		}
	}
	return nil
}
