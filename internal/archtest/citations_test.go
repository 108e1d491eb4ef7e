package archtest

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// What a comment or a page cites is there: pages and their sections, recorded
// cases by name, recorded messages, tests.
func TestCitationsResolve(t *testing.T) {
	known := library(t)
	found := 0
	for _, path := range known.files {
		for _, text := range texts(t, path) {
			n, faults := known.check(path, text)
			found += n
			for _, fault := range faults {
				t.Errorf("%s: %s", path, fault)
			}
		}
	}
	if found < 300 {
		t.Errorf("only %d citations were found", found)
	}
}

func TestMadeUpCitationsAreFound(t *testing.T) {
	known := library(t)
	for _, tc := range []struct {
		name, path, text, want string
	}{
		{"a section", "internal/oslo/x.go", "A reply (doc/cinder/wire.md#replies).", ""},
		{"no such section", "internal/oslo/x.go", "A reply (doc/cinder/wire.md#answers).", "doc/cinder/wire.md has no section #answers"},
		{"no such page", "internal/oslo/x.go", "A reply (WIRE.md, section 4).", "there is no WIRE.md"},
		{"no such page below doc", "README.md", "[the bus](doc/cinder/bus.md)", "there is no doc/cinder/bus.md"},
		{"a link to a section of the same page", "doc/cinder/wire.md", "[where](#queues)", ""},
		{"a link to no section of the same page", "doc/cinder/wire.md", "[where](#canals)", "doc/cinder/wire.md has no section #canals"},
		{"a link to a section above", "doc/cinder/wire.md", "[what](../guarantees.md#what-else-is-tried)", ""},
		{"a case", "internal/api/x.go", "(services.json, freeze/both@3.26)", ""},
		{"cases", "internal/api/x.go", "(services.json, freeze/both@3.26, freeze/nought@3.26)", `services.json has no case "freeze/nought@3.26"`},
		{"no such case", "doc/cinder/behaviour.md", "`live.json, healthy/freeze-omega`", `live.json has no case "healthy/freeze-omega"`},
		{"a case that is cut short", "internal/api/x.go", "(auth.json, headers/service-token)", `auth.json has no case "headers/service-token"`},
		{"cases that begin alike", "internal/api/x.go", "(auth.json, headers/service-token-*)", ""},
		{"none begins so", "internal/api/x.go", "(auth.json, headers/servant-*)", `auth.json has no case "headers/servant-*"`},
		{"on two lines", "doc/cinder/behaviour.md", "`live.json,\nhealthy/freeze-omega`", `live.json has no case "healthy/freeze-omega"`},
		{"two files", "internal/api/x.go", "(services.json, freeze/nope@3.70; live.json, healthy/thaw-omega)", `live.json has no case "healthy/thaw-omega"`},
		{"not ours", "internal/api/x.go", "GET /v3/os-services.json, and so on", ""},
		{"no such message", "doc/cinder/wire.md", "`wire/melt_host-volume-call.json`", "there is no recorded message wire/melt_host-volume-call.json"},
		{"no such test", "doc/cinder/wire.md", "Held by `TestThatNobodyWrote`.", "there is no test TestThatNobodyWrote"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, faults := known.check(tc.path, tc.text); strings.Join(faults, "; ") != tc.want {
				t.Errorf("got %q, want %q", faults, tc.want)
			}
		})
	}
}

// The page that follows an operation through the code names what is there.
func TestAnOperationLivesInTheCode(t *testing.T) {
	const page = "doc/how-an-operation-lives.md"
	there, told := map[string]bool{}, regexp.MustCompile(`^internal/(control|cinder)/`)
	for _, path := range library(t).files {
		if !told.MatchString(path) || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			continue
		}
		there[filepath.Base(path)] = true
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				there[n.Name] = true
			case *ast.BasicLit:
				there[strings.Trim(n.Value, "\"")] = true
			}
			return true
		})
	}
	named := regexp.MustCompile("`([A-Za-z-]+(?:\\.go)?)`").FindAllStringSubmatch(texts(t, page)[0], -1)
	if len(named) < 40 {
		t.Errorf("%s names only %d things", page, len(named))
	}
	for _, m := range named {
		if !there[m[1]] {
			t.Errorf("%s names %s, which is not in the code", page, m[1])
		}
	}
}

// shelf is what can be cited.
type shelf struct {
	files    []string            // all there are, from the root
	sections map[string][]string // of pages
	cases    map[string][]string // of recorded files
	tests    string              // the sources of all tests
}

