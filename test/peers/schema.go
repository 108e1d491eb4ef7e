package peers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// master is the name of the database in which Cinder made its tables, and
// from which those of tests are copied.
const master = "cinder_template"

// Cinder returns SQLAlchemy's URL of a new database whose tables a real Cinder
// has made (`cinder-manage db sync`), without rows. It is dropped when the test
// ends. The first takes a while, the rest are copies.
func (d *Database) Cinder(tb testing.TB) string {
	tb.Helper()
	manage := d.in.Need(tb, "Cinder", "/usr/bin/cinder-manage")
	dump := ""
	if d.scheme == "mysql+pymysql" {
		dump = d.in.Need(tb, "MariaDB", "mariadb-dump")
	}
	d.synced.Do(func() { d.synced.err = d.sync(manage, dump) })
	if d.synced.err != nil {
		tb.Fatal(d.synced.err)
	}
	if dump == "" {
		return d.fresh(tb, " TEMPLATE "+master)
	}
	sqlalchemy := d.fresh(tb, "")
	ctx, cancel := context.WithTimeout(tb.Context(), startWithin)
	defer cancel()
	db, err := open(sqlalchemy + "&multiStatements=true")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, d.synced.peer); err != nil {
		tb.Fatalf("copy the tables of Cinder: %v", err)
	}
	return sqlalchemy
}

// sync lets Cinder make its tables in the template, and keeps them as text for
// an engine that cannot copy a database.
func (d *Database) sync(manage, dump string) error {
	if err := d.do(fmt.Sprintf(d.create, master)); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(d.dir, "sync")
	if err != nil {
		return err
	}
	conf := filepath.Join(dir, "cinder.conf")
	text := "[DEFAULT]\nlog_dir = " + dir + "\nstate_path = " + dir + "\n[database]\nconnection = " + d.url(master) + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	err = run(command{in: d.in, name: "cinder-manage", path: manage, dir: dir, args: []string{"--config-file", conf, "db", "sync"}, env: []string{"PYTHONWARNINGS=ignore"}})
	if err != nil || dump == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	cmd := d.in.Command(ctx, dump, "--no-defaults", "--host=127.0.0.1", "--port="+strconv.Itoa(d.port), "--user="+userName, "--no-tablespaces", "--skip-comments", master)
	cmd.Env = append(os.Environ(), "MYSQL_PWD="+password)
	out, err := cmd.Output()
	d.synced.peer = string(out)
	return err
}
