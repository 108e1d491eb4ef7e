package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every line of the table of attacks is a test, by name.
func TestAttacksHaveTests(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "doc", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	names := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, p := range packages(t) {
		files, err := filepath.Glob(filepath.Join(p.Dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range names.FindAllStringSubmatch(string(text), -1) {
				there[m[1]] = true
			}
		}
	}
	lines := 0
	for line := range strings.SplitSeq(string(page), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| attack") || strings.HasPrefix(line, "| **") {
			continue
		}
		lines++
		tests := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(cells[3], -1)
		if len(tests) == 0 {
			t.Errorf("no test for%s", cells[1])
		}
		for _, m := range tests {
			if !there[m[1]] {
				t.Errorf("%s, which is to try%s, does not exist", m[1], cells[1])
			}
		}
	}
	if lines < 30 {
		t.Errorf("%d lines in the table only", lines)
	}
}
