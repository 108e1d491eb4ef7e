package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// No file and no directory is made that every user of the machine may look into.
// What SQLite makes is test/e2e's to look at.
func TestFilesAreClosedToOthers(t *testing.T) {
	// Which argument of a function is the permissions.
	permissions := map[string]int{"OpenFile": 2, "WriteFile": 2, "Mkdir": 1, "MkdirAll": 1, "Chmod": 1, "Create": -1}
	made := 0
	for _, p := range packages(t) {
		if strings.HasPrefix(p.ImportPath, module+"test/") {
			continue // which runs engines as other users
		}
		for _, name := range p.GoFiles {
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				f, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				at, makes := permissions[f.Sel.Name]
				if pkg, ok := f.X.(*ast.Ident); !ok || pkg.Name != "os" || !makes {
					return true
				}
				made++
				where := files.Position(call.Pos())
				if at < 0 {
					t.Errorf("%s: os.%s lets everybody read the file: say who may, with os.OpenFile", where, f.Sel.Name)
					return true
				}
				mode, ok := call.Args[at].(*ast.BasicLit)
				if !ok {
					return true // computed: its own tests look at it
				}
				if bits, err := strconv.ParseUint(mode.Value, 0, 32); err != nil || bits&0o007 != 0 {
					t.Errorf("%s: os.%s with mode %s lets every user of the machine in", where, f.Sel.Name, mode.Value)
				}
				return true
			})
		}
	}
	if made == 0 {
		t.Error("no call that makes a file was found")
	}
}
