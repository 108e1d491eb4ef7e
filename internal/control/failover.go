package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
	"stoker/internal/control/lifecycle"
	"stoker/internal/failpoint"
)

// Failover sends a host, or a whole cluster, to another site: nil lets the
// backend choose, "default" goes back. It returns once the command is delivered;
// the operation ends when the rows show the outcome. A site that the service did
// not announce is sent all the same, unless it said that it announced them all:
// the driver decides, and the operation carries a warning. Fails, the rows being as
// before, with KindInvalid when the site cannot be meant or the precondition does
// not hold, KindConflict when a failover is under way, and as Fleet.Failover does.
func (c *Control) Failover(ctx context.Context, sel Selector, site *string) (cinder.Operation, error) {
	began := time.Now()
	failpoint.Asked.Here()
	op, first, err := c.markFailingOver(ctx, sel, site)
	if err != nil {
		return cinder.Operation{}, fmt.Errorf("failover %s: %w", sel, err)
	}
	failpoint.Recorded.Here()
	c.notify(ctx, op, noticeStart)
	if op, err = c.mayPublish(ctx, op, began); err != nil {
		return c.undoFailover(ctx, op, err)
	}
	sctx, cancel := detached(ctx, c.o.ResponseTimeout)
	defer cancel()
	switch err := c.o.Fleet.Failover(sctx, first, site); cinder.KindOf(err) {
	case cinder.KindTimeout:
		c.lookSoon() // perhaps it was delivered: the rows will tell
		return op, fmt.Errorf("failover %s: %w", sel, err)
	default:
		if err != nil {
			return c.undoFailover(ctx, op, err)
		}
	}
	failpoint.Sent.Here()
	c.lookSoon()
	return op, nil
}

// lookSoon makes Run look at the open operations now.
func (c *Control) lookSoon() {
	select {
	case c.wake <- struct{}{}:
	default: // it is told already
	}
}

// markFailingOver is the transaction before the command.
func (c *Control) markFailingOver(ctx context.Context, sel Selector, site *string) (op cinder.Operation, first cinder.Service, err error) {
	err = c.update(ctx, func(tx Tx) error {
		t, err := find(ctx, tx, sel)
		if err != nil {
			return err
		}
		oldest := cinder.OldestRPC(t.members) // any member may take the command
		warning, err := c.judgeSite(t.members[0], t.name(), site)
		if err != nil {
			return err
		}
		open, err := tx.OpenOperations(ctx)
		if err != nil {
			return err
		}
		against := []cinder.OperationKind{cinder.OpFailover}
		if site != nil && *site == cinder.FailbackTarget {
			// A way back writes what a freeze or thaw writes: neither could be told
			// from the other. A failover does not wait for anything.
			against = append(against, cinder.OpFreeze, cinder.OpThaw)
		}
		if err := t.busy(open, against...); err != nil {
			return err
		}
		now := tx.HostNow()
		all := t // a member that is down may start, and take the command; it hears of the end, too
		t, err = t.check(precondition{
			says: "replication_status in %s must be ['enabled', 'failed-over'] and must be up to failover.",
			cluster: func(cl *cinder.Cluster) bool {
				up := slices.ContainsFunc(t.members, func(s cinder.Service) bool { return s.Up(now, c.o.DownTime) })
				return up && evidence.CanFailOver(cl.ReplicationStatus)
			},
			member: func(s *cinder.Service) bool {
				return s.Up(now, c.o.DownTime) && evidence.CanFailOver(s.ReplicationStatus)
			},
		})
		if err != nil {
			return err
		}
		first = t.members[0]
		first.RPCVersion = oldest
		op = c.operation(ctx, tx, c.newID(), cinder.OpFailover)
		op.Binary, op.Host, op.Cluster = first.Binary, sel.Host, sel.Cluster
		op.Deadline = op.StartedAt.Add(c.o.FailoverDeadline)
		if site != nil {
			op.Detail = *site
		}
		op.Progress.Warning = warning
		op.Before = all.before()
		op.Shown = target{cluster: t.cluster, members: shown(all.members, open)}.before()
		for i := range op.Shown.Services {
			st := &op.Shown.Services[i]
			if slices.ContainsFunc(t.members, func(s cinder.Service) bool { return s.ID == st.ID }) {
				st.ReplicationStatus = cinder.ReplicationFailingOver
			}
		}
		for i := range op.Shown.Clusters {
			op.Shown.Clusters[i].ReplicationStatus = cinder.ReplicationFailingOver
		}
		if err := c.writeFailingOver(ctx, tx, t, open); err != nil {
			return err
		}
		if err := c.supersede(ctx, tx, all, open, op); err != nil {
			return err
		}
		return tx.AddOperation(ctx, op)
	})
	return op, first, err
}

