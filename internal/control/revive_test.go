package control_test

import (
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"stoker/internal/cinder"
)

// revive brings everything back to life, as operators would, and waits for the
// end of all that is under way: that there is one is G3.
func (p *player) revive() error {
	p.trace = append(p.trace, "everything is brought back to life")
	for _, host := range p.w.hosts() {
		if err := p.w.goOn(host); err != nil {
			return err
		}
		if err := p.w.restart(host); err != nil {
			return err
		}
	}
	const rounds = 400
	quiet := 0
	for round := range rounds {
		open, err := p.unsettled(cinder.OpOpen)
		if err != nil {
			return err
		}
		watched, err := p.unsettled(cinder.OpMonitoring)
		if err != nil {
			return err
		}
		pause := 5 * time.Second
		if len(open)+len(p.calls) == 0 && p.w.idle() {
			pause *= 4 // nobody has anything to do but to wait
			quiet++
		} else {
			quiet = 0
		}
		if quiet > 3 && len(watched) == 0 { // for members that have missed an end are told of it some time later
			break
		}
		if round == rounds-1 {
			return fmt.Errorf("G3: not settled in the end: open %+v, watched %+v", open, watched)
		}
		if round%60 == 30 { // those that nothing moves are restarted
			if err := p.restartStuck(); err != nil {
				return err
			}
		}
		for _, x := range p.processes {
			p.look(x)
		}
		synctest.Wait()
		for _, host := range p.w.hosts() {
			if _, err := p.w.serve(host, "done"); err != nil {
				return err
			}
		}
		synctest.Wait()
		if err := p.w.pass(pause); err != nil {
			return err
		}
		synctest.Wait()
		living := slices.Clone(p.processes)
		if err := p.collect(1000 + round); err != nil {
			return err
		}
		if !slices.Equal(living, p.processes) {
			quiet = 0 // one that is new has yet to look
		}
		if err := p.check(1000 + round); err != nil {
			return err
		}
	}
	return p.end()
}

func (p *player) unsettled(state cinder.OperationState) ([]cinder.Operation, error) {
	ops, err := p.journal()
	if err != nil {
		return nil, err
	}
	var found []cinder.Operation
	for _, op := range ops {
		if op.State == state {
			found = append(found, op)
		}
	}
	return found, nil
}

// restartStuck restarts services that are failing over and have nothing in hand:
// their command was lost, and only a restart proves that.
func (p *player) restartStuck() error {
	v, err := p.db.View(p.ctx, cinder.ServiceQuery{})
	if err != nil {
		return err
	}
	for _, s := range v.Services {
		if s.ReplicationStatus == cinder.ReplicationFailingOver {
			p.w.kill(s.Host)
			if err := p.w.restart(s.Host); err != nil {
				return err
			}
		}
	}
	return nil
}

// end compares the backends with the rows, once all is over.
func (p *player) end() error {
	v, err := p.db.Clusters(p.ctx, cinder.ClusterQuery{})
	if err != nil {
		return err
	}
	services, err := p.db.View(p.ctx, cinder.ServiceQuery{})
	if err != nil {
		return err
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	for _, row := range services.Services {
		s := p.w.services[row.Host]
		backend := p.w.backends[s.queue()]
		active := ""
		if row.ActiveBackendID != nil {
			active = *row.ActiveBackendID
		}
		switch {
		case p.rules.spoiled[s.queue()]:
		case backend.frozen != row.Frozen:
			return fmt.Errorf("G2: in the end the backend of %s is frozen: %v, and its row says %v", row.Host, backend.frozen, row.Frozen)
		case backend.site != active || s.site != active:
			return fmt.Errorf("G3: in the end the backend of %s is on %q, the driver takes it to be on %q, and its row says %q", row.Host, backend.site, s.site, active)
		case row.ReplicationStatus == cinder.ReplicationFailingOver:
			return fmt.Errorf("G3: in the end %s is failing over", row.Host)
		case row.Disabled && row.DisabledReason != nil && *row.DisabledReason == "frozen" && !row.Frozen:
			return fmt.Errorf("G2: in the end %s is disabled for a freeze that is none", row.Host)
		}
	}
	cl := v.Clusters[0]
	for _, m := range v.Members {
		// A failover that failed is over for those who have restarted since, and not for the others.
		failed := m.ReplicationStatus == cinder.ReplicationFailoverError || cl.ReplicationStatus == cinder.ReplicationFailoverError
		if m.Frozen != cl.Frozen || m.ReplicationStatus != cl.ReplicationStatus && !failed {
			return fmt.Errorf("G2: in the end %s is %s, and its cluster %s, frozen %v", m.Host, says(m), cl.ReplicationStatus, cl.Frozen)
		}
	}
	return nil
}
