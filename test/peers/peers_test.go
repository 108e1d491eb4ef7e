package peers

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"
)

var engines Shared

const (
	// patience is by when whatever answers has answered.
	patience = time.Minute
	// silence is how long is listened to what was ended or stopped, which cannot answer.
	silence = time.Second
)

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
			if err := ping(first, silence); err == nil {
				t.Errorf("%s is still there", first)
			}
		})
	}
}

func TestDatabasesComeBackWithTheirRows(t *testing.T) {
	all := map[string]func(testing.TB) *Database{"PostgreSQL": StartPostgres}
	for _, r := range Releases() {
		all["MariaDB of "+string(r)] = r.StartMariaDB
	}
	for name, own := range all {
		t.Run(name, func(t *testing.T) {
			d := own(t)
			url := d.New(t)
			mustExec(t, url, "CREATE TABLE x (id INTEGER PRIMARY KEY)")
			for i, end := range []func(testing.TB){d.Stop, d.Kill} {
				mustExec(t, url, "INSERT INTO x VALUES ("+string(rune('1'+i))+")")
				end(t)
				if ping(url, silence) == nil {
					t.Fatal("it answers though it was ended")
				}
				d.Start(t)
				var rows int
				if err := Open(t, url).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM x").Scan(&rows); err != nil || rows != i+1 {
					t.Fatalf("%d rows, want %d: %v", rows, i+1, err)
				}
			}
			d.Pause(t)
			if ping(url, silence) == nil {
				t.Error("it answers though it is paused")
			}
			d.Resume(t)
			if err := ping(url, patience); err != nil {
				t.Errorf("after the pause: %v", err)
			}
		})
	}
}

func TestBrokerComesBack(t *testing.T) {
	engines.Each(t, func(t *testing.T, engines *Shared) {
		t.Helper()
		brokerComesBack(t, engines.Release().StartRabbitMQ(t))
	})
}

func brokerComesBack(t *testing.T, b *Broker) {
	t.Helper()
	url := b.URL(t)
	if other := b.URL(t); other == url {
		t.Errorf("two tests would share the virtual host of %s", url)
	}
	for _, end := range []func(testing.TB){b.Stop, b.Kill} {
		end(t)
		if greets(b.Addr(), silence) {
			t.Fatal("it answers though it was ended")
		}
		b.Start(t)
		if !greets(b.Addr(), patience) {
			t.Fatal("it does not answer though it was started again")
		}
	}
	b.Pause(t)
	if greets(b.Addr(), silence) {
		t.Error("it answers though it is paused")
	}
	b.Resume(t)
	if !greets(b.Addr(), patience) {
		t.Error("it does not answer after the pause")
	}
	if err := b.manage(t.Context(), http.MethodGet, "/api/vhosts/"+url[strings.LastIndex(url, "/")+1:], nil); err != nil {
		t.Errorf("its virtual host is lost: %v", err)
	}
}

// Whoever consumes a queue is counted, also for a moment after they have died, and
// is not any more when the broker has noticed that.
func TestDeserted(t *testing.T) {
	transport := engines.RabbitMQ(t).URL(t)
	var socket net.Conn // of the one that was dialled last
	dial := func() *amqp091.Connection {
		t.Helper()
		conn, err := amqp091.DialConfig(strings.Replace(transport, "rabbit", "amqp", 1), amqp091.Config{Dial: func(network, address string) (_ net.Conn, err error) {
			socket, err = (&net.Dialer{Timeout: patience}).DialContext(t.Context(), network, address)
			return socket, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	const queue = "cinder-volume.host1@alpha.host1"
	looker, listener := dial(), dial()
	ch, err := listener.Channel()
	if err == nil {
		_, err = ch.QueueDeclare(queue, false, false, false, false, nil)
	}
	if err == nil {
		_, err = ch.Consume(queue, "", true, false, false, false, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{queue: 1, "cinder-volume.nobody@alpha.nobody": 0} {
		if q, err := look(looker, name); err != nil || q.Consumers != want {
			t.Errorf("%d consume %s, want %d: %v", q.Consumers, name, want, err)
		}
	}
	if err := socket.Close(); err != nil { // as the system does when it dies
		t.Fatal(err)
	}
	Deserted(t, transport, "cinder-volume", "host1@alpha", "nobody@alpha")
	if q, err := look(looker, queue); err != nil || q.Consumers != 0 {
		t.Errorf("deserted, and %d consume it: %v", q.Consumers, err)
	}
}

// greets reports whether a broker answers the header of its protocol in time.
func greets(addr string, within time.Duration) bool {
	c, err := (&net.Dialer{Timeout: within}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
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

func ping(url string, within time.Duration) error {
	db, err := open(url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), within)
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
	if err := await(endWithin, "the child is gone with its directory", func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err) && !groupLives(atoi(t, group))
	}); err != nil {
		t.Error(err)
	}
}

// Where nobody listens, connections are refused, below the ports that the kernel
// gives away.
func TestNobody(t *testing.T) {
	address := Nobody(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil || atoi(t, port) >= 32768 {
		t.Errorf("nobody is at %s: %v", address, err)
	}
	if _, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial %s: %v", address, err)
	}
	if reserve(atoi(t, port)) == nil {
		t.Errorf("%s may be given to somebody else", address)
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
