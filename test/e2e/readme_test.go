package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// step is a command of the README's tour and the first line it prints there.
type step struct {
	command string
	prints  string
}

// tour reads the commands between the README's marks.
func tour(t *testing.T) []step {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- tour -->")
	rest, _, ok := strings.Cut(rest, "<!-- /tour -->")
	if !ok {
		t.Fatal("README.md has no tour between its marks")
	}
	var steps []step
	for line := range strings.Lines(rest) {
		line, code := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case !code:
		case isCommand:
			command, _, _ = strings.Cut(command, "      #")
			steps = append(steps, step{command: command})
		case len(steps) > 0 && steps[len(steps)-1].prints == "" && line != "":
			steps[len(steps)-1].prints = line
		}
	}
	return steps
}

// The README's tour works as it is printed: every command of ours, in its order,
// on a fresh system. A line that begins with "stoker:" is a failure that the
// tour means to show.
func TestTheTourOfTheReadme(t *testing.T) {
	p := start(t, "standalone", "--dir", t.TempDir(), "--listen", "127.0.0.1:0")
	ran := 0
	for _, s := range tour(t) {
		args, ours := strings.CutPrefix(s.command, "bin/stoker ")
		curl := strings.HasPrefix(s.command, "curl ")
		if !ours && !curl || strings.HasPrefix(args, "standalone") {
			continue // to build and to start it, and clients that may not be installed
		}
		ran++
		command := strings.ReplaceAll(s.command, "http://127.0.0.1:8776", p.url)
		cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "bin/stoker", built.Program(t), 1))
		if curl {
			if _, err := exec.LookPath("curl"); err != nil {
				continue
			}
		}
		cmd.Env = append(os.Environ(), "STOKER_ENDPOINT="+p.url+"/v3")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		switch {
		case strings.HasPrefix(s.prints, "stoker: "):
			if err == nil || strings.TrimSpace(errs.String()) != s.prints {
				t.Errorf("%s: %v\n%s\nthe README has\n%s", s.command, err, errs.String(), s.prints)
			}
		case err != nil:
			t.Errorf("%s: %v\n%s%s", s.command, err, out.String(), errs.String())
		case s.prints != "" && !strings.HasPrefix(out.String(), s.prints[:10]):
			t.Errorf("%s prints\n%s\nthe README has\n%s", s.command, out.String(), s.prints)
		}
	}
	if ran < 12 {
		t.Errorf("only %d commands of the tour were run", ran)
	}
}
