package site

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"stoker/internal/cinder"
	"stoker/internal/dsn"
	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
	"stoker/internal/rpc"
	"stoker/test/load"
)

// probed is the backend that only Returns changes.
const probed = "delta"

// Fleet is the services of one host: a scheduler, a backup service, and a volume
// service with several backends.
type Fleet struct {
	*Process
	Host    string
	Cluster string // of its volume service; may be empty
	Logger  string // one that each of them has
	Python  bool   // a real Cinder's services

	site *Site
}

// Load starts a load of all requests that an API supports for the fleet.
func (f *Fleet) Load(ctx context.Context, api *Process, o load.Options) *load.Load {
	o.Clients = load.Administrators(f.Host, f.Logger)
	if o.Permit == nil && f.Python {
		o.Permit = load.PermitRaised
	}
	return load.Start(ctx, api.URL, o)
}

// all returns a list, a freeze and thaw, a disable and enable, and the log levels of
// each service: the requests of each group depend on each other, in order.
func (f *Fleet) all() [][]load.Request {
	host := f.Host + "@" + probed
	target := map[string]any{"host": host}
	service := map[string]any{"host": host, "binary": cinder.BinaryVolume}
	return [][]load.Request{
		{{Path: "?binary=cinder-scheduler"}},
		{{Path: "/get-log", Body: map[string]any{"binary": cinder.BinaryVolume, "server": host, "prefix": f.Logger}}},
		{
			{Path: "/get-log", Body: map[string]any{"binary": cinder.BinaryBackup, "server": f.Host, "prefix": f.Logger}},
			{Path: "/set-log", Body: map[string]any{"binary": cinder.BinaryBackup, "server": f.Host, "prefix": f.Logger, "level": "INFO"}},
		},
		{{Path: "/freeze", Body: target}, {Path: "/thaw", Body: target}, {Path: "/disable", Body: service}, {Path: "/enable", Body: service}},
	}
}

// Refused requests a change that is impossible at the moment.
func (f *Fleet) Refused(ctx context.Context, api *Process) (load.Answer, error) {
	return load.Ask(ctx, api.URL, load.Request{Path: "/freeze", Body: map[string]any{"host": f.Host + "@" + probed}}, load.Deadline)
}

// serves repeats each of these requests, one after another, until it succeeds. It
// returns the last error.
func (f *Fleet) serves(ctx context.Context, api *Process, requests []load.Request) error {
	for _, r := range requests {
		for {
			a, err := load.Ask(ctx, api.URL, r, load.Deadline)
			// It has been done already: an earlier attempt failed, or was done and not
			// answered.
			already := a.Status == http.StatusBadRequest && strings.Contains(a.Body, "frozen in [")
			if err == nil && (a.Status < http.StatusMultipleChoices || already) && !strings.Contains(a.Body, "unanswered") {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %d %s %w", r.Path, a.Status, a.Body, ctx.Err())
			}
			tick(ctx)
		}
	}
	return nil
}

// Return describes how a fleet came back.
type Return struct {
	Itself time.Duration // until its services answered on the bus, asked directly; Python services only
	Served time.Duration // until all requests succeeded through the API
	Err    error         // of the last request that failed
}

// Late is the delay of the API beyond that of the services themselves.
func (r Return) Late() time.Duration { return r.Served - r.Itself }

// String returns the times.
func (r Return) String() string {
	text := "served after " + r.Served.Round(time.Millisecond).String()
	if r.Itself > 0 {
		text += ", itself on the bus after " + r.Itself.Round(time.Millisecond).String()
	}
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

// returnWithin bounds the wait for a fleet. oslo.messaging pauses for up to half a
// minute between attempts to connect.
const returnWithin = load.Patience

// Returns waits until all requests succeed for the fleet again, and measures the time
// from since.
//
// Python services come back when oslo.messaging has reconnected, which we cannot
// hasten: they are polled on the bus at the same time, without the API, and the delay
// after their answer counts.
func (f *Fleet) Returns(ctx context.Context, api *Process, since time.Time) (r Return) {
	ctx, cancel := context.WithTimeout(ctx, returnWithin)
	defer cancel()
	var asking, answering errgroup.Group
	for _, requests := range f.all() {
		asking.Go(func() error { return f.serves(ctx, api, requests) })
	}
	if f.Python {
		answering.Go(func() error {
			f.await(ctx)
			r.Itself = time.Since(since)
			return nil
		})
	}
	r.Err = asking.Wait()
	r.Served = time.Since(since)
	cancel()
	_ = answering.Wait()
	r.Itself = min(r.Itself, r.Served)
	return r
}

// await waits until the fleet's volume and backup services answer on the bus.
func (f *Fleet) await(ctx context.Context) {
	for ctx.Err() == nil {
		if f.answers(ctx) == nil {
			return
		}
		tick(ctx)
	}
}

// answers asks them over its own connection.
func (f *Fleet) answers(ctx context.Context) error {
	url, err := dsn.ParseTransport(f.site.transport)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	bus, err := amqp.New(ctx, amqp.Options{URL: url, Rabbit: amqp.DefaultRabbit(), Name: "test", Log: log})
	if err != nil {
		return err
	}
	client := oslo.NewClient(oslo.ClientOptions{Transport: bus, ResponseTimeout: returnWithin, Log: log})
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_, _ = client.Close(ctx), bus.Close(ctx)
	}()
	to := rpc.New(client, rpc.Options{FailoverExpiry: time.Second, Log: log})
	for _, s := range []cinder.Service{
		{Binary: cinder.BinaryVolume, Host: f.Host + "@" + probed, RPCVersion: "3.12"},
		{Binary: cinder.BinaryBackup, Host: f.Host, RPCVersion: "2.1"},
	} {
		if _, err := to.LogLevels(ctx, s, f.Logger); err != nil {
			return err
		}
	}
	return nil
}

// tick pauses between polls.
func tick(ctx context.Context) {
	t := time.NewTimer(100 * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
