package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// besideSessions lists the functions that use a connection without a session, and what
// they send.
func besideSessions() map[string]string {
	const (
		nothing    = "nothing"
		tables     = "what tables there are"
		migrations = "migrations"
		settings   = "settings of the connection"
		fleet      = "plainServices or allServices, of Cinder's services alone, and openOperations, which sessions send too"
	)
	return map[string]string{
		"DB.inTransaction":          "makes the sessions",
		"DB.connection":             nothing,
		"DB.release":                nothing,
		"DB.Close":                  nothing,
		"DB.openSQLite":             nothing,
		"DB.serve":                  tables,
		"DB.Sync":                   migrations,
		"DB.sync":                   migrations,
		"migrate":                   migrations,
		"createMissing":             migrations,
		"sqliteDialect.open":        nothing,
		"sqliteDialect.prepare":     migrations,
		"mysqlDialect.prepare":      migrations,
		"postgresDialect.prepare":   migrations,
		"mysqlSession":              settings,
		"preparedConnector.Connect": settings,
		"newFleet":                  nothing,
		"fleet.try":                 nothing,
		"newSQLiteLink":             fleet,
		"sqliteLink.read":           fleet,
		"sqliteLink.close":          nothing,
		"newServerLink":             nothing,
		"serverLink.read":           nothing,
		"serverLink.close":          nothing,
		"mysqlDialect.fetch":        fleet,
		"mysqlDialect.state":        nothing,
		"postgresDialect.fetch":     fleet,
		"postgresDialect.state":     "which transactions have ended",
	}
}

// TestEveryStatementIsWatched checks that nothing bypasses the sessions that TestPlans
// sees, except for the reasons listed above.
func TestEveryStatementIsWatched(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil || !connects(fn) {
				continue
			}
			name := fn.Name.Name
			if fn.Recv != nil {
				name = strings.TrimPrefix(typeName(fn.Recv.List[0].Type), "*") + "." + name
			}
			used[name] = true
			if besideSessions()[name] == "" {
				t.Errorf("%s has a connection that is not a session's: the plans of what it sends are looked at by no test", name)
			}
		}
	}
	for name := range besideSessions() {
		if !used[name] {
			t.Errorf("%s has no connection any more", name)
		}
	}
}

// connects reports whether a function uses a pool of connections, or one of them.
func connects(fn *ast.FuncDecl) bool {
	found := false
	ast.Inspect(fn, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch s.Sel.Name {
		case "writer", "readers", "conn", "Conn", "OpenDB", "BeginTx":
			found = true
		case "DB", "Open":
			pkg, ok := s.X.(*ast.Ident)
			found = found || ok && pkg.Name == "sql"
		}
		return true
	})
	return found
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return "*" + typeName(e.X)
	case *ast.Ident:
		return e.Name
	default:
		return ""
	}
}
