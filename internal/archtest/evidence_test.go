package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// What rows prove is for package evidence to say: no other file of control decides
// anything by the columns that Cinder's services write.
func TestOnlyEvidenceJudgesRows(t *testing.T) {
	columns := map[string]bool{"Disabled": true, "DisabledReason": true, "Frozen": true, "ReplicationStatus": true, "ActiveBackendID": true}
	files, err := filepath.Glob(filepath.Join(root, "internal/control/*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			for _, e := range conditions(n) {
				if s, ok := ast.Unparen(e).(*ast.SelectorExpr); ok && columns[s.Sel.Name] {
					t.Errorf("%s: %s is judged outside of internal/control/evidence", set.Position(s.Pos()), s.Sel.Name)
				}
			}
			return true
		})
	}
}

// conditions are the expressions that a node decides by.
func conditions(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		return []ast.Expr{n.X, n.Y}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			return []ast.Expr{n.X}
		}
	case *ast.IfStmt:
		return []ast.Expr{n.Cond}
	case *ast.SwitchStmt:
		return []ast.Expr{n.Tag}
	case *ast.CaseClause:
		return n.List
	case *ast.StarExpr:
		return []ast.Expr{n.X}
	}
	return nil
}

// An operation comes to another state in settle.go alone, by the table of lifecycle:
// elsewhere one is begun as open, or recorded as ended with the help of settle.go.
func TestOnlySettleChangesStates(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "internal/control/*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "settle.go" {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if a, ok := n.(*ast.AssignStmt); ok {
				for _, left := range a.Lhs {
					if s, ok := left.(*ast.SelectorExpr); ok && (s.Sel.Name == "State" || s.Sel.Name == "SettledAt") {
						t.Errorf("%s: %s is written outside of settle.go", set.Position(s.Pos()), s.Sel.Name)
					}
				}
			}
			if kv, ok := n.(*ast.KeyValueExpr); ok {
				key, named := kv.Key.(*ast.Ident)
				value, selected := kv.Value.(*ast.SelectorExpr)
				if named && key.Name == "State" && (!selected || value.Sel.Name != "OpOpen") {
					t.Errorf("%s: an operation begins as something else than open", set.Position(kv.Pos()))
				}
			}
			return true
		})
	}
}
