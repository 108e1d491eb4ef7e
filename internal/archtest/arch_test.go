package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath   string
	Name         string
	Imports      []string
	GoFiles      []string
	CgoFiles     []string
	TestGoFiles  []string
	XTestGoFiles []string
	Dir          string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Imports,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,Dir", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
	}
}

const (
	root   = "../.."
	module = "stoker/"
)

// allowed says which of our packages each of ours may import. A trailing /...
// means the package and those below it. What is not listed is in nobody's way
// (app, cli, cmd, tests) and may import all.
func allowed() map[string][]string {
	return map[string][]string{
		"internal/cinder":            {},
		"internal/failpoint":         {},
		"internal/telemetry":         {"internal/cinder", "internal/printable"},
		"internal/control":           {"internal/cinder", "internal/control/evidence", "internal/control/lifecycle", "internal/failpoint"},
		"internal/control/evidence":  {"internal/cinder"},
		"internal/control/lifecycle": {"internal/cinder"},
		"internal/api":               {"internal/cinder", "internal/control", "internal/api/..."},
		"internal/api/contract":      {"internal/api"},
		"internal/api/microversion":  {"internal/cinder"},
		"internal/api/schema":        {"internal/cinder"},
		"internal/agent":             {"internal/cinder", "internal/control", "internal/backend", "internal/telemetry", "internal/agent/..."},
		"internal/backend":           {"internal/cinder"},
		"internal/backend/mirror":    {"internal/cinder", "internal/backend"},
		"internal/dsn":               {"internal/cinder"},
		"internal/store":             {"internal/cinder", "internal/dsn", "internal/store/..."},
		"internal/store/storetest":   {"internal/cinder", "internal/store"},
		"internal/oslo":              {"internal/cinder", "internal/failpoint"},
		"internal/oslo/amqp":         {"internal/cinder", "internal/dsn", "internal/oslo"},
		"internal/oslo/memory":       {"internal/cinder", "internal/oslo"},
		"internal/rpc":               {"internal/cinder", "internal/oslo"},
		"internal/keystone":          {"internal/cinder"},
		"internal/policy":            {"internal/cinder"},
		"internal/osloconf":          {},
		"internal/metrics":           {"internal/cinder"},
		"internal/upstream":          {"internal/cinder"},
		"internal/config":            {"internal/cinder", "internal/dsn", "internal/osloconf"},
		"internal/client":            {"internal/cinder"},
		"internal/cli/format":        {"internal/printable"},
		"internal/printable":         {},
		"internal/archtest":          {},
		"test/cloud":                 {"test/load", "test/peers"},
		"test/load":                  {},
		"test/peers":                 {},
		"test/site":                  {"internal/cinder", "internal/dsn", "internal/oslo", "internal/oslo/amqp", "internal/rpc", "test/load", "test/peers"},
	}
}

func TestWhoMayImportWhom(t *testing.T) {
	rules := allowed()
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		may, ruled := rules[name]
		seen[name] = true
		if !ruled {
			continue
		}
		for _, imp := range p.Imports {
			dep, ours := strings.CutPrefix(imp, module)
			if ours && !slices.ContainsFunc(may, func(m string) bool {
				tree, below := strings.CutSuffix(m, "/...")
				return dep == m || below && (dep == tree || strings.HasPrefix(dep, tree+"/"))
			}) {
				t.Errorf("%s imports %s: it may import only %v", name, dep, may)
			}
		}
	}
	for name := range rules {
		if !seen[name] {
			t.Errorf("a rule speaks of %s, which does not exist", name)
		}
	}
}

// Domain and rules are free of other people's code, but for what stands here.
func TestInnerCirclesUseTheStandardLibrary(t *testing.T) {
	may := map[string][]string{
		"internal/cinder":            nil,
		"internal/control/evidence":  nil,
		"internal/control/lifecycle": nil,
		"internal/control":           {"github.com/google/uuid", "golang.org/x/sync/errgroup"},
	}
	for _, p := range packages(t) {
		extra, ruled := may[strings.TrimPrefix(p.ImportPath, module)]
		if !ruled {
			continue
		}
		for _, imp := range p.Imports {
			if strings.Contains(strings.Split(imp, "/")[0], ".") && !slices.Contains(extra, imp) {
				t.Errorf("%s imports %s: it may import only the standard library and %v", p.ImportPath, imp, extra)
			}
		}
	}
}

// SQL is in store alone, net/http's server side in api, app, metrics, upstream and dashboard
// alone, Prometheus in metrics.
func TestEveryLineKnowsItsRoom(t *testing.T) {
	rooms := map[string][]string{
		"database/sql": {"internal/store", "internal/store/storetest", "test/cloud", "test/load", "test/peers", "test/site"},
		"net/http":     {"internal/keystone", "internal/keystone/keystonetest", "internal/policy", "internal/api", "internal/api/contract", "internal/app", "internal/client", "internal/cli", "internal/metrics", "internal/upstream", "test/bench", "test/cloud", "test/load", "test/peers", "test/site"},
	}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for imp, may := range rooms {
			if slices.Contains(p.Imports, imp) && !slices.Contains(may, name) {
				t.Errorf("%s imports %s: only %v may", name, imp, may)
			}
		}
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, "github.com/prometheus/") && name != "internal/metrics" {
				t.Errorf("%s imports %s: only internal/metrics may", name, imp)
			}
		}
	}
}

func TestArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		listed[m[1]] = true
	}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if !listed[name] {
			t.Errorf("ARCHITECTURE.md has no line for %s", name)
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("ARCHITECTURE.md speaks of %s, which does not exist", name)
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" || len(p.GoFiles) == 0 {
			continue
		}
		text, err := os.ReadFile(filepath.Join(p.Dir, "doc.go"))
		if err != nil || !strings.HasPrefix(string(text), "// Package "+p.Name+" ") {
			t.Errorf("%s has no doc.go that begins with its package comment: %v", p.ImportPath, err)
		}
	}
}

// What is released does not check its own answers: that is for tests.
func TestOnlyTestsKnowTheContract(t *testing.T) {
	for _, p := range packages(t) {
		if slices.Contains(p.Imports, module+"internal/api/contract") {
			t.Errorf("%s imports internal/api/contract", p.ImportPath)
		}
	}
}

// A file that does not fit in a reader's head is two files.
func TestFilesAreShort(t *testing.T) {
	for _, p := range packages(t) {
		for _, f := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), "\n"); n > 600 {
				t.Errorf("%s/%s has %d lines, at most 600", p.ImportPath, f, n)
			}
		}
	}
}
