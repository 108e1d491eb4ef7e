package cinder

import "time"

// OperationKind is what an operation does.
type OperationKind string

// The kinds of operation.
const (
	OpEnable         OperationKind = "enable"
	OpDisable        OperationKind = "disable"
	OpFreeze         OperationKind = "freeze"
	OpThaw           OperationKind = "thaw"
	OpFailover       OperationKind = "failover"
	OpEnableCluster  OperationKind = "enable-cluster"
	OpDisableCluster OperationKind = "disable-cluster"
	OpSetLog         OperationKind = "set-log"
	OpGiveBack       OperationKind = "give-back"          // of an administrator's disable that others have ended
	OpReconcile      OperationKind = "reconcile"          // of our record with a row that others have changed
	OpCompletion     OperationKind = "failover-completed" // told to a cluster's members once more
)

// OperationState is how far an operation has come.
type OperationState string

// The states of an operation. Open and watched are those that are not final.
const (
	OpOpen    OperationState = "open"    // intent is marked; the outcome is not known yet
	OpWatched OperationState = "watched" // rows are as before, but a process that hangs may still carry it out
	OpDone    OperationState = "done"    // carried out, rows and causes settled
	OpUndone  OperationState = "undone"  // refused, failed or never delivered; rows are as before
	OpFailed  OperationState = "failed"  // ended badly: failover-error, or what we owed could not be done
)

// Final says whether nothing more becomes of an operation in that state.
func (s OperationState) Final() bool { return s != OpOpen && s != OpWatched }

// Operation is one entry of the journal: a change that somebody asked for, from
// intent to outcome.
type Operation struct {
	ID     string // a UUID
	Kind   OperationKind
	State  OperationState
	Caller Caller

	Binary  string
	Host    string // as the request named it; "" when it named a cluster
	Cluster string
	Detail  string // failover: the target; disable: the reason; set-log: prefix=level

	// Before and After are the rows the operation touches, as they were and as
	// it left them. Shown is what lists say of them while it is open.
	Before Rows
	Shown  Rows
	After  Rows

	Owner      string    // the process that works on it
	LeaseUntil time.Time // another process may take it over after this
	Deadline   time.Time // by then an outcome is expected
	StartedAt  time.Time
	SettledAt  time.Time
	Outcome    string // why it ended as it did, in words

	Progress Progress
}

// Progress is what the processes that settle an operation tell one another.
type Progress struct {
	// Warning is what the caller was told beside the answer; "" for nothing.
	Warning string `json:"warning,omitempty"`

	// Attempts counts failures of the step that is due, Fault is the last one,
	// and NextLook the time before which nobody tries again.
	Attempts int       `json:"attempts,omitempty"`
	Fault    string    `json:"fault,omitempty"`
	NextLook time.Time `json:"next_look,omitzero"`

	// WatchUntil is when a watch ends or, of an open failover, the wait for members
	// of a cluster that have not heard of its end. Late are the hosts whose rows
	// showed meanwhile that the command was carried out after all, and Undoing says
	// that the opposite command is under way.
	WatchUntil time.Time `json:"watch_until,omitzero"`
	Late       []string  `json:"late,omitempty"`
	Undoing    bool      `json:"undoing,omitempty"`
}

// stuckAfter is how many failures in a row make an operation stuck.
const stuckAfter = 3

// Stuck says whether settling the operation fails again and again.
func (o *Operation) Stuck() bool { return o.State == OpOpen && o.Progress.Attempts >= stuckAfter }

// Overdue says whether the operation should have ended by now.
func (o *Operation) Overdue(now time.Time) bool { return o.State == OpOpen && now.After(o.Deadline) }

// OperationQuery selects operations of the journal, the newest first. Nil and
// zero fields do not restrict.
type OperationQuery struct {
	Host    *string // the host itself or any of its backends
	Cluster *string
	Binary  *string
	Kind    *string
	State   *string
	UserID  *string
	Since   time.Time // started at or after
	Before  time.Time // started before

	Marker string // the last operation of the page before; "" for the first page
	Limit  int    // at most so many
}

// OperationPage is a part of what an OperationQuery selects.
type OperationPage struct {
	Operations []Operation // the newest first
	// Next is the marker of the next page; "" when there is nothing more. There may
	// be more after a page with fewer operations than its limit, or with none: where
	// several filters meet rarely, one page does not look through the whole journal.
	Next string
}

// Touches says whether the operation has the service of that name in hand.
func (o *Operation) Touches(binary, host string) bool {
	for i := range o.Before.Services {
		if o.Before.Services[i].Binary == binary && o.Before.Services[i].Host == host {
			return true
		}
	}
	return false
}

// Rows are the states of services and clusters that an operation touches.
type Rows struct {
	Services []ServiceState `json:"services,omitempty"`
	Clusters []ClusterState `json:"clusters,omitempty"`
}

// ServiceState is the part of a service row that administrators and operations change.
type ServiceState struct {
	ID                int64             `json:"id"`
	Binary            string            `json:"binary"`
	Host              string            `json:"host"`
	Disabled          bool              `json:"disabled"`
	DisabledReason    *string           `json:"disabled_reason"`
	Frozen            bool              `json:"frozen"`
	ReplicationStatus ReplicationStatus `json:"replication_status"`
	ActiveBackendID   *string           `json:"active_backend_id"`
}

// ClusterState is the part of a cluster row that administrators and operations change.
type ClusterState struct {
	ID                int64             `json:"id"`
	Binary            string            `json:"binary"`
	Name              string            `json:"name"`
	Disabled          bool              `json:"disabled"`
	DisabledReason    *string           `json:"disabled_reason"`
	Frozen            bool              `json:"frozen"`
	ReplicationStatus ReplicationStatus `json:"replication_status"`
	ActiveBackendID   *string           `json:"active_backend_id"`
}

// State is the part of the service that operations change.
func (s *Service) State() ServiceState {
	return ServiceState{
		ID: s.ID, Binary: s.Binary, Host: s.Host, Disabled: s.Disabled, DisabledReason: s.DisabledReason,
		Frozen: s.Frozen, ReplicationStatus: s.ReplicationStatus, ActiveBackendID: s.ActiveBackendID,
	}
}

// State is the part of the cluster that operations change.
func (c *Cluster) State() ClusterState {
	return ClusterState{
		ID: c.ID, Binary: c.Binary, Name: c.Name, Disabled: c.Disabled, DisabledReason: c.DisabledReason,
		Frozen: c.Frozen, ReplicationStatus: c.ReplicationStatus, ActiveBackendID: c.ActiveBackendID,
	}
}

// ServiceName is what a service is known by beyond the life of its row.
type ServiceName struct {
	Binary string
	Host   string
}

// CauseKind is why a service is disabled. The three are independent (G4).
type CauseKind string

// The causes that disable a service.
const (
	CauseFrozen     CauseKind = "frozen"
	CauseFailedOver CauseKind = "failed-over"
	CauseAdmin      CauseKind = "admin"
)

// Cause is one reason for a service to be disabled. Causes are kept by binary
// and host, so that they outlive the row.
type Cause struct {
	Kind   CauseKind
	Reason *string // what disabled_reason says for it
	Since  time.Time
}
