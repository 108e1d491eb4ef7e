package control

import (
	"context"
	"slices"
	"strings"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
)

// Selector names what a freeze, thaw or failover is for: a host or a cluster.
// Exactly one of the two is set.
type Selector struct {
	Host    string
	Cluster string
}

// String is the selector as messages spell it.
func (s Selector) String() string {
	if s.Cluster != "" {
		return "cluster=" + s.Cluster
	}
	return "host=" + s.Host
}

// target is what a command is for: one volume service, or all members of a cluster.
type target struct {
	cluster *cinder.Cluster // nil when not clustered
	members []cinder.Service
}

// find resolves a selector: a host without a backend is enough when only one
// fits, and a clustered host stands for its whole cluster. KindInvalid when
// nothing or too much fits (services.json, freeze/nope@3.70; live.json, healthy/freeze-host1).
func find(ctx context.Context, tx Tx, sel Selector) (target, error) {
	binary := cinder.BinaryVolume
	q := cinder.ServiceQuery{Binary: &binary}
	if sel.Cluster != "" {
		q.Cluster = &sel.Cluster
	} else {
		q.Host = &sel.Host
	}
	rows, err := tx.Services(ctx, q)
	if err != nil {
		return target{}, err
	}
	if len(rows) == 0 {
		return target{}, cinder.Errorf(cinder.KindInvalid, "No service found with %s", sel)
	}
	first := rows[0]
	mixed := slices.ContainsFunc(rows, func(s cinder.Service) bool {
		return s.Cluster != first.Cluster || first.Cluster == "" && s.Host != first.Host
	})
	if mixed {
		return target{}, cinder.Errorf(cinder.KindInvalid, "Services from different clusters found.")
	}
	if first.Cluster == "" {
		return target{members: rows}, nil
	}
	return members(ctx, tx, first.Cluster)
}

// members is a cluster with everybody in it.
func members(ctx context.Context, tx Tx, name string) (target, error) {
	binary := cinder.BinaryVolume
	cluster, err := tx.Cluster(ctx, name, binary)
	if err != nil {
		return target{}, err
	}
	rows, err := tx.Services(ctx, cinder.ServiceQuery{Binary: &binary, Cluster: &name})
	if err != nil {
		return target{}, err
	}
	rows = slices.DeleteFunc(rows, func(s cinder.Service) bool { return s.Cluster != name })
	return target{cluster: &cluster, members: rows}, nil
}

// precondition is what must hold of a row for a command to make sense.
type precondition struct {
	says    string // "frozen in %s must be False to freeze."
	cluster func(*cinder.Cluster) bool
	member  func(*cinder.Service) bool
}

// check keeps the members of which the precondition holds. KindInvalid when it
// does not hold of the cluster, or of no member at all.
func (t target) check(p precondition) (target, error) {
	fail := func(prefix, who string) (target, error) {
		return target{}, cinder.Errorf(cinder.KindInvalid, "Invalid input received: %s%s", prefix, strings.ReplaceAll(p.says, "%s", who))
	}
	if t.cluster != nil && !p.cluster(t.cluster) {
		return fail("", t.cluster.Name)
	}
	fit := slices.DeleteFunc(slices.Clone(t.members), func(s cinder.Service) bool { return !p.member(&s) })
	if len(fit) == 0 {
		return fail("No service could be changed: ", "['"+strings.Join(hostsOf(t.members), "', '")+"']")
	}
	return target{cluster: t.cluster, members: fit}, nil
}

// idle says whether no open operation of the kinds has any of the members in hand.
func (t target) idle(open []cinder.Operation, kinds ...cinder.OperationKind) bool {
	return t.busy(open, kinds...) == nil
}

// busy fails with KindConflict when an open operation of one of the kinds has
// any of the members in hand: a second one could not tell its effects from the first's.
func (t target) busy(open []cinder.Operation, kinds ...cinder.OperationKind) error {
	for _, s := range t.members {
		if op := touches(open, s.Binary, s.Host, kinds...); op != nil {
			return cinder.Errorf(cinder.KindConflict, "A %s of %s is under way: operation %s.", op.Kind, s.Host, op.ID)
		}
	}
	return nil
}

// onItsWayBack fails with KindConflict while a failback of ours is carried out, or may
// be by a service that has started and forgotten it: what it writes could not be told
// from what a freeze or thaw writes.
func (t target) onItsWayBack(open []cinder.Operation) error {
	for _, s := range t.members {
		op := touches(open, s.Binary, s.Host, cinder.OpFailover)
		if op != nil && op.Detail == cinder.FailbackTarget && !evidence.FailbackArrived(op, &s) {
			return cinder.Errorf(cinder.KindConflict, "A failback of %s is under way: operation %s.", s.Host, op.ID)
		}
	}
	return nil
}

// before writes down the rows as they are.
func (t target) before() cinder.Rows {
	var rows cinder.Rows
	for i := range t.members {
		rows.Services = append(rows.Services, t.members[i].State())
	}
	if t.cluster != nil {
		rows.Clusters = []cinder.ClusterState{t.cluster.State()}
	}
	return rows
}

// name is what the target is called: its cluster or its host.
func (t target) name() string {
	if t.cluster != nil {
		return t.cluster.Name
	}
	return t.members[0].Host
}
