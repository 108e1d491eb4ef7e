package store_test

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"stoker/internal/store"
)

// plan is the query plan of a statement.
type plan struct {
	full    []string // tables that are scanned, in full or until a LIMIT stops the scan
	sorts   bool
	visited float64 // rows examined, where the engine counts them
	text    string  // in the engine's words
}

// explain returns the plan of a statement. It runs a SELECT, to count the rows
// examined, where the engine does that.
func explain(tb testing.TB, e engine, db *sql.DB, s store.Statement) plan {
	tb.Helper()
	tx, err := db.BeginTx(tb.Context(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, set := range s.Set {
		if _, err := tx.ExecContext(tb.Context(), set); err != nil {
			tb.Fatal(err)
		}
	}
	run := strings.HasPrefix(s.Text, "SELECT")
	switch {
	case e.name == "sqlite":
		return sqlitePlan(ask(tb, tx, `EXPLAIN QUERY PLAN `+s.Text, s.Args))
	case e.name == "mysql" && run:
		return mysqlPlan(ask(tb, tx, `ANALYZE `+s.Text, s.Args))
	case e.name == "mysql":
		return mysqlPlan(ask(tb, tx, `EXPLAIN `+s.Text, s.Args))
	case run:
		return postgresPlan(tb, ask(tb, tx, `EXPLAIN (ANALYZE, FORMAT JSON) `+s.Text, s.Args))
	default:
		return postgresPlan(tb, ask(tb, tx, `EXPLAIN (FORMAT JSON) `+s.Text, s.Args))
	}
}

// ask returns a result as rows, by column name.
func ask(tb testing.TB, tx *sql.Tx, question string, args []any) (found []map[string]string) {
	tb.Helper()
	rows, err := tx.QueryContext(tb.Context(), question, args...)
	if err != nil {
		tb.Fatalf("%s: %v", question, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		tb.Fatal(err)
	}
	for rows.Next() {
		cells := make([]sql.RawBytes, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			tb.Fatal(err)
		}
		row := map[string]string{}
		for i, name := range columns {
			row[name] = string(cells[i])
		}
		found = append(found, row)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return found
}

func sqlitePlan(steps []map[string]string) (p plan) {
	for _, step := range steps {
		p.text += step["detail"] + "\n"
		words := strings.Fields(step["detail"])
		p.sorts = p.sorts || strings.Contains(step["detail"], "TEMP B-TREE")
		if words[0] == "SCAN" && words[1] != "CONSTANT" {
			p.full = append(p.full, words[1])
		}
	}
	return p
}

func mysqlPlan(tables []map[string]string) (p plan) {
	each := 1.0 // rows of the tables so far
	for _, t := range tables {
		p.text += fmt.Sprintln(t)
		p.sorts = p.sorts || strings.Contains(t["Extra"], "filesort") || strings.Contains(t["Extra"], "temporary")
		if t["type"] == "ALL" || t["type"] == "index" {
			p.full = append(p.full, t["table"])
		}
		if rows, err := strconv.ParseFloat(cmp.Or(t["r_rows"], t["rows"]), 64); err == nil {
			each *= rows
			p.visited += each
		}
	}
	return p
}

func postgresPlan(tb testing.TB, answer []map[string]string) (p plan) {
	tb.Helper()
	for _, row := range answer {
		p.text += row["QUERY PLAN"]
	}
	eachObject(tb, p.text, func(object map[string]any) {
		kind, _ := object["Node Type"].(string)
		p.sorts = p.sorts || strings.Contains(kind, "Sort")
		table, ok := object["Relation Name"].(string)
		if !ok {
			return
		}
		if _, narrowed := object["Index Cond"]; !narrowed && strings.HasSuffix(kind, "Scan") && kind != "Bitmap Heap Scan" {
			p.full = append(p.full, table)
		}
		loops, _ := object["Actual Loops"].(float64)
		for _, count := range []string{"Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"} {
			rows, _ := object[count].(float64)
			p.visited += rows * loops
		}
	})
	return p
}

// eachObject calls fn for every object in a JSON text.
func eachObject(tb testing.TB, text string, fn func(map[string]any)) {
	tb.Helper()
	var whole any
	if err := json.Unmarshal([]byte(text), &whole); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			fn(v)
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(whole)
}