func library(t *testing.T) shelf {
	t.Helper()
	s := shelf{sections: map[string][]string{}, tests: sources(t, "internal") + sources(t, "test"), cases: map[string][]string{
		"services.json": caseNames(t, "internal/api/testdata/services.json"),
		"auth.json":     caseNames(t, "internal/api/testdata/auth.json"),
		"live.json":     caseNames(t, "doc/cinder/live.json"),
	}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return filepath.SkipDir
		case d.Type().IsRegular():
			s.files = append(s.files, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range s.files {
		if filepath.Ext(name) == ".md" {
			s.sections[name] = anchors(texts(t, name)[0])
		}
	}
	return s
}

var (
	links    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	pages    = regexp.MustCompile(`[\w./-]*\w\.md\b(#[\w-]+)?`)
	recorded = regexp.MustCompile("(?:^|[^\\w/.-])((?:services|auth|live)\\.json), ([^`)]+)")
	messages = regexp.MustCompile(`\bwire/[\w-]+\.json`)
)

// check counts what a text of the file path cites, and says what of it is not there.
func (s shelf) check(path, text string) (found int, faults []string) {
	look := func(ok bool, format string, args ...any) {
		found++
		if !ok {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	cited := func(target string) {
		page, section, some := strings.Cut(target, "#")
		page = s.find(path, page)
		look(page != "", "there is no %s", target)
		if page != "" && some && filepath.Ext(page) == ".md" {
			look(slices.Contains(s.sections[page], section), "%s has no section #%s", page, section)
		}
	}
	text = strings.Join(strings.Fields(text), " ") // a line ends anywhere
	if filepath.Ext(path) == ".md" {
		for _, m := range links.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], ":") {
				cited(m[1])
			}
		}
		text = links.ReplaceAllString(text, "")
	}
	for _, target := range pages.FindAllString(text, -1) {
		cited(target)
	}
	for _, m := range recorded.FindAllStringSubmatch(text, -1) {
		for part := range strings.SplitSeq(m[1]+", "+m[2], "; ") {
			file, names, _ := strings.Cut(part, ", ")
			for name := range strings.SplitSeq(names, ", ") {
				look(holds(s.cases[file], name), "%s has no case %q", file, name)
			}
		}
	}
	for _, name := range messages.FindAllString(text, -1) {
		look(slices.Contains(s.files, "internal/oslo/testdata/"+name), "there is no recorded message %s", name)
	}
	if strings.HasPrefix(path, "doc/") {
		for _, name := range names(text) {
			look(strings.Contains(s.tests, "func "+name+"(t *testing.T)"), "there is no test %s", name)
		}
	}
	return found, faults
}

// find is the file that a path in the file from means: beside it, or from the
// root; "" when there is none. An empty path is the file itself.
func (s shelf) find(from, path string) string {
	if path == "" {
		return from
	}
	for _, dir := range []string{filepath.Dir(from), "."} {
		name := filepath.ToSlash(filepath.Join(dir, path))
		if slices.Contains(s.files, name) {
			return name
		}
		below := func(file string) bool { return strings.HasPrefix(file, name+"/") }
		if slices.ContainsFunc(s.files, below) {
			return name
		}
	}
	return ""
}

// holds says whether there is a case of that name or, when it ends in *, one that
// begins so.
func holds(cases []string, name string) bool {
	start, several := strings.CutSuffix(name, "*")
	return slices.ContainsFunc(cases, func(c string) bool { return c == name || several && strings.HasPrefix(c, start) })
}

// texts are the texts of a file that may cite: a page, or the comments of a
// program; none of other files.
func texts(t *testing.T, path string) []string {
	t.Helper()
	name := filepath.Join(root, path)
	switch filepath.Ext(path) {
	case ".md":
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return []string{string(text)}
	case ".go":
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, group := range file.Comments {
			found = append(found, group.Text())
		}
		return found
	}
	return nil
}

// anchors are the sections of a page, as links name them.
func anchors(page string) []string {
	var found []string
	for _, m := range regexp.MustCompile(`(?m)^#{1,6} (.*)$`).FindAllStringSubmatch(page, -1) {
		found = append(found, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return found
}

// caseNames are the names of recorded cases: a list of them, or of groups.
func caseNames(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	type one struct{ Name string }
	var all []struct {
		one
		Cases []one
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, c := range all {
		for _, one := range append(c.Cases, c.one) {
			found = append(found, one.Name)
		}
	}
	return found
}
