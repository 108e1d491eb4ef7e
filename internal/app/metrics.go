package app

import (
	"context"
	"fmt"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/metrics"
	"stoker/internal/oslo/amqp"
)

// Bounds on those who scrape: a few, who ask for one thing.
const (
	maxScrapers    = 16
	scrapeResponse = 10 * time.Second
)

// newMetrics takes the port of metrics and makes what is served there.
func (a *App) newMetrics(ctx context.Context) error {
	log := a.counted(a.loggers.Logger("stoker.metrics"))
	m, err := metrics.New(metrics.Options{
		Registry: a.o.Metrics, Version: a.o.Version, Log: log,
		Database: a.db.Ready, Writes: a.db.TakesWrites, Bus: a.busState, Policy: a.policyState, Fleet: a.fleetState,
	})
	if err != nil {
		return fmt.Errorf("make metrics: %w", err)
	}
	a.onStop("scrapes", m.Close)
	l, err := a.listen(ctx, a.o.Config.MetricsListen)
	if err != nil {
		return fmt.Errorf("[stoker] metrics_listen: %w", err)
	}
	server := newServer(m.Handler(), scrapeResponse, maxScrapers)
	server.ErrorLog = a.connectionLog("stoker.metrics")
	a.metrics, a.scrapes = m, &web{name: "metrics", listener: l, server: server}
	return nil
}

// busState asks the bus whether it can be used.
func (a *App) busState(ctx context.Context) (metrics.Bus, error) {
	err := a.client.Ready(ctx)
	refusals := amqp.Refusals(err)
	if len(refusals) > 0 {
		err = nil
	}
	return metrics.Bus{Refusals: len(refusals)}, err
}

// policyState looks at the policy's files, as a request does.
func (a *App) policyState(context.Context) (metrics.Policy, error) {
	h := a.policy.Health()
	return metrics.Policy{OK: h.Err == nil, Failures: h.Failures, Broken: len(h.Broken)}, nil
}

// fleetState reads the services and the open operations in one snapshot.
func (a *App) fleetState(ctx context.Context) (metrics.Fleet, error) {
	l, err := a.control.Services(ctx, cinder.ServiceQuery{})
	return metrics.Fleet{Services: l.Services, Open: l.Open, Now: l.Now, DownTime: l.DownTime}, err
}
