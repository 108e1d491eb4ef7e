package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Program returns the path of the program under test, built with the race
// detector and with further flags of `go build`, such as "-tags=x". It is built
// once for each set of flags, and removed with the engines.
func (s *Shared) Program(tb testing.TB, flags ...string) string {
	tb.Helper()
	s.mu.Lock()
	key := strings.Join(flags, " ")
	if s.programs == nil {
		s.programs = map[string]*once[string]{}
	}
	if s.programs[key] == nil {
		s.programs[key] = &once[string]{}
	}
	o := s.programs[key]
	s.mu.Unlock()
	o.Do(func() { o.peer, o.err = s.build(flags) })
	if o.err != nil {
		tb.Fatal(o.err)
	}
	return o.peer
}

func (s *Shared) build(flags []string) (string, error) {
	dir, err := os.MkdirTemp("", "stoker-program-")
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.close = append(s.close, func() error { return os.RemoveAll(dir) })
	s.mu.Unlock()
	path := filepath.Join(dir, "stoker")
	args := append(append([]string{"build", "-race", "-o", path}, flags...), "stoker/cmd/stoker")
	if out, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return path, nil
}
