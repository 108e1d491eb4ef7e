package store_test

import (
	"database/sql"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/test/peers"
)

var update = flag.Bool("update", false, "rewrite testdata/cinder_schema_*.txt from what an installed cinder-manage makes")

// TestSchemaIsCinders compares the schema that Sync creates with the one that Cinder
// 21.3.1's migrations create, as recorded by TestRecordedSchemaIsCinders.
func TestSchemaIsCinders(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			url := e.create(t)
			prepare(t, url)
			want, err := os.ReadFile(schemaFile(e))
			if err != nil {
				t.Fatal(err)
			}
			db := e.raw(t, url)
			if diff := cmp.Diff(string(want), e.schema(t, db)); diff != "" {
				t.Errorf("(-Cinder's +ours):\n%s", diff)
			}
			sentinel := lines(t, db, `SELECT CONCAT(resource_type, ' ', resource_id, ' ', status, ' ', updated_at) FROM workers`)
			if diff := cmp.Diff([]string{"SENTINEL SUB-SECOND OK 2000-01-01 00:00:00.000123"}, sentinel); diff != "" {
				t.Errorf("the row by which Cinder's services know that fractions are kept (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRecordedSchemaIsCinders has a real Cinder create its schema, where one is
// installed.
func TestRecordedSchemaIsCinders(t *testing.T) {
	peers.Need(t, "Cinder", "cinder-manage")
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			url := e.create(t)
			cinderManage(t, url)
			got := e.schema(t, e.raw(t, url))
			if *update {
				write(t, schemaFile(e), got)
			}
			want, err := os.ReadFile(schemaFile(e))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("recorded and installed (-recorded +installed):\n%s", diff)
			}
		})
	}
}

func schemaFile(e engine) string {
	return filepath.Join("testdata", "cinder_schema_"+e.name+".txt")
}

// cinderManage runs Cinder's own migrations.
func cinderManage(tb testing.TB, url string) {
	tb.Helper()
	folder := tb.TempDir()
	conf := filepath.Join(folder, "cinder.conf")
	write(tb, conf, fmt.Sprintf("[DEFAULT]\nstate_path = %[1]s\nlog_dir = %[1]s\n[database]\nconnection = %[2]s\n[oslo_concurrency]\nlock_path = %[1]s\n", folder, url))
	if out, err := exec.CommandContext(tb.Context(), "cinder-manage", "--config-file", conf, "db", "sync").CombinedOutput(); err != nil {
		tb.Fatalf("cinder-manage: %v\n%s", err, out)
	}
}

// schema describes the tables that we create, without foreign keys to those that we do
// not.
func (e engine) schema(tb testing.TB, db *sql.DB) string {
	tb.Helper()
	elsewhere := regexp.MustCompile(`(->|REFERENCES) (consistencygroups|cgsnapshots|group_snapshots)\(`)
	var text strings.Builder
	for _, table := range []string{"services", "clusters", "workers", "groups", "volumes", "snapshots"} {
		text.WriteString(table + "\n")
		for _, question := range e.describe {
			for _, line := range lines(tb, db, question, table) {
				if !elsewhere.MatchString(line) {
					text.WriteString("  " + line + "\n")
				}
			}
		}
	}
	return text.String()
}

func describeSQLite() []string {
	return []string{
		`SELECT 'column ' || name || ' ' || type || iif("notnull", ' NOT NULL', '') || coalesce(' DEFAULT ' || dflt_value, '') || iif(pk, ' PRIMARY KEY', '')
			FROM pragma_table_info(?) ORDER BY cid`,
		`SELECT 'index ' || iif(origin = 'c', name || ' ', '') || '(' || (SELECT group_concat(name, ', ') FROM pragma_index_info(l.name)) || ')' || iif("unique", ' UNIQUE', '')
			FROM pragma_index_list(?) l ORDER BY 1`,
		`SELECT 'foreign key (' || "from" || ') -> ' || "table" || '(' || "to" || ')' FROM pragma_foreign_key_list(?) ORDER BY 1`,
	}
}

func describeMySQL() []string {
	return []string{
		`SELECT CONCAT_WS(' ', 'column', column_name, column_type, IF(is_nullable = 'NO', 'NOT NULL', NULL), CONCAT('DEFAULT ', column_default),
				NULLIF(extra, ''), collation_name)
			FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position`,
		`SELECT CONCAT('index ', index_name, ' (', GROUP_CONCAT(column_name ORDER BY seq_in_index SEPARATOR ', '), ')', IF(MIN(non_unique), '', ' UNIQUE'), ' ', MIN(index_type))
			FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ? GROUP BY index_name ORDER BY 1`,
		`SELECT CONCAT('foreign key ', constraint_name, ' (', column_name, ') -> ', referenced_table_name, '(', referenced_column_name, ')')
			FROM information_schema.key_column_usage WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL AND table_name = ? ORDER BY 1`,
		`SELECT CONCAT_WS(' ', 'engine', engine, row_format, table_collation) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?`,
	}
}

func describePostgres() []string {
	return []string{
		`SELECT CONCAT_WS(' ', 'column', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
				'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid))
			FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
		`SELECT 'index ' || pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = $1::text::regclass ORDER BY 1`,
		`SELECT CONCAT_WS(' ', 'constraint', conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE conrelid = $1::text::regclass ORDER BY 1`,
	}
}