func (c *Control) writeFailingOver(ctx context.Context, tx Tx, t target, open []cinder.Operation) error {
	for _, row := range t.members {
		s, err := c.load(ctx, tx, row, open)
		if err != nil {
			return err
		}
		s.Row.ReplicationStatus = cinder.ReplicationFailingOver
		if err := s.save(ctx, tx); err != nil {
			return err
		}
		failpoint.Marking.Here()
	}
	if t.cluster == nil {
		return nil
	}
	if err := c.loadCluster(ctx, tx, *t.cluster); err != nil {
		return err
	}
	now := *t.cluster
	now.ReplicationStatus, now.UpdatedAt = cinder.ReplicationFailingOver, tx.Now()
	return tx.SaveCluster(ctx, *t.cluster, now)
}

// judgeSite returns the warning that a failover to the site deserves, "" for none. It refuses a site
// only when the service said that there are no others: drivers announce other names than they
// accept, and a site refused here by mistake would be refused in a disaster.
func (c *Control) judgeSite(s cinder.Service, name string, site *string) (warning string, err error) {
	if site == nil || *site == cinder.FailbackTarget {
		return "", nil
	}
	targets := c.o.Fleet.Targets(s)
	announced := strings.Join(targets.Names, ", ")
	switch {
	case slices.Contains(targets.Names, *site):
		return "", nil
	case targets.Complete && len(targets.Names) > 0:
		return "", cinder.Errorf(cinder.KindInvalid, "Invalid input received: %s is no replication target of %s: it has %s, and default to go back.",
			*site, name, announced)
	case len(targets.Names) > 0:
		return fmt.Sprintf("%s announced the replication targets %s, and not %s: its driver decides.", name, announced, *site), nil
	default:
		return "", nil
	}
}

// Destinations is where a volume service can be failed over to.
type Destinations struct {
	Service cinder.Service // as lists show it
	Targets cinder.FailoverTargets
}

// Destinations lists the volume services that q selects, by id, with the sites that each announced.
// Fails with KindUnavailable.
func (c *Control) Destinations(ctx context.Context, q cinder.ServiceQuery) ([]Destinations, error) {
	q.Binary = new(cinder.BinaryVolume)
	list, err := c.Services(ctx, q)
	if err != nil {
		return nil, err
	}
	all := make([]Destinations, len(list.Services))
	for i, s := range list.Services {
		all[i] = Destinations{Service: s, Targets: c.o.Fleet.Targets(s)}
	}
	return all, nil
}

// undoFailover restores the rows when the command was never delivered.
func (c *Control) undoFailover(ctx context.Context, op cinder.Operation, failed error) (cinder.Operation, error) {
	failpoint.Undelivered.Here()
	ctx, cancel := detached(ctx, settleTimeout)
	defer cancel()
	s, _, err := c.settle(ctx, op, byID, func(s *settlement) lifecycle.Facts {
		s.failed = failed
		return lifecycle.NotSent
	})
	if err != nil {
		c.o.Log.ErrorContext(ctx, "failover could not be undone: left to recovery", "operation", op.ID, "error", err)
		return op, cinder.Wrap(cinder.KindTimeout, err, "The outcome is not known yet: operation %s.", op.ID)
	}
	c.notify(ctx, s.op, noticeEnd)
	c.o.Log.InfoContext(ctx, "failover undone", "operation", op.ID, "error", failed)
	return s.op, failed
}

// restoreStatus puts failing-over back to what was before, in rows and cluster, and
// what a service made of it that has started meanwhile.
func restoreStatus(ctx context.Context, tx Tx, op cinder.Operation, rows *target) error {
	for i, row := range rows.members {
		for _, st := range op.Before.Services {
			if st.ID != row.ID || !evidence.InterruptedFailover(&row, st) {
				continue
			}
			now := row
			now.ReplicationStatus = st.ReplicationStatus
			if err := tx.SaveService(ctx, row, now); err != nil {
				return err
			}
			rows.members[i] = now
			failpoint.Settling.Here()
		}
	}
	if cl := rows.cluster; cl != nil {
		st := op.Before.Clusters[0]
		if !evidence.InterruptedClusterFailover(cl, st) {
			return nil
		}
		now := *cl
		now.ReplicationStatus = st.ReplicationStatus
		if err := tx.SaveCluster(ctx, *cl, now); err != nil {
			return err
		}
		rows.cluster = &now
	}
	return nil
}
