package control_test

import (
	"errors"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"stoker/internal/cinder"
)

// elsewhere lets another API, a Python one, change a service of which we have
// nothing in hand, as it was seen to (doc/cinder/behaviour.md#freeze-and-thaw). What
// it wrote counts; but a thaw gives back what an administrator has disabled. One of
// our processes has to have looked after each of them (G4): what a freeze then
// writes over cannot be told any more.
func (p *player) elsewhere(i int, host string, how int) error {
	q := queueOf(host)
	if err := p.serveAll(i); err != nil {
		return err
	}
	if quiet, err := p.quiet(q); err != nil || !quiet || p.rules.spoiled[q] {
		return err
	}
	s := p.w.services[host]
	_, admin := p.rules.admin[host]
	move := []string{"disable", "enable", "freeze", "thaw", "freeze", "thaw"}[how]
	row, err := p.w.row(s)
	if err != nil {
		return err
	}
	switch {
	case move == "disable" && row.ReplicationStatus == cinder.ReplicationFailoverError:
		return nil // the service may have done that, too, with whatever reason it found in its row
	case move == "disable":
		reason := fmt.Sprintf("elsewhere %d", i)
		p.rules.admin[host] = reason
		if err := p.w.write(s, func(r *cinder.Service) { r.Disabled, r.DisabledReason, r.ModifiedAt = true, &reason, time.Now() }); err != nil {
			return err
		}
	case move == "enable" && admin && !p.rules.frozen[q]:
		p.rules.left[host] = p.rules.admin[host]
		delete(p.rules.admin, host)
		if err := p.w.write(s, func(r *cinder.Service) { r.Disabled, r.ModifiedAt = false, time.Now() }); err != nil {
			return err
		}
	case (move == "freeze" || move == "thaw") && host == alpha && s.state == "alive" && p.rules.frozen[q] == (move == "thaw"):
		p.rules.frozen[q] = move == "freeze"
		if err := p.w.write(s, func(r *cinder.Service) { r.Frozen = move == "freeze" }); err != nil {
			return err
		}
		p.w.mu.Lock()
		err := p.w.carryOut(s, &simulatedCommand{kind: move, answer: make(chan error, 1)}, "done")
		p.w.mu.Unlock()
		if err != nil {
			return err
		}
	default:
		return nil
	}
	p.trace = append(p.trace, "   elsewhere: "+move)
	p.rules.wrote(q)
	if host == alpha {
		p.rules.history = append(p.rules.history, porcupine.Operation{
			Input: asked{move}, Output: seen{ok: true}, Call: int64(i), Return: int64(i),
		})
	}
	if move == "disable" || move == "enable" || move == "thaw" && admin {
		p.look(p.start())
	}
	return nil
}

// serveAll lets the services carry out what waits for them.
func (p *player) serveAll(i int) error {
	for range 3 {
		for _, host := range p.w.hosts() {
			if _, err := p.w.serve(host, "done"); err != nil {
				return err
			}
		}
		synctest.Wait()
		if err := p.collect(i); err != nil {
			return err
		}
	}
	ops, err := p.journal()
	if err != nil {
		return err
	}
	p.rules.learn(ops)
	return nil
}

// quiet says whether none of our processes has anything in hand of a queue.
func (p *player) quiet(queue string) (bool, error) {
	if slices.ContainsFunc(p.calls, func(c *call) bool { return queueOf(c.host) == queue }) {
		return false, nil
	}
	for _, state := range []cinder.OperationState{cinder.OpOpen, cinder.OpMonitoring} {
		ops, err := p.unsettled(state)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(ops, func(op cinder.Operation) bool { return op.Cluster == queue || queueOf(op.Host) == queue }) {
			return false, nil
		}
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return len(p.w.queues[queue]) == 0, nil
}

// lookAfterLate has a process look after a failover that was carried out late, its
// operation having ended: services that restart with the command still in their
// queue put their rows back, and then carry it out. What it wipes out comes back
// when somebody looks, as after a thaw by another API.
func (p *player) lookAfterLate() error {
	p.w.mu.Lock()
	carriedOut := p.w.failed
	p.w.failed = nil
	p.w.mu.Unlock()
	if len(carriedOut) == 0 {
		return nil
	}
	open, err := p.unsettled(cinder.OpOpen)
	if err != nil {
		return err
	}
	for _, queue := range carriedOut {
		under := func(op cinder.Operation) bool {
			return op.Kind == cinder.OpFailover && (op.Cluster == queue || queueOf(op.Host) == queue)
		}
		if !slices.ContainsFunc(open, under) {
			p.look(p.start())
			synctest.Wait()
			return nil
		}
	}
	return nil
}

// again has a service carry out a command twice, the second time when the first is
// settled: what that wipes out comes back when somebody looks.
func (p *player) again(host string) error {
	if _, err := p.w.serve(host, "again"); err != nil {
		return err
	}
	synctest.Wait()
	repeated, err := p.w.repeat()
	if repeated {
		p.rules.wrote(queueOf(host))
		p.look(p.start())
	}
	return err
}

// repeat has services carry out again what they were to, once it was settled: the
// broker has given it to them twice.
func (w *world) repeat() (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	again := w.repeats
	w.repeats = nil
	for _, f := range again {
		errs = append(errs, f())
	}
	return len(again) > 0, errors.Join(errs...)
}
