package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"stoker/test/peers"
)

var (
	besideRound  = flag.Duration("round", 3*time.Second, "how long each is measured, each time")
	besideRounds = flag.Int("rounds", 3, "how often, in turns")
	besideSizes  = flag.String("sizes", "10,100,1000,5000", "how many services to list")
	besideCrowds = flag.String("clients", "1,8,32", "how many clients ask at once")
)

var engines peers.Shared

func TestMain(m *testing.M) { os.Exit(engines.Run(m)) }

// site is one of the two APIs.
type site struct {
	name   string
	addr   string
	memory func() int64 // resident, in bytes
}

// pair are a real cinder-api and a Stoker beside it, with one configuration.
func pair(tb testing.TB, o peers.CinderOptions) (cinder, stoker site) {
	tb.Helper()
	o.Services, o.Workers = []string{"api"}, 2
	theirs := peers.StartCinder(tb, o)
	ours := peers.WriteCinderConf(tb, o)
	binary := filepath.Join(tb.TempDir(), "stoker")
	if out, err := exec.CommandContext(tb.Context(), "go", "build", "-o", binary, "stoker/cmd/stoker").CombinedOutput(); err != nil {
		tb.Fatalf("build: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(tb.Context(), binary, "db", "sync", "--config-file", ours.Conf).CombinedOutput(); err != nil {
		tb.Fatalf("db sync: %v\n%s", err, out)
	}
	pid := background(tb, binary, "api", "--config-file", ours.Conf)
	addr := strings.TrimPrefix(ours.URL, "http://")
	eventually(tb, "Stoker answers", func() bool {
		_, err := fetch(tb.Context(), addr, "3.0")
		return err == nil
	})
	cinder = site{"cinder-api, 2 workers", strings.TrimPrefix(theirs.URL, "http://"), func() int64 { return residentOf(theirs.Conf) }}
	return cinder, site{"Stoker", addr, func() int64 { return resident(pid) }}
}

// background runs a program until the test ends.
func background(tb testing.TB, args ...string) (pid int) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { cancel(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

// Lists over each database, of growing numbers of services, asked by so many
// clients. The rows rest, and both processes read the same ones.
func BenchmarkListsBesideCinder(b *testing.B) {
	for name, database := range map[string]func(testing.TB) *peers.Database{"MariaDB": engines.MariaDB, "PostgreSQL": engines.Postgres} {
		b.Run(name, func(b *testing.B) {
			url := database(b).Cinder(b)
			cinder, stoker := pair(b, peers.CinderOptions{Database: url, Transport: engines.RabbitMQ(b).URL(b), DownTime: 86400})
			fmt.Printf("\n%s, %d rounds of %v in turns, microversion 3.0:\n\n", name, *besideRounds, *besideRound)
			fmt.Println("| services | clients | Cinder /s | p50 | Stoker /s | p50 | p99 | times | Cinder's memory | Stoker's |")
			fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
			have := 0
			for _, n := range numbers(b, *besideSizes) {
				insert(b, url, have, n)
				have = n
				same(b, cinder, stoker, n)
				for _, clients := range numbers(b, *besideCrowds) {
					theirs, ours := inTurns(b, cinder, stoker, func(s site) string { return request(s.addr, "3.0") }, clients)
					times := ours.perSecond / theirs.perSecond
					fmt.Printf("| %d | %d | %.1f | %v | %.0f | %v | %v | %.0f | %d MB | %d MB |\n", n, clients, theirs.perSecond, round(theirs.p50),
						ours.perSecond, round(ours.p50), round(ours.p99), times, cinder.memory()>>20, stoker.memory()>>20)
					if n == 1000 && clients == 8 && times < 30 {
						b.Errorf("at %d services and %d clients only %.1f times as many lists as Cinder's: the floor is 30", n, clients, times)
					}
				}
			}
		})
	}
}

// get-log of a hundred volume services that run, each with its own queue.
func BenchmarkGetLogBesideCinder(b *testing.B) {
	const services = 100
	names := make([]string, services)
	var sections strings.Builder
	for i := range names {
		names[i] = fmt.Sprintf("b%03d", i)
		fmt.Fprintf(&sections, "[%s]\nvolume_backend_name = %s\n", names[i], names[i])
	}
	broker := engines.RabbitMQ(b)
	o := peers.CinderOptions{
		Database: engines.MariaDB(b).Cinder(b), Transport: broker.URL(b), Backends: names, More: sections.String(), RPCTimeout: 30,
	}
	cinder, stoker := pair(b, o)
	binary := filepath.Join(b.TempDir(), "stoker")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "stoker/cmd/stoker").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	body := `{"binary": "cinder-volume", "server": "", "prefix": "stoker.agent"}`
	ask := func(s site) string {
		return "PUT /v3/" + project + "/os-services/get-log HTTP/1.1\r\nHost: " + s.addr + "\r\nX-Auth-Token: admin:" + project +
			"\r\nOpenStack-API-Version: volume 3.32\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: " +
			strconv.Itoa(len(body)) + "\r\n\r\n" + body
	}
	fmt.Printf("\nget-log of %d of Stoker's volume services over RabbitMQ, %d rounds of %v in turns:\n\n", services, *besideRounds, *besideRound)
	fmt.Println("| services are | clients | Cinder /s | p50 | Stoker /s | p50 | p99 | times |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, delay := range []time.Duration{0, 5 * time.Millisecond} {
		b.Run(fmt.Sprint(delay, " away"), func(b *testing.B) {
			o := o
			if delay > 0 { // between the services and the bus
				way := peers.NewProxy(b, broker.Addr())
				way.Delay(delay)
				o.Transport = way.In(b, o.Transport)
			}
			background(b, binary, "volume", "--config-file", peers.WriteCinderConf(b, o).Conf)
			eventually(b, "all services answer", func() bool { return answered(b, stoker, body) == services })
			if got := answered(b, cinder, body); got != services {
				b.Fatalf("cinder-api shows the levels of %d services, want %d", got, services)
			}
			for _, clients := range numbers(b, *besideCrowds) {
				theirs, ours := inTurns(b, cinder, stoker, ask, clients)
				times := ours.perSecond / theirs.perSecond
				fmt.Printf("| %v away | %d | %.2f | %v | %.1f | %v | %v | %.1f |\n", delay, clients, theirs.perSecond, round(theirs.p50), ours.perSecond, round(ours.p50), round(ours.p99), times)
				if clients == 8 && times < 20 {
					b.Errorf("%v away, %d clients: only %.1f times as many as Cinder's: the floor is 20", delay, clients, times)
				}
			}
		})
	}
}

func numbers(tb testing.TB, list string) (all []int) {
	tb.Helper()
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// inTurns measures both, in turns, so that what else happens on the machine
// meets both.
func inTurns(tb testing.TB, a, b site, request func(site) string, clients int) (load, load) {
	tb.Helper()
	var ofA, ofB []load
	for range *besideRounds {
		for i, s := range []site{a, b} {
			l, err := run(tb.Context(), s.addr, request(s), clients, *besideRound)
			if err != nil {
				tb.Fatalf("%s: %v", s.name, err)
			}
			if i == 0 {
				ofA = append(ofA, l)
			} else {
				ofB = append(ofB, l)
			}
		}
	}
	return median(ofA), median(ofB)
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// insert writes rows that have just beaten into the table of services, as SQL
// that both databases take.
func insert(tb testing.TB, url string, from, to int) {
	tb.Helper()
	db := peers.Open(tb, url)
	binary := `"binary"`
	if strings.HasPrefix(url, "mysql") {
		binary = "`binary`"
	}
	for ; from < to; from += 100 {
		var values []string
		for i := from; i < min(from+100, to); i++ {
			values = append(values, fmt.Sprintf("('stor%05d@lvm', 'cinder-volume', 'cinder-volume', 5, FALSE, FALSE, FALSE, 'nova', 'enabled', '3.18', '1.39', NOW(), NOW(), '%08d-0000-4000-8000-000000000000')", i, i))
		}
		_, err := db.ExecContext(tb.Context(), "INSERT INTO services (host, "+binary+", topic, report_count, disabled, deleted, frozen, availability_zone, "+
			"replication_status, rpc_current_version, object_current_version, created_at, updated_at, uuid) VALUES "+strings.Join(values, ", "))
		if err != nil {
			tb.Fatal(err)
		}
	}
}

var updated = regexp.MustCompile(`"updated_at": ?"[^"]*"`)

// same checks that both list the same services.
func same(tb testing.TB, a, b site, n int) {
	tb.Helper()
	var lists [2]map[string]any
	for i, s := range []site{a, b} {
		text, err := fetch(tb.Context(), s.addr, "3.0")
		if err != nil {
			tb.Fatalf("%s: %v", s.name, err)
		}
		var l struct {
			Services []map[string]any `json:"services"`
		}
		if err := json.Unmarshal(updated.ReplaceAll(text, []byte(`"updated_at": ""`)), &l); err != nil {
			tb.Fatal(err)
		}
		lists[i] = map[string]any{}
		for _, service := range l.Services {
			lists[i][fmt.Sprint(service["host"])] = fmt.Sprint(service)
		}
	}
	if len(lists[0]) != n || fmt.Sprint(lists[0]) != fmt.Sprint(lists[1]) {
		tb.Fatalf("%d services at %s, %d at %s, want %d that are the same", len(lists[0]), a.name, len(lists[1]), b.name, n)
	}
}

// answered is how many services a get-log shows.
func answered(tb testing.TB, s site, body string) int {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPut, "http://"+s.addr+"/v3/"+project+"/os-services/get-log", strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", "admin:"+project)
	req.Header.Set("OpenStack-API-Version", "volume 3.32")
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	var l struct {
		Levels []struct {
			Levels map[string]string `json:"levels"`
		} `json:"log_levels"`
	}
	if err := json.Unmarshal(text, &l); err != nil {
		tb.Fatalf("%s: %v: %s", s.name, err, text)
	}
	n := 0
	for _, service := range l.Levels {
		if len(service.Levels) > 0 {
			n++
		}
	}
	return n
}

// eventually waits, for a minute at most, until something is so.
func eventually(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			tb.Fatalf("in a minute it did not come to pass that %s", what)
		case <-tick.C:
		}
	}
}

// residentOf is the memory of all processes that were started with that
// configuration.
func residentOf(conf string) (sum int64) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), conf) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			sum += resident(pid)
		}
	}
	return sum
}
