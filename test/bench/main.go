package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

const project = "0123456789abcdef0123456789abcdef"

type options struct {
	sizes   string
	version string
	clients int
	rounds  int
	round   time.Duration
	beating bool
	ceiling string // internal: serve this file's bytes
}

func main() {
	var o options
	flag.StringVar(&o.sizes, "sizes", "10,100,1000,5000,10000", "how many services to list")
	flag.StringVar(&o.version, "version", "3.0", "the microversion to ask for")
	flag.IntVar(&o.clients, "clients", 8, "how many clients ask at once")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each server is measured, in turns")
	flag.DurationVar(&o.round, "round", 3*time.Second, "how long each time")
	flag.BoolVar(&o.beating, "beating", false, "run stoker standalone with a fleet that beats, not stoker api on rows that rest")
	flag.StringVar(&o.ceiling, "ceiling", "", "serve the bytes of this file (used by the command itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if o.ceiling != "" {
		err = serveBytes(ctx, o.ceiling)
	} else {
		err = bench(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// serveBytes is the ceiling: a bare handler that writes the same bytes.
func serveBytes(ctx context.Context, file string) error {
	body, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	length := strconv.Itoa(len(body))
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", length)
		_, _ = w.Write(body)
	})}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func bench(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "stoker-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "stoker")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/stoker").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	fmt.Printf("%s, %d processors, %d clients, %d rounds of %v, microversion %s, SQLite, %s\n\n", runtime.Version(), runtime.NumCPU(), o.clients, o.rounds, o.round, o.version,
		map[bool]string{false: "rows that rest", true: "services that beat every 10 s"}[o.beating])
	fmt.Println("| services | bytes | Stoker /s | p50 | p99 | bare handler /s | ratio | µs per service | resident | first answer |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	for size := range strings.SplitSeq(o.sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		if err := measure(ctx, o, binary, filepath.Join(dir, size), n); err != nil {
			return fmt.Errorf("%d services: %w", n, err)
		}
	}
	return nil
}

// measure prints the row of one size.
func measure(ctx context.Context, o options, binary, dir string, n int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	var api *process
	var err error
	if o.beating {
		api, err = startStandalone(ctx, binary, dir, n)
	} else if err = fill(ctx, filepath.Join(dir, "stoker.db"), n); err == nil {
		api, err = startAPI(ctx, binary, dir)
	}
	if err != nil {
		return err
	}
	defer api.stop()
	body, err := fetch(ctx, api.addr, o.version)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "body.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	bare, err := start(ctx, exec.CommandContext(ctx, self, "-ceiling", file))
	if err != nil {
		return err
	}
	defer bare.stop()
	var ours, theirs []load
	for range o.rounds {
		a, err := run(ctx, api.addr, request(api.addr, o.version), o.clients, o.round)
		if err != nil {
			return err
		}
		b, err := run(ctx, bare.addr, request(bare.addr, o.version), o.clients, o.round)
		if err != nil {
			return err
		}
		ours, theirs = append(ours, a), append(theirs, b)
	}
	a, b := median(ours), median(theirs)
	fmt.Printf("| %d | %d | %.0f | %v | %v | %.0f | %.2f | %.2f | %d MB | %v |\n", n, len(body), a.perSecond,
		a.p50.Round(10*time.Microsecond), a.p99.Round(10*time.Microsecond), b.perSecond, a.perSecond/b.perSecond,
		1e6/a.perSecond/float64(n), api.resident()>>20, api.first.Round(time.Millisecond))
	return nil
}

func median(loads []load) load {
	slices.SortFunc(loads, func(a, b load) int { return int(a.perSecond - b.perSecond) })
	return loads[len(loads)/2]
}

func request(addr, version string) string {
	return "GET /v3/" + project + "/os-services HTTP/1.1\r\nHost: " + addr + "\r\nX-Auth-Token: admin:" + project +
		"\r\nOpenStack-API-Version: volume " + version + "\r\nAccept: application/json\r\n\r\n"
}

func fetch(ctx context.Context, addr, version string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/v3/"+project+"/os-services", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Auth-Token", "admin:"+project)
	req.Header.Set("OpenStack-API-Version", "volume "+version)
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", res.Status)
	}
	return io.ReadAll(res.Body)
}

// fill makes a database of n volume services that have just beaten.
func fill(ctx context.Context, file string, n int) error {
	db, err := store.Open(ctx, store.Options{URL: "sqlite:///" + file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Sync(ctx); err != nil {
		return err
	}
	services := make([]cinder.Service, n)
	for i := range services {
		services[i] = cinder.Service{
			Host: fmt.Sprintf("stor%05d@lvm", i), Binary: cinder.BinaryVolume, Topic: cinder.BinaryVolume, Zone: "nova",
			ReplicationStatus: cinder.ReplicationEnabled, RPCVersion: "3.18", ObjectVersion: "1.39",
		}
	}
	rows, err := db.RegisterMany(ctx, services)
	if err != nil {
		return err
	}
	ids := make([]int64, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	_, err = db.Beat(ctx, ids...)
	return err
}
