package cli

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"stoker/internal/app"
	"stoker/internal/store"
	"stoker/internal/telemetry"
)

// Servers are the real servers.
func Servers() Deps { return Deps{Standalone: standalone, API: serveAPI, SyncDB: syncDB} }

func standalone(ctx context.Context, o StandaloneOptions) error {
	opts, err := app.Standalone(o.Dir, o.Listen, o.Fleet)
	if err != nil {
		return err
	}
	return serve(ctx, opts, o.Server, func(a *app.App) { welcome(o.Server, a, opts) })
}

func serveAPI(ctx context.Context, o APIOptions) error {
	return serve(ctx, app.Options{Config: o.Config, API: true}, o.Server, func(a *app.App) {
		fmt.Fprintf(o.Out, "API on http://%s/v3\n", a.Addr())
	})
}

// serve runs a process until ctx ends or it fails.
func serve(ctx context.Context, opts app.Options, s Server, ready func(*app.App)) error {
	frugal()
	opts.Log, opts.LogLevel = s.Log, telemetry.LevelOf(s.LogLevel)
	a, err := app.New(ctx, opts)
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		return err
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

// gcPercent is how much garbage may pile up, in percent of what is in use. Lists
// of large fleets are megabytes that live for a moment: at Go's own 100 they make
// half of the process's memory, and collecting sooner costs them no throughput.
const gcPercent = 50

// frugal applies it, unless the operator decided otherwise.
func frugal() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
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

// syncDB makes the schema and says what it did.
func syncDB(ctx context.Context, o SyncDBOptions) error {
	db, err := store.Open(ctx, store.Options{URL: string(o.Database)})
	if err != nil {
		return err
	}
	report, err := db.Sync(ctx)
	if err == nil {
		if len(report.Created) == 0 {
			fmt.Fprintln(o.Out, "Nothing to do: the schema is there.")
		}
		for _, name := range report.Created {
			fmt.Fprintf(o.Out, "Created %s\n", name)
		}
	}
	if closed := db.Close(); err == nil {
		err = closed
	}
	return err
}
