package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Every test that doc/guarantees.md names is there.
func TestGuaranteesNameTests(t *testing.T) {
	tests := sources(t, "internal") + sources(t, "test")
	named := names(guarantees(t))
	if len(named) < 30 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, name := range named {
		if !strings.Contains(tests, "func "+name+"(t *testing.T)") {
			t.Errorf("there is no test %s", name)
		}
	}
}

// Each of Cinder's defects has its row in doc/guarantees.md, which names tests in
// process and, last, tests of test/defects, all of which are named.
func TestEveryDefectIsTried(t *testing.T) {
	tests := sources(t, "test/defects")
	rows := regexp.MustCompile(`(?m)^\| (\d+) \|.*\| ([^|]*) \| ([^|]*) \|$`).FindAllStringSubmatch(guarantees(t), -1)
	if want := defects(t); len(rows) != want {
		t.Errorf("%d rows have a number, want %d", len(rows), want)
	}
	tried := map[string]bool{}
	for i, row := range rows {
		if row[1] != strconv.Itoa(i+1) || len(names(row[2])) == 0 || len(names(row[3])) == 0 {
			t.Errorf("row %d is %q: it needs its number, tests in process, and tests over Python services", i+1, row[0])
		}
		for _, name := range names(row[3]) {
			tried[name] = true
			if !strings.Contains(tests, "func "+name+"(t *testing.T)") {
				t.Errorf("row %d: there is no test %s in test/defects", i+1, name)
			}
		}
	}
	for _, test := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(tests, -1) {
		if !tried[test[1]] {
			t.Errorf("%s of test/defects is in no row", test[1])
		}
	}
}

// defects is how many defects doc/cinder/behaviour.md#defects lists: by number,
// each marked once where the page tells of it.
func defects(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "doc/cinder/behaviour.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| D(\d+) \|`).FindAllStringSubmatch(string(text), -1)
	for i, row := range rows {
		if row[1] != strconv.Itoa(i+1) || strings.Count(string(text), "**D"+row[1]+"**") != 1 {
			t.Errorf("defect %d of the list is D%s: it needs its number, and one mark in the text", i+1, row[1])
		}
	}
	return len(rows)
}

func guarantees(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "doc/guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// names are the tests that a text names.
func names(text string) []string {
	var found []string
	for _, m := range regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

// sources are the tests below a directory, as one text.
func sources(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		all.Write(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
