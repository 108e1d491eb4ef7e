package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// onSQLite is a configuration for a database file in dir, which has the log too.
func onSQLite(t *testing.T, dir string) string {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "stoker.conf")
	text := "[DEFAULT]\nauth_strategy = noauth\nosapi_volume_listen_port = 0\nlog_dir = " + dir + "\nstate_path = " + dir + "\n" +
		"[database]\nconnection = sqlite:///" + filepath.Join(dir, "stoker.db") + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return conf
}

// loose makes an empty directory that every user of the machine may look into,
// and lets what is made from now on, by the program too, be as open as it is made.
func loose(t *testing.T, mode fs.FileMode) string {
	t.Helper()
	umask := syscall.Umask(0)
	t.Cleanup(func() { syscall.Umask(umask) })
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// modes are the permissions of all that is below a directory, by name.
func modes(t *testing.T, dir string) map[string]fs.FileMode {
	t.Helper()
	found := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		found[strings.TrimPrefix(path, dir+"/")] = info.Mode().Perm()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// database are the files that SQLite keeps while a program runs.
func database() []string { return []string{"stoker.db", "stoker.db-wal", "stoker.db-shm"} }

// Whatever the program writes is closed to other users of the machine, even where
// the directory and the umask are not.
func TestFilesAreForTheirOwner(t *testing.T) {
	group := map[string]bool{"stoker-api.log": true} // whoever reads logs may read it
	tests := []struct {
		name  string
		folds fs.FileMode // of the directory
		run   func(t *testing.T, dir string)
		db    fs.FileMode
	}{
		{"standalone", 0o755, func(t *testing.T, dir string) {
			t.Helper()
			p := start(t, "standalone", "--dir", dir, "--listen", "127.0.0.1:0")
			p.put("os-services/freeze", map[string]any{"host": "stoker@alpha"}, 200)
		}, 0o600},
		{"db sync and api", 0o755, func(t *testing.T, dir string) {
			t.Helper()
			conf := onSQLite(t, dir)
			if out, err := output(t, "db", "sync", "--config-file", conf); err != nil {
				t.Fatalf("db sync: %v\n%s", err, out)
			}
			start(t, "api", "--config-file", conf)
		}, 0o600},
		{"a directory that hands its group down", 0o755 | fs.ModeSetgid, func(t *testing.T, dir string) {
			t.Helper()
			conf := onSQLite(t, dir)
			if out, err := output(t, "db", "sync", "--config-file", conf); err != nil {
				t.Fatalf("db sync: %v\n%s", err, out)
			}
			start(t, "api", "--config-file", conf)
		}, 0o640},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := loose(t, tt.folds)
			tt.run(t, dir)
			found := modes(t, dir)
			for name, mode := range found {
				if mode&0o007 != 0 || mode&0o070 != 0 && !group[name] && tt.db == 0o600 {
					t.Errorf("%s has mode %04o", name, mode)
				}
			}
			for _, name := range database() {
				if mode, ok := found[name]; !ok || mode != tt.db {
					t.Errorf("%s: mode %04o, there: %v; want %04o", name, mode, ok, tt.db)
				}
			}
		})
	}
}

// A database that is open to everybody was perhaps made so on purpose: its mode
// stays, and is complained of.
func TestAnOpenDatabaseIsComplainedOf(t *testing.T) {
	dir := loose(t, 0o755)
	conf, file := onSQLite(t, dir), filepath.Join(dir, "stoker.db")
	if out, err := output(t, "db", "sync", "--config-file", conf); err != nil {
		t.Fatalf("db sync: %v\n%s", err, out)
	}
	says := func() bool {
		t.Helper()
		out, err := output(t, "db", "check", "--config-file", conf)
		if err != nil {
			t.Fatalf("db check: %v\n%s", err, out)
		}
		return strings.Contains(out, "every user of this machine can read it")
	}
	if says() {
		t.Error("db check complains of a database that is closed")
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if !says() {
		t.Error("db check does not complain of a database that everybody can read")
	}
	p := start(t, "api", "--config-file", conf)
	log, err := os.ReadFile(filepath.Join(dir, "stoker-api.log"))
	if err != nil || !strings.Contains(string(log), "every user of this machine can read the database file") {
		t.Errorf("the log does not complain (%v):\n%s", err, log)
	}
	p.interrupt()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the mode was changed: %v, %v", info, err)
	}
}

// A directory's name is a name, whatever it means in a URL: the database is in it,
// beside the lock, or the name is refused and nothing is made.
func TestDirectoryNames(t *testing.T) {
	refused := map[string]string{"a?b": "?", "?": "?", "\xff\xfe": "is not UTF-8"}
	for _, name := range []string{"a?b", "?", "a#b", "a%3Fb", "a%b", "a b", "a&_pragma=x", "a;b", "a'b", `a"b`, `a\b`, "a:b@c", "ü", "\xff\xfe", "a\nb", "file:a"} {
		t.Run(fmt.Sprintf("%q", name), func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, name)
			if why := refused[name]; why != "" {
				if out, err := output(t, "standalone", "--dir", dir, "--listen", "127.0.0.1:0"); err == nil || !strings.Contains(out, why) || strings.Count(out, "\n") != 1 {
					t.Errorf("%v: %q, want one line that says %s", err, out, why)
				}
				if found := modes(t, parent); len(found) > 0 {
					t.Errorf("made %v", found)
				}
				return
			}
			start(t, "standalone", "--dir", dir, "--listen", "127.0.0.1:0")
			found := modes(t, parent)
			for _, file := range append(database(), "lock") {
				if _, ok := found[filepath.Join(name, file)]; !ok {
					t.Errorf("%s is not in the directory: %v", file, found)
				}
			}
			entries, err := os.ReadDir(parent)
			if err != nil || len(entries) != 1 {
				t.Errorf("beside the directory: %v, %v", entries, err)
			}
		})
	}
}
