package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Program returns the path of the program under test, built with the race
// detector, with the check of its answers (-tags answers), and with further flags
// of `go build`. It is built once for each set of flags, and removed with the
// engines; that fails when one of its processes gave an answer that openapi.yaml
// does not allow.
func (s *Shared) Program(tb testing.TB, flags ...string) string {
	tb.Helper()
	s = s.whole()
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
	answers := filepath.Join(dir, "answers")
	s.mu.Lock()
	s.close = append(s.close, func() error { return errors.Join(broken(answers), os.RemoveAll(dir)) })
	s.mu.Unlock()
	if err := os.Mkdir(answers, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "stoker")
	args := []string{"build", "-race", "-o", path, "-ldflags=-X stoker/internal/app.answersDir=" + answers}
	args = append(append(args, tagged(flags)...), "stoker/cmd/stoker")
	if out, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return path, nil
}

// tagged are flags with the tag answers among those that they name.
func tagged(flags []string) []string {
	tags, others := "-tags=answers", []string{}
	for _, f := range flags {
		if more, ok := strings.CutPrefix(f, "-tags="); ok {
			tags += "," + more
		} else {
			others = append(others, f)
		}
	}
	return append(others, tags)
}

// broken is what programs have left in a directory, the first few at length.
func broken(dir string) error {
	left, err := os.ReadDir(dir)
	if err != nil || len(left) == 0 {
		return err
	}
	found := fmt.Errorf("%d answers are not what openapi.yaml says", len(left))
	for _, f := range left[:min(len(left), shownAnswers)] {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		found = errors.Join(found, err, errors.New(string(text)))
	}
	return found
}

// shownAnswers is how many wrong answers are shown: they are mostly alike.
const shownAnswers = 5
