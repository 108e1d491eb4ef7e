package failpoint_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"stoker/internal/failpoint"
)

// TestAReleasedProgramHasNone checks that a released program contains no failpoints.
func TestAReleasedProgramHasNone(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN: it builds the program")
	}
	program := filepath.Join(t.TempDir(), "stoker")
	build := exec.CommandContext(t.Context(), "go", "build", "-race", "-o", program, "stoker/cmd/stoker") // built as by other tests, so that it is cached
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("stoker/internal/control")) {
		t.Fatal("the program's names are not to be found in it at all")
	}
	if bytes.Contains(text, []byte("STOKER_FAILPOINTS")) {
		t.Error("it reads STOKER_FAILPOINTS")
	}
	for _, p := range failpoint.Points() {
		if bytes.Contains(text, []byte(p)) {
			t.Errorf("it knows %s", p)
		}
	}
}

// TestPointsAreAll checks that Points is complete and that names are unique.
func TestPointsAreAll(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "points.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[failpoint.Point]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			for _, value := range v.Values {
				if text, ok := value.(*ast.BasicLit); ok {
					name, err := strconv.Unquote(text.Value)
					if err != nil || declared[failpoint.Point(name)] {
						t.Errorf("%s is there twice, or no name: %v", text.Value, err)
					}
					declared[failpoint.Point(name)] = true
				}
			}
		}
		return true
	})
	for _, p := range failpoint.Points() {
		if !declared[p] {
			t.Errorf("%s is there twice, or not declared", p)
		}
		delete(declared, p)
	}
	if len(declared) > 0 {
		t.Errorf("left out: %v", declared)
	}
}
