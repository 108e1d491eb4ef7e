package control_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"stoker/internal/cinder"
)

// What befalls the services of a world.

// hang stops a process as SIGSTOP does; what it holds it holds.
func (w *world) hang(host string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.services[host]; s.state == "alive" {
		s.state = "hung"
	}
}

// goOn ends that: what is held is carried out, however late it is.
func (w *world) goOn(host string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.services[host]
	if s.state != "hung" {
		return nil
	}
	s.state = "alive"
	held := s.held
	s.held = nil
	var errs []error
	for _, cmd := range held {
		errs = append(errs, w.carryOut(s, cmd, "done"))
	}
	return errors.Join(errs...)
}

func (w *world) kill(host string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.services[host].state, w.services[host].held = "dead", nil
}

// restart starts a dead process: it takes any failover for over but one that has
// succeeded, and writes that into the row of its cluster, too.
func (w *world) restart(host string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.services[host]
	if s.state != "dead" {
		return nil
	}
	s.state = "alive"
	reset := false
	err := w.write(s, func(r *cinder.Service) {
		s.site = ""
		if r.ActiveBackendID != nil {
			s.site = *r.ActiveBackendID
		}
		if reset = r.ReplicationStatus != cinder.ReplicationFailedOver; reset {
			r.ReplicationStatus = cinder.ReplicationEnabled
		}
	})
	if s.cluster != "" && reset {
		err = errors.Join(err, w.writeCluster(s.cluster, func(c *cinder.Cluster) { c.ReplicationStatus = cinder.ReplicationEnabled }))
	}
	_, beat := w.db.Beat(context.Background(), s.row)
	return errors.Join(err, beat)
}

// pass lets time pass, with the heartbeats of those who live.
func (w *world) pass(d time.Duration) error {
	var errs []error
	for d > 0 {
		nap := min(d, 10*time.Second)
		d -= nap
		time.Sleep(nap) //nolint:forbidigo // Time in the bubble is ours.
		w.mu.Lock()
		for _, host := range w.hosts() {
			if s := w.services[host]; s.state == "alive" {
				_, err := w.db.Beat(context.Background(), s.row)
				errs = append(errs, err)
			}
		}
		w.mu.Unlock()
	}
	return errors.Join(errs...)
}

// idle says whether no queue holds anything that can still be carried out.
func (w *world) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.queues {
		if slices.ContainsFunc(q, func(c *simulatedCommand) bool { return time.Now().Before(c.expires) }) {
			return false
		}
	}
	return true
}
