package evidence

import (
	"slices"

	"stoker/internal/cinder"
)

// Site is the site that a row names: the primary one when it names none.
func Site(active *string) string {
	if active == nil || *active == "" {
		return cinder.FailbackTarget
	}
	return *active
}

// CanFailOver reports whether a failover may start from that status. Cinder's own
// list lacks failover-error, which leaves no way out of it.
func CanFailOver(st cinder.ReplicationStatus) bool {
	return st == cinder.ReplicationEnabled || st == cinder.ReplicationFailedOver || st == cinder.ReplicationFailoverError
}

// failoverStatus reports whether a service of that status is on another site, or may be.
func failoverStatus(st cinder.ReplicationStatus) bool {
	return st == cinder.ReplicationFailedOver || st == cinder.ReplicationFailingOver || st == cinder.ReplicationFailoverError
}

// restartedDuringFailover reports whether a service that was failed over started
// while its row said failing-over, and is where it was: it then writes enabled, and
// would have left failed-over alone.
func restartedDuringFailover(status, before cinder.ReplicationStatus, active, from *string) bool {
	return status == cinder.ReplicationEnabled && before == cinder.ReplicationFailedOver && Site(active) == Site(from) && Site(active) != cinder.FailbackTarget
}

// InterruptedFailover reports whether a row says failing-over, or what a service made of
// that when it started: then its status is to be what it was before the failover.
func InterruptedFailover(row *cinder.Service, before cinder.ServiceState) bool {
	return row.ReplicationStatus == cinder.ReplicationFailingOver ||
		restartedDuringFailover(row.ReplicationStatus, before.ReplicationStatus, row.ActiveBackendID, before.ActiveBackendID)
}

// InterruptedClusterFailover does so for a cluster's row.
func InterruptedClusterFailover(row *cinder.Cluster, before cinder.ClusterState) bool {
	return row.ReplicationStatus == cinder.ReplicationFailingOver ||
		restartedDuringFailover(row.ReplicationStatus, before.ReplicationStatus, row.ActiveBackendID, before.ActiveBackendID)
}

// FailingOver reports whether a row says that a failover is under way.
func FailingOver(row *cinder.Service) bool {
	return row.ReplicationStatus == cinder.ReplicationFailingOver
}

// Progress is how far a failover has come, going by the rows.
type Progress int

// What rows say of a failover.
const (
	Ended   Progress = iota // no row is failing over
	Running                 // the outcome is still to come
	Telling                 // the cluster's row names the outcome, and members have yet to hear of it
)

// ProgressOf reads how far a failover has come. Of a cluster it is the cluster's own
// row that tells. A member that restarts in the middle puts that row back, though
// another goes on (live.json, missed/restart): an unchanged site proves nothing while
// a live member may still be executing the failover.
func ProgressOf(op *cinder.Operation, cluster *cinder.Cluster, members []cinder.Service, alive func(*cinder.Service) bool) Progress {
	behind := where(members, FailingOver)
	switch {
	case cluster != nil && cluster.ReplicationStatus == cinder.ReplicationFailingOver:
		return Running
	case len(behind) == 0:
		return Ended
	case cluster == nil || siteUnchanged(op, cluster) && len(where(behind, alive)) > 0:
		return Running
	default:
		return Telling
	}
}

// siteUnchanged reports whether a cluster's row names the site that it named before
// a failover, which has not failed either.
func siteUnchanged(op *cinder.Operation, cl *cinder.Cluster) bool {
	return cl.ReplicationStatus != cinder.ReplicationFailoverError && slices.ContainsFunc(op.Before.Clusters, func(st cinder.ClusterState) bool {
		return st.ID == cl.ID && Site(st.ActiveBackendID) == Site(cl.ActiveBackendID)
	})
}

// Outcome is how a failover ended, going by the rows.
type Outcome int

// How failovers end.
const (
	Arrived  Outcome = iota // on the site that was asked for
	Failed                  // failover-error
	Stayed                  // where it was
	Replaced                // neither: somebody else has changed it
	Removed                 // there is no row any more
)

