package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"stoker/internal/app"
	"stoker/internal/telemetry"
)

// Servers are the real servers.
func Servers() Deps {
	return Deps{Standalone: standalone, Daemon: daemon, SyncDB: syncDB, CheckDB: checkDB, CheckBus: checkBus}
}

// gcPercent is how much garbage may pile up in a process that is a whole cloud,
// in percent of what is in use. Lists of large fleets are megabytes that live for
// a moment: at Go's own 100 they make half of its memory, and collecting sooner
// costs them no throughput. A process that talks to a bus would answer a
// seventh less (doc/performance.md), so the others stay with Go's own.
const gcPercent = 50

func standalone(ctx context.Context, o StandaloneOptions) error {
	opts, err := app.Standalone(o.Dir, o.Listen, o.Fleet)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" { // or the operator decided otherwise
		debug.SetGCPercent(gcPercent)
	}
	return serve(ctx, opts, o.Server, func(a *app.App) { welcome(o.Server, a, opts) })
}

// daemon runs one of the programs that have a configuration.
func daemon(ctx context.Context, o DaemonOptions) error {
	c := o.Config
	opts := app.Options{Config: c}
	what := "API"
	switch o.Program {
	case ProgramAPI:
		opts.API = true
	case ProgramVolume:
		opts.Volumes, opts.Locks = app.VolumeServices(c), app.VolumeLocks(c)
		hosts := make([]string, len(opts.Volumes))
		for i, v := range opts.Volumes {
			hosts[i] = v.Host
		}
		what = "volume services " + strings.Join(hosts, ", ")
	case ProgramScheduler:
		opts.Scheduler = true
		what = "scheduler on " + c.Host
	case ProgramBackup:
		opts.Backup = true
		what = "backup service on " + c.Host
	}
	if name := c.Log("stoker-" + string(o.Program)); name != "" {
		if telemetry.Foreign(name) {
			fmt.Fprintf(o.Log, "stoker: warning: another program writes to the log file %s as well: give one to stoker alone, with --log-file\n", name)
		}
		file, err := telemetry.OpenFile(name)
		if err != nil {
			return err
		}
		defer file.Close()
		defer onHangup(file.Reopen, o.Log)()
		o.Log = file
	} else {
		defer onHangup(func() error { return nil }, o.Log)() // so that it does not end the process
	}
	return serve(ctx, opts, o.Server, func(a *app.App) {
		if opts.API {
			what = fmt.Sprintf("API on %s/v3", a.URL())
		}
		fmt.Fprintln(o.Out, what)
		if err := notifyReady(ctx); err != nil {
			fmt.Fprintln(o.Log, "stoker:", oneLine(err.Error()))
		}
	})
}

// notifyReady tells systemd, where that has started the process and wants to
// know (Type=notify), that it is ready: what depends on it may start.
func notifyReady(ctx context.Context) error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", socket)
	if err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("READY=1")); err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	return nil
}

// onHangup does something at every SIGHUP, until what it returns is called.
func onHangup(do func() error, complain io.Writer) (stop func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range hup {
			if err := do(); err != nil {
				fmt.Fprintln(complain, "stoker:", oneLine(err.Error()))
			}
		}
	}()
	return func() {
		signal.Stop(hup)
		close(hup)
		<-done
	}
}

// serve runs a process until ctx ends or it fails.
func serve(ctx context.Context, opts app.Options, s Server, ready func(*app.App)) error {
	opts.Version = s.Version
	opts.Log, opts.LogLevel = s.Log, telemetry.LevelOf(s.LogLevel)
	a, err := app.New(ctx, opts)
	if err == nil {
		err = a.Start(ctx)
	}
	if err != nil {
		return unlessStopped(ctx, err)
	}
	ready(a)
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-a.Failed():
	}
	if err := a.Stop(ctx); err != nil && failed == nil {
		failed = err
	}
	return failed
}

// unlessStopped is err, unless that came of being stopped: a process that waits
// for what it needs ends as well as any other then.
func unlessStopped(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}

// standaloneProject is the project that the lines to paste act for: any would do.
const standaloneProject = "0123456789abcdef0123456789abcdef"

// welcome says what runs and how to talk to it.
func welcome(s Server, a *app.App, o app.Options) {
	w := s.Out
	endpoint := "http://" + a.Addr().String() + "/v3"
	fmt.Fprintf(w, "Stoker %s runs at %s (data in %s)\n\n", s.Version, endpoint, o.Config.StatePath)
	fmt.Fprintf(w, "  cinder-scheduler  %s\n  cinder-backup     %s\n", o.Config.Host, o.Config.Host)
	for _, v := range o.Volumes {
		about := "not replicated"
		if len(v.Targets) > 0 {
			about = "replicated to " + strings.Join(v.Targets, ", ")
		}
		if v.RefuseThaw != "" {
			about += "; refuses to thaw while it has a file refuse-thaw"
		}
		fmt.Fprintf(w, "  cinder-volume     %s (%s)\n", v.Host, about)
	}
	if o.Fleet > 0 {
		fmt.Fprintf(w, "  and %d simulated volume services\n", o.Fleet)
	}
	flag := ""
	if endpoint != defaultEndpoint {
		flag = " --endpoint " + endpoint
	}
	fmt.Fprintf(w, "\nTry, in another terminal:\n\n  stoker service list%s\n  curl -s -H 'X-Auth-Token: admin:%s' -H 'OpenStack-API-Version: volume latest' %s/os-services\n\nCtrl-C stops it.\n",
		flag, standaloneProject, endpoint)
}
