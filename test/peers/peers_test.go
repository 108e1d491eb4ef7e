package peers

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

var engines Shared

func TestMain(m *testing.M) {
	if os.Getenv(bereftEnv) != "" {
		bereft()
	}
	os.Exit(engines.Run(m))
}

func databases(t *testing.T) map[string]func(testing.TB) *Database {
	t.Helper()
	return map[string]func(testing.TB) *Database{"MariaDB": engines.MariaDB, "PostgreSQL": engines.Postgres}
}

func TestEveryTestHasAnEmptyDatabaseOfItsOwn(t *testing.T) {
	for name, engine := range databases(t) {
		t.Run(name, func(t *testing.T) {
			d := engine(t)
			if again := engine(t); again != d {
				t.Error("a second server was started")
			}
			var first string
			t.Run("dropped at the end", func(t *testing.T) {
				first = d.New(t)
				mustExec(t, first, "CREATE TABLE x (id INTEGER PRIMARY KEY)", "INSERT INTO x VALUES (1)")
			})
			second := d.New(t)
			mustExec(t, second, "CREATE TABLE x (id INTEGER PRIMARY KEY)")
			if err := ping(first); err == nil {
				t.Errorf("%s is still there", first)
			}
		})
	}
}

func TestDatabasesComeBackWithTheirRows(t *testing.T) {
	for name, own := range map[string]func(testing.TB) *Database{"MariaDB": StartMariaDB, "PostgreSQL": StartPostgres} {
		t.Run(name, func(t *testing.T) {
			d := own(t)
			url := d.New(t)
			mustExec(t, url, "CREATE TABLE x (id INTEGER PRIMARY KEY)")
			for i, end := range []func(testing.TB){d.Stop, d.Kill} {
				mustExec(t, url, "INSERT INTO x VALUES ("+string(rune('1'+i))+")")
				end(t)
				if ping(url) == nil {
					t.Fatal("it answers though it was ended")
				}
				d.Start(t)
				var rows int
				if err := Open(t, url).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM x").Scan(&rows); err != nil || rows != i+1 {
					t.Fatalf("%d rows, want %d: %v", rows, i+1, err)
				}
			}
			d.Pause(t)
			if ping(url) == nil {
				t.Error("it answers though it is paused")
			}
			d.Resume(t)
			if err := ping(url); err != nil {
				t.Errorf("after the pause: %v", err)
			}
		})
	}
}

func TestBrokerComesBack(t *testing.T) {
	b := StartRabbitMQ(t)
	url := b.URL(t)
	if other := b.URL(t); other == url {
		t.Errorf("two tests would share the virtual host of %s", url)
	}
	for _, end := range []func(testing.TB){b.Stop, b.Kill} {
		end(t)
		if greets(b.Addr()) {
			t.Fatal("it answers though it was ended")
		}
		b.Start(t)
		if !greets(b.Addr()) {
			t.Fatal("it does not answer though it was started again")
		}
	}
	b.Pause(t)
	if greets(b.Addr()) {
		t.Error("it answers though it is paused")
	}
	b.Resume(t)
	if !greets(b.Addr()) {
		t.Error("it does not answer after the pause")
	}
	if err := b.manage(t.Context(), http.MethodGet, "/api/vhosts/"+url[strings.LastIndex(url, "/")+1:], nil); err != nil {
		t.Errorf("its virtual host is lost: %v", err)
	}
}

// greets reports whether a broker answers the header of its protocol.
func greets(addr string) bool {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := c.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return false
	}
	_, err = c.Read(make([]byte, 1))
	return err == nil
}

func mustExec(t *testing.T, url string, statements ...string) {
	t.Helper()
	db := Open(t, url)
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func ping(url string) error {
	db, err := open(url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

// bereftEnv makes the test program start a child, say where it listens, and
// wait to be killed.
const bereftEnv = "PEERS_TEST_BEREFT"

func bereft() {
	e, err := newEngine("child")
	if err != nil {
		panic(err)
	}
	// A program that starts another, which is what has to go as well.
	p, err := start(command{name: "child", path: "/bin/sh", args: []string{"-c", "sleep 600 & wait"}, dir: e.dir})
	if err != nil {
		panic(err)
	}
	println(p.pid, e.dir)
	select {}
}

func TestNothingOutlivesAKilledTestRun(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), bereftEnv+"=1")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	group, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
	if !groupLives(atoi(t, group)) {
		t.Fatalf("%s does not run", group)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := await(10*time.Second, "the child is gone with its directory", func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err) && !groupLives(atoi(t, group))
	}); err != nil {
		t.Error(err)
	}
}

// A port that an engine has is given to no other, also while the engine is stopped.
func TestPortsAreGivenOnce(t *testing.T) {
	given := map[int]bool{}
	for range 200 {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		if given[port] {
			t.Fatalf("%d was given twice", port)
		}
		given[port] = true
		if reserve(port) == nil {
			t.Fatalf("%d is given and can be reserved again", port)
		}
	}
}