// OutcomeOf reads how a failover ended, with the status and the site that the rows
// name. What a service wrote that started in the midst is taken for what it was.
func OutcomeOf(op *cinder.Operation, cluster *cinder.Cluster, members []cinder.Service) (o Outcome, status cinder.ReplicationStatus, site string) {
	if len(members) == 0 {
		return Removed, "", ""
	}
	status, active := members[0].ReplicationStatus, members[0].ActiveBackendID
	switch {
	case cluster != nil:
		status, active = cluster.ReplicationStatus, cluster.ActiveBackendID
		if ClusterMisstated(cluster) {
			status = cinder.ReplicationFailedOver
		}
	case InterruptedFailover(&members[0], op.Before.Services[0]):
		status = op.Before.Services[0].ReplicationStatus
	}
	before, from := op.Before.Services[0].ReplicationStatus, op.Before.Services[0].ActiveBackendID
	if len(op.Before.Clusters) > 0 {
		before, from = op.Before.Clusters[0].ReplicationStatus, op.Before.Clusters[0].ActiveBackendID
	}
	site = Site(active)
	changed := site != Site(from) || status != before
	switch {
	case status == cinder.ReplicationFailoverError:
		return Failed, status, site
	case site == op.Detail, changed && op.Detail == "" && status == cinder.ReplicationFailedOver:
		return Arrived, status, site
	case !changed:
		return Stayed, status, site
	default:
		return Replaced, status, site
	}
}

// CarriedOutAfterRollback reports whether a row is somewhere else than where a
// failover that was rolled back left it.
func CarriedOutAfterRollback(op *cinder.Operation, row *cinder.Service) bool {
	return !FailingOver(row) && slices.ContainsFunc(op.After.Services, func(st cinder.ServiceState) bool {
		return st.Binary == row.Binary && st.Host == row.Host &&
			(st.ReplicationStatus != row.ReplicationStatus || Site(st.ActiveBackendID) != Site(row.ActiveBackendID))
	})
}

// FailbackArrived reports whether a failback has moved a row.
func FailbackArrived(failback *cinder.Operation, row *cinder.Service) bool {
	return !FailingOver(row) && slices.ContainsFunc(failback.Before.Services, func(st cinder.ServiceState) bool {
		return st.ID == row.ID && !Equal(st.ActiveBackendID, row.ActiveBackendID)
	})
}

// FailbackEnabled reports whether a service has written that it is back and enabled
// while the open failback shows it as disabled: it ended more causes than its own.
func FailbackEnabled(failback *cinder.Operation, row *cinder.Service) bool {
	return !row.Disabled && is(row.DisabledReason, "") && row.ReplicationStatus == cinder.ReplicationEnabled &&
		slices.ContainsFunc(failback.Shown.Services, func(st cinder.ServiceState) bool { return st.ID == row.ID && st.Disabled })
}

// ClusterOutcome is how a failover of the cluster ended, going by its row: a member
// that restarts may have set the status to enabled, but it leaves the site. One that
// failed leaves the backend where it was.
func ClusterOutcome(cl *cinder.Cluster) cinder.FailoverOutcome {
	o := cinder.FailoverOutcome{ReplicationStatus: cinder.ReplicationEnabled, ActiveBackendID: new("")}
	if site := Site(cl.ActiveBackendID); site != cinder.FailbackTarget {
		o = cinder.FailoverOutcome{ReplicationStatus: cinder.ReplicationFailedOver, ActiveBackendID: &site}
	}
	if cl.ReplicationStatus == cinder.ReplicationFailoverError {
		o.ReplicationStatus = cinder.ReplicationFailoverError
	}
	return o
}

// ClusterKnows reports whether the cluster's row says where its backend is.
func ClusterKnows(cl *cinder.Cluster) bool {
	switch cl.ReplicationStatus {
	case cinder.ReplicationFailedOver, cinder.ReplicationEnabled, cinder.ReplicationFailoverError:
		return true
	default:
		return false
	}
}

// ClusterMisstated reports whether a cluster's row says enabled and names another
// site: a member that started in the midst of a failover wrote the status.
func ClusterMisstated(cl *cinder.Cluster) bool {
	return cl.ReplicationStatus == cinder.ReplicationEnabled && Site(cl.ActiveBackendID) != cinder.FailbackTarget
}

// Disagrees reports whether a member takes the backend to be somewhere else than its
// cluster's row says, or to be still on its way.
func Disagrees(member cinder.ServiceState, cl *cinder.Cluster) bool {
	return Site(member.ActiveBackendID) != Site(cl.ActiveBackendID) || member.ReplicationStatus == cinder.ReplicationFailingOver ||
		Site(cl.ActiveBackendID) != cinder.FailbackTarget && member.ReplicationStatus == cinder.ReplicationEnabled
}
