package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// process is a server that the benchmark started.
type process struct {
	cmd   *exec.Cmd
	addr  string
	first time.Duration // from start to the first answer
}

// start runs a command that prints its address on a line of its own.
func start(ctx context.Context, cmd *exec.Cmd) (*process, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	return &process{cmd: cmd, addr: line[:len(line)-1]}, nil
}

// startAPI runs `stoker api` on the database in dir and waits for its first answer.
func startAPI(ctx context.Context, binary, dir string) (*process, error) {
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "stoker.conf")
	conf := fmt.Sprintf("[DEFAULT]\nauth_strategy = noauth_include_project_id\ntransport_url = memory://\nservice_down_time = 86400\n"+
		"osapi_volume_listen = %s\nosapi_volume_listen_port = %s\n[database]\nconnection = sqlite:///%s\n", host, port, filepath.Join(dir, "stoker.db"))
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	return startServer(ctx, addr, exec.CommandContext(ctx, binary, "api", "--config-file", file))
}

// standaloneServices is how many services `stoker standalone` runs without a fleet.
const standaloneServices = 5

// startStandalone runs `stoker standalone` with n services, all of which beat.
func startStandalone(ctx context.Context, binary, dir string, n int) (*process, error) {
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	return startServer(ctx, addr, exec.CommandContext(ctx, binary, "standalone", "--dir", filepath.Join(dir, "data"),
		"--listen", addr, "--fleet", strconv.Itoa(max(0, n-standaloneServices)), "--log-level", "warn"))
}

// startServer starts a server and waits for its first answer.
func startServer(ctx context.Context, addr string, cmd *exec.Cmd) (*process, error) {
	cmd.Stderr = os.Stderr
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, addr: addr}
	for {
		_, err := fetch(ctx, addr, "3.0")
		if err == nil {
			p.first = time.Since(begun)
			return p, nil
		}
		if ctx.Err() != nil || time.Since(begun) > 10*time.Second {
			p.stop()
			return nil, fmt.Errorf("no answer from %s: %w", addr, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// freeAddress is a loopback address nobody listens on at the moment.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// resident is the most memory the process has had, in bytes; 0 where the system does not say.
func (p *process) resident() int64 { return resident(p.cmd.Process.Pid) }

func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kb, _ := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
			return kb << 10
		}
	}
	return 0
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	done := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer done.Stop()
	_ = p.cmd.Wait()
}
