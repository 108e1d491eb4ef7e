package metrics

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"stoker/internal/cinder"
)

// state is what is asked for at a scrape.
type state struct {
	database *look[struct{}]
	writes   *look[struct{}]
	bus      *look[Bus]
	policy   *look[Policy]
	fleet    *look[Fleet]

	databaseUp, databaseWritable, busUp, busRefusals *prometheus.Desc
	policyOK, policyFailures, policyBroken           *prometheus.Desc
	open, overdue, stuck, monitoring                 *prometheus.Desc
	agents                                           *prometheus.Desc
}

func newState(o Options) *state {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	up := func(ask func(context.Context) error) *look[struct{}] {
		return newLook(func(ctx context.Context) (struct{}, error) { return struct{}{}, ask(ctx) })
	}
	return &state{
		database: up(o.Database), writes: up(o.Writes), bus: newLook(o.Bus), policy: newLook(o.Policy), fleet: newLook(o.Fleet),

		databaseUp:       desc("stoker_database_up", "Whether the database can be used."),
		databaseWritable: desc("stoker_database_writable", "Whether the database takes changes; 0: it is read-only, or away."),
		busUp:            desc("stoker_bus_up", "Whether the message bus can be used."),
		busRefusals:      desc("stoker_bus_refusals", "What the broker refuses of what the process needs, until somebody mends it."),
		policyOK:         desc("stoker_policy_file_ok", "Whether the policy files as they are now are in force; 0: the last good rules are."),
		policyFailures:   desc("stoker_policy_reload_failures_total", "How often the policy files could not be read."),
		policyBroken:     desc("stoker_policy_broken_rules", "Rules in force that will not do what they say."),
		open:             desc("stoker_operations_open", "Operations of the journal whose outcome is not known yet."),
		overdue:          desc("stoker_operations_overdue", "Those that are open beyond their deadline."),
		stuck:            desc("stoker_operations_stuck", "Those that are open and fail to be settled again and again."),
		monitoring:       desc("stoker_operations_monitoring", "Operations that were rolled back and may still be carried out late."),
		// The name and labels are those of openstack-exporter, for the dashboards that there are.
		agents: desc("openstack_cinder_agent_state", "Whether the service is up.",
			"uuid", "hostname", "service", "adminState", "zone", "disabledReason"),
	}
}

// Describe implements prometheus.Collector.
func (s *state) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		s.databaseUp, s.databaseWritable, s.busUp, s.busRefusals, s.policyOK, s.policyFailures, s.policyBroken,
		s.open, s.overdue, s.stuck, s.monitoring, s.agents,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector: it asks everything at once.
func (s *state) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), Bound)
	defer cancel()
	var looks sync.WaitGroup
	looks.Go(func() {
		_, err := s.database.get(ctx)
		out <- gauge(s.databaseUp, number(err == nil))
	})
	looks.Go(func() {
		_, err := s.writes.get(ctx)
		out <- gauge(s.databaseWritable, number(err == nil))
	})
	looks.Go(func() {
		b, err := s.bus.get(ctx)
		out <- gauge(s.busUp, number(err == nil && b.Refusals == 0))
		if err == nil {
			out <- gauge(s.busRefusals, float64(b.Refusals))
		}
	})
	looks.Go(func() {
		if p, err := s.policy.get(ctx); err == nil {
			out <- gauge(s.policyOK, number(p.OK))
			out <- prometheus.MustNewConstMetric(s.policyFailures, prometheus.CounterValue, float64(p.Failures))
			out <- gauge(s.policyBroken, float64(p.Broken))
		}
	})
	looks.Go(func() {
		if f, err := s.fleet.get(ctx); err == nil {
			s.operations(f, out)
			s.services(f, out)
		}
	})
	looks.Wait()
}

func (s *state) operations(f Fleet, out chan<- prometheus.Metric) {
	var open, overdue, stuck, monitoring float64
	for i := range f.Open {
		op := &f.Open[i]
		open += number(op.State == cinder.OpOpen)
		overdue += number(op.Overdue(f.Now))
		stuck += number(op.Stuck())
		monitoring += number(op.State == cinder.OpMonitoring)
	}
	out <- gauge(s.open, open)
	out <- gauge(s.overdue, overdue)
	out <- gauge(s.stuck, stuck)
	out <- gauge(s.monitoring, monitoring)
}

func (s *state) services(f Fleet, out chan<- prometheus.Metric) {
	told := map[[6]string]bool{}
	for i := range f.Services {
		row := &f.Services[i]
		admin, reason := "enabled", ""
		if row.Disabled {
			admin = "disabled"
		}
		if row.DisabledReason != nil {
			reason = *row.DisabledReason
		}
		labels := [6]string{row.UUID, row.Host, row.Binary, admin, row.Zone, reason}
		for i := range labels {
			labels[i] = valid(labels[i])
		}
		if told[labels] { // two rows without a uuid: the tables do not forbid them
			continue
		}
		told[labels] = true
		out <- gauge(s.agents, number(row.Up(f.Now, f.DownTime)), labels[:]...)
	}
}

// close waits for the looks that are under way.
func (s *state) close(ctx context.Context) error {
	return errors.Join(s.database.wait(ctx), s.writes.wait(ctx), s.bus.wait(ctx), s.policy.wait(ctx), s.fleet.wait(ctx))
}

func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// valid makes a label of a text from a database: Prometheus takes UTF-8 alone.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
