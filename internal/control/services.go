package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control/evidence"
)

// Listing is a list of services as they are to be shown: while an operation is
// open, rows say what its journal entry says. It is shared and must not be
// written to.
type Listing struct {
	Services []cinder.Service
	Open     []cinder.Operation // those that are open or watched, the oldest first
	Now      time.Time          // what heartbeats are compared with
	DownTime time.Duration      // how old the heartbeat of a live service may be
}

// Services lists the services that q selects, by id.
func (c *Control) Services(ctx context.Context, q cinder.ServiceQuery) (Listing, error) {
	v, err := c.o.Store.View(ctx, q)
	if err != nil {
		return Listing{}, fmt.Errorf("list services: %w", err)
	}
	return Listing{Services: shown(v.Services, v.Open), Open: v.Open, Now: v.Now, DownTime: c.o.DownTime}, nil
}

// shown lays over the rows what the open operations say of them: a freeze or
// thaw speaks for disabled, its reason and frozen, a failover for the
// replication columns (G1). Rows are copied before they are changed.
func shown(rows []cinder.Service, open []cinder.Operation) []cinder.Service {
	copied := false
	for i := range open {
		op := &open[i]
		for _, st := range op.Shown.Services {
			i, ok := slices.BinarySearchFunc(rows, st.ID, func(s cinder.Service, id int64) int { return cmp.Compare(s.ID, id) })
			if !ok || op.State == cinder.OpMonitoring && !evidence.CarriedOutLate(op, &rows[i], st) {
				continue
			}
			if !copied {
				rows, copied = slices.Clone(rows), true
			}
			overlay(&rows[i], op, st)
		}
	}
	return rows
}

// overlay makes a row show what an operation says of it.
func overlay(row *cinder.Service, op *cinder.Operation, st cinder.ServiceState) {
	switch {
	case op.State == cinder.OpMonitoring: // what was carried out late is about to be undone
		row.Disabled, row.DisabledReason = st.Disabled, st.DisabledReason
	case op.Kind == cinder.OpFailover:
		row.ReplicationStatus, row.ActiveBackendID = st.ReplicationStatus, st.ActiveBackendID
		if evidence.EnabledBy(row, st) { // a failback that ended more causes than its own
			row.Disabled, row.DisabledReason = true, st.DisabledReason
		}
	default:
		row.Disabled, row.DisabledReason, row.Frozen = st.Disabled, st.DisabledReason, st.Frozen
	}
}

// named returns the services of one binary on one host. The host may leave its
// backend out when only one fits; several rows of one host (nothing in the
// schema forbids them) are one service. KindNotFound when there is none
// (services.json, disable/missing-svc), KindInvalid when the name is not enough.
func named(ctx context.Context, tx Tx, host, binary string) ([]cinder.Service, error) {
	rows, err := tx.Services(ctx, cinder.ServiceQuery{Host: &host, Binary: &binary})
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(rows, func(s cinder.Service) bool { return s.Host == host }); i >= 0 {
		rows = slices.DeleteFunc(rows, func(s cinder.Service) bool { return s.Host != host })
	}
	if len(rows) == 0 {
		return nil, cinder.Errorf(cinder.KindNotFound, "Service %s could not be found on host %s.", binary, host)
	}
	if hosts := hostsOf(rows); len(hosts) > 1 {
		return nil, cinder.Errorf(cinder.KindInvalid,
			"Invalid input received: host %s has several %s services: name one of %s.", host, binary, strings.Join(hosts, ", "))
	}
	return rows, nil
}

func hostsOf(rows []cinder.Service) []string {
	var hosts []string
	for _, s := range rows {
		if !slices.Contains(hosts, s.Host) {
			hosts = append(hosts, s.Host)
		}
	}
	return hosts
}
