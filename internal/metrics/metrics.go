package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stoker/internal/cinder"
)

// Bound is how long a scrape waits for what it asks. What has not answered by
// then is away, or absent from the answer: nothing old is shown.
const Bound = 1500 * time.Millisecond

// maxScrapes is how many may be under way: more are told to come later.
const maxScrapes = 4

// Registry is where metrics are kept: one for a process, never the library's own.
type Registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// NewRegistry makes an empty one.
func NewRegistry() Registry { return prometheus.NewRegistry() }

// Options say what Metrics are of. All functions are needed; they must return
// soon after their context ends, and are never called while their last call runs.
type Options struct {
	Registry Registry // nil is a new one
	Version  string   // of the program
	Log      *slog.Logger

	Database func(context.Context) error        // nil when it can be used
	Writes   func(context.Context) error        // nil when the database takes writes
	Bus      func(context.Context) (Bus, error) // fails when it is away
	Policy   func(context.Context) (Policy, error)
	Fleet    func(context.Context) (Fleet, error)
}

// Bus is what the bus refuses.
type Bus struct {
	Refusals int // of what the process needs of it, until an operator mends them
}

// Policy is how the policy does.
type Policy struct {
	OK       bool // whether the files as they are now are in force
	Failures int  // how often they could not be read
	Broken   int  // rules in force that will not do what they say
}

// Fleet is one look at the services and the journal.
type Fleet struct {
	Services []cinder.Service   // as lists show them
	Open     []cinder.Operation // open and monitored
	Now      time.Time          // what heartbeats and deadlines are compared with
	DownTime time.Duration      // how old the heartbeat of a live service may be
}

// Metrics are those of a process. They are safe for concurrent use.
type Metrics struct {
	registry Registry
	log      *slog.Logger
	requests requests
	state    *state
}

// New makes Metrics. It fails when the registry has some of theirs already.
func New(o Options) (*Metrics, error) {
	m := &Metrics{registry: o.Registry, log: o.Log, requests: newRequests(), state: newState(o)}
	if m.registry == nil {
		m.registry = NewRegistry()
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "stoker_build_info", Help: "Always 1: which program this is.", ConstLabels: prometheus.Labels{"version": valid(o.Version)},
	})
	build.Set(1)
	var errs []error
	for _, c := range []prometheus.Collector{
		build, m.requests.total, m.requests.took, m.state,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		errs = append(errs, m.registry.Register(c))
	}
	return m, errors.Join(errs...)
}

// Close waits for what was asked by scrapes that did not wait for it. It is
// called after the last scrape was answered.
func (m *Metrics) Close(ctx context.Context) error { return m.state.close(ctx) }

// Handler answers GET /metrics, and nothing else.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError, // what can be told is told
		MaxRequestsInFlight: maxScrapes,
	}))
	return mux
}
