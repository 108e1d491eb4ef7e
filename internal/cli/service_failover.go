package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type serviceFailoverCmd struct {
	target
	BackendID string        `placeholder:"ID" help:"The site to move to, or default for back home. Without it the backend chooses."`
	Wait      bool          `help:"Wait for the outcome. Exit status 1 when it is not what was asked for."`
	Timeout   time.Duration `placeholder:"TIME" default:"5m" help:"With --wait: how long (default: 5m). The failover goes on after that."`
	Yes       bool          `help:"Do not ask before a failover to a site that the service did not announce."`
	clientFlags
}

// Help is shown by --help.
func (serviceFailoverCmd) Help() string {
	return `Gives the order and ends; the service list shows what comes of it: failing-over, then failed-over, or failover-error. The service is disabled while it is failed over.

Some drivers announce other names than they take. A site that the service did not announce is sent to it after a question, and its driver decides; stoker service targets shows what was announced.

Examples:

  stoker service failover stor1@alpha --backend-id site-b --wait
  stoker service failover stor1@alpha --backend-id default
  stoker service failover --cluster mycluster@alpha --backend-id site-b`
}

// Run runs it.
func (c *serviceFailoverCmd) Run(ctx context.Context, p Process) error {
	t, err := c.target.target()
	if err != nil {
		return err
	}
	if c.Wait && c.Timeout <= 0 {
		return usageError{"--timeout must be more than 0"}
	}
	return c.call(ctx, p, func(api *client.Client) error {
		if err := c.confirm(ctx, p, api, t); err != nil {
			return err
		}
		change, err := api.Failover(ctx, t, c.BackendID)
		if err != nil {
			return err
		}
		r := c.record()
		if c.BackendID != "" {
			r = append(r, format.Field{Name: "backend_id", Value: c.BackendID})
		}
		r = withOperation(r, change)
		if change.Warning != "" {
			r = append(r, format.Field{Name: "warning", Value: change.Warning})
		}
		if !c.Wait {
			return c.print(p, r, r.Table())
		}
		return c.await(ctx, p, api, r)
	})
}

// confirm asks before a failover to a site that the service did not announce.
func (c *serviceFailoverCmd) confirm(ctx context.Context, p Process, api *client.Client, t client.Target) error {
	if c.Yes || c.BackendID == "" || c.BackendID == cinder.FailbackTarget {
		return nil
	}
	all, err := api.Destinations(ctx, t)
	if cinder.KindOf(err) == cinder.KindNotFound { // a Cinder does not tell
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range all {
		if len(d.Targets) == 0 || d.Complete || slices.Contains(d.Targets, c.BackendID) {
			continue // it announced none, the server refuses it, or all is well
		}
		return ask(p, fmt.Sprintf("%v announced the replication targets %s, and not %s: its driver decides. Fail over to %s?",
			c.target, strings.Join(d.Targets, ", "), c.BackendID, c.BackendID))
	}
	return nil
}

// await waits for the outcome and prints it after r, which a person gets to see
// at once.
func (c *serviceFailoverCmd) await(ctx context.Context, p Process, api *client.Client, r format.Record) error {
	if c.Output == format.FormTable {
		if err := c.print(p, r, r.Table()); err != nil {
			return err
		}
	}
	services, waited := c.poll(ctx, api)
	if len(services) > 0 {
		if err := c.print(p, append(r, format.Field{Name: "services", Value: services}), serviceTable(services, true)); err != nil {
			return err
		}
	}
	if waited != nil {
		return waited
	}
	return c.outcome(services)
}

// pollInterval is the time between two looks at the list.
const pollInterval = time.Second

// poll looks at the services until none of them is failing over. It returns
// what it saw last. An API that is away for a while is asked again, within the
// timeout.
func (c *serviceFailoverCmd) poll(ctx context.Context, api *client.Client) ([]client.Service, error) {
	within, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var seen []client.Service
	for {
		services, err := c.services(within, api)
		switch kind := cinder.KindOf(err); {
		case err == nil:
			if seen = services; !failingOver(services) {
				return seen, nil
			}
		case kind != cinder.KindUnavailable && kind != cinder.KindTimeout && within.Err() == nil:
			return seen, err
		}
		timer := time.NewTimer(pollInterval + rand.N(pollInterval/5))
		select {
		case <-timer.C:
		case <-within.Done():
			timer.Stop()
		}
		switch {
		case ctx.Err() != nil:
			return seen, ctx.Err()
		case within.Err() != nil:
			return seen, fmt.Errorf("%v: the failover has not ended after %v; it goes on, see stoker service list --long", c.target, c.Timeout)
		}
	}
}

// services are those that the failover is for.
func (c *serviceFailoverCmd) services(ctx context.Context, api *client.Client) ([]client.Service, error) {
	all, err := api.Services(ctx, client.ServiceFilter{Host: c.Host, Binary: cinder.BinaryVolume})
	if err != nil || c.Cluster == "" {
		return all, err
	}
	var members []client.Service
	for _, s := range all {
		if s.Cluster != nil && cinder.HostMatches(*s.Cluster, c.Cluster) {
			members = append(members, s)
		}
	}
	return members, nil
}

func failingOver(services []client.Service) bool {
	for _, s := range services {
		if s.ReplicationStatus != nil && *s.ReplicationStatus == string(cinder.ReplicationFailingOver) {
			return true
		}
	}
	return false
}

// outcome is an error when the services are not where they were to go.
func (c *serviceFailoverCmd) outcome(services []client.Service) error {
	var wrong []string
	for _, s := range services {
		status, active := format.Cell(s.ReplicationStatus), ""
		if s.ActiveBackendID != nil {
			active = *s.ActiveBackendID
		}
		over := status == string(cinder.ReplicationFailedOver)
		switch {
		case c.BackendID == cinder.FailbackTarget && status == string(cinder.ReplicationEnabled) && active == "":
		case c.BackendID == "" && over:
		case c.BackendID != "" && over && active == c.BackendID:
		case over:
			wrong = append(wrong, fmt.Sprintf("%s is failed over to %s", s.Host, active))
		default:
			wrong = append(wrong, fmt.Sprintf("%s is %s", s.Host, status))
		}
	}
	switch {
	case len(wrong) > 0:
		return fmt.Errorf("the failover did not succeed: %s", strings.Join(wrong, ", "))
	case len(services) == 0:
		return errors.New("the failover was ordered, but the list shows no such service any more")
	}
	return nil
}
