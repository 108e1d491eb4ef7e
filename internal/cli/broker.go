package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/cli/format"
	"stoker/internal/dsn"
	"stoker/internal/oslo"
	"stoker/internal/oslo/amqp"
	"stoker/internal/rpc"
	"stoker/internal/store"
)

// busBound is how long a check of the bus may take in all. Brokers that are dead
// or hang are found out at the same time, in 15 s at most.
const busBound = 30 * time.Second

// checkBus says what the bus is and who listens there. Anything that keeps a
// command from getting through is a failure.
func checkBus(ctx context.Context, o DBOptions) error {
	bus, err := app.BusOptions(o.Config, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if bus.URL.Scheme == dsn.SchemeMemory {
		_, err := fmt.Fprintln(o.Out, "There is no bus to check: transport_url is memory://, which is inside each process and reaches no other.")
		return err
	}
	bus.Name = "stoker bus check"
	ctx, cancel := context.WithTimeout(ctx, busBound)
	defer cancel()
	services, unread := readServices(ctx, o)
	queues := []oslo.Destination{oslo.ToAny(cinder.BinaryScheduler), oslo.ToAny(cinder.BinaryVolume), oslo.ToAny(cinder.BinaryBackup)}
	shared := len(queues)
	for _, s := range services {
		for _, q := range rpc.Queues(s.Service) {
			if !slices.Contains(queues, q) {
				queues = append(queues, q)
			}
		}
	}
	found, err := amqp.Examine(ctx, bus, []string{cinder.BinaryScheduler}, queues)
	if err != nil {
		return err
	}
	r := &busReport{}
	r.brokers(found.Brokers, bus.URL.VirtualHost)
	if found.Usable() {
		r.exchanges(found)
		r.queues(found.Queues[:shared])
		r.services(services, found.Queues)
	}
	if unread != nil {
		r.add("Services", "unknown: "+unread.Error(), nil)
	}
	if err := format.Write(o.Out, format.FormTable, nil, r.record.Table()); err != nil {
		return err
	}
	return r.verdict(o)
}

// checkedService is a service of the database.
type checkedService struct {
	cinder.Service
	up bool
}

// readServices are the services that the database has; without one the bus is
// checked all the same.
func readServices(ctx context.Context, o DBOptions) ([]checkedService, error) {
	db, err := store.Open(ctx, app.StoreOptions(o.Config, nil))
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	v, err := db.View(ctx, cinder.ServiceQuery{})
	if err != nil {
		return nil, err
	}
	services := make([]checkedService, len(v.Services))
	for i, s := range v.Services {
		services[i] = checkedService{s, s.Up(v.Now, o.Config.DownTime)}
	}
	return services, nil
}

// busReport is what the operator reads: everything, and what of it is wrong.
type busReport struct {
	record format.Record
	faults []string
}

// add adds a line, and what is wrong there.
func (r *busReport) add(name, value string, fault error) {
	if fault != nil {
		r.faults = append(r.faults, name+": "+fault.Error())
		if value == "" {
			value = "cannot be used"
		}
	}
	r.record = append(r.record, format.Field{Name: name, Value: value})
}

// verdict names what is wrong.
func (r *busReport) verdict(o DBOptions) error {
	for _, f := range r.faults {
		fmt.Fprintln(o.Log, "stoker:", oneLine(f))
	}
	switch len(r.faults) {
	case 0:
		return nil
	case 1:
		return errors.New("1 fault")
	default:
		return fmt.Errorf("%d faults", len(r.faults))
	}
}

func (r *busReport) brokers(brokers []amqp.Broker, vhost string) {
	for _, b := range brokers {
		value := ""
		if b.Err == nil {
			value = fmt.Sprintf("%s, virtual host %s", b.Product, vhost)
			if b.Cluster != "" {
				value += ", cluster " + b.Cluster
			}
			if b.TLS != "" {
				value += ", " + b.TLS
			}
		}
		if b.Err != nil {
			value = "cannot be used"
			r.faults = append(r.faults, "Broker "+b.Err.Error()) // which begins with the address
		}
		r.add("Broker "+b.Address, value, nil)
	}
}

func (r *busReport) exchanges(found amqp.Examination) {
	for _, x := range found.Exchanges {
		value := "as the options say"
		switch {
		case x.Err != nil:
			value = ""
		case !x.There:
			value = "not there yet: whoever needs it first makes it"
		}
		r.add("Exchange "+x.Name, value, x.Err)
	}
	value := ""
	if found.RoundTripErr == nil {
		value = "a message came back after " + found.RoundTrip.Round(10*time.Microsecond).String()
	}
	r.add("Round trip", value, found.RoundTripErr)
}

func (r *busReport) queues(queues []amqp.Queue) {
	for _, q := range queues {
		r.add("Queue "+q.Name, listeners(q), q.Err)
	}
}

// services compares who is up with who listens.
func (r *busReport) services(services []checkedService, queues []amqp.Queue) {
	by := map[string]amqp.Queue{}
	for _, q := range queues {
		by[q.Name] = q
	}
	told := map[string]bool{} // of a cluster's queue once, not for each member
	for _, s := range services {
		state := "down"
		if s.up {
			state = "up"
		}
		for i, d := range rpc.Queues(s.Service) {
			q, clusters := by[d.Name], i > 0
			fault := q.Err
			switch {
			case told[q.Name]:
				fault = nil
			case fault != nil:
			case s.up && q.Consumers == 0:
				fault = fmt.Errorf("it is up and nobody listens to %s: no command reaches it", q.Name)
			case !s.up && q.Consumers > 0 && !clusters: // of a cluster's queue others may be the listeners
				fault = fmt.Errorf("it is down and somebody listens to %s: it hangs, or its clock or its database is another", q.Name)
			}
			told[q.Name] = told[q.Name] || fault != nil
			r.add(s.Binary+" "+s.Host, state+", "+listeners(q)+" at "+q.Name, fault)
		}
	}
}

// listeners says how many listen to a queue.
func listeners(q amqp.Queue) string {
	switch {
	case !q.There && q.Err == nil:
		return "no such queue"
	case !q.There:
		return "unknown who listens"
	case q.Consumers == 1:
		return fmt.Sprintf("1 listener, %d messages", q.Messages)
	default:
		return fmt.Sprintf("%d listeners, %d messages", q.Consumers, q.Messages)
	}
}
