package cinder

import "time"

// OperationKind is the type of an operation.
type OperationKind string

// Kinds of operations.
const (
	OpEnable         OperationKind = "enable"
	OpDisable        OperationKind = "disable"
	OpFreeze         OperationKind = "freeze"
	OpThaw           OperationKind = "thaw"
	OpFailover       OperationKind = "failover"
	OpEnableCluster  OperationKind = "enable-cluster"
	OpDisableCluster OperationKind = "disable-cluster"
	OpSetLog         OperationKind = "set-log"
	OpRestoreDisable OperationKind = "restore-disable"    // restores an administrator's disable that others have undone
	OpReconcile      OperationKind = "reconcile"          // reconciles our record with a row that others have changed
	OpCompletion     OperationKind = "failover-completed" // tells a cluster's members again about a failover
)

// OperationState is the state of an operation.
type OperationState string

// States of an operation. All but open and monitoring are final.
const (
	OpOpen       OperationState = "open"        // the intent is recorded; the outcome is unknown
	OpMonitoring OperationState = "monitoring"  // rows are as before, but a hung process may still carry it out
	OpDone       OperationState = "done"        // carried out; rows and causes are settled
	OpRolledBack OperationState = "rolled-back" // refused, failed or never delivered; rows are as before
	OpFailed     OperationState = "failed"      // ended badly: failover-error, or follow-up work of ours failed
)

// Final reports whether the state cannot change any more.
func (s OperationState) Final() bool { return s != OpOpen && s != OpMonitoring }

// Operation is an entry in the journal: a requested change, from intent to outcome.
type Operation struct {
	ID     string // UUID
	Kind   OperationKind
	State  OperationState
	Caller Caller

	Binary  string
	Host    string // as in the request; "" when it named a cluster
	Cluster string
	Detail  string // failover: the target; disable: the reason; set-log: prefix=level

	// Before and After are the affected rows before and after the operation. Shown is
	// what lists show while it is open.
	Before Rows
	Shown  Rows
	After  Rows

	Owner      string    // the process that works on it
	LeaseUntil time.Time // after this another process may take it over
	Deadline   time.Time // when the outcome is expected
	StartedAt  time.Time
	SettledAt  time.Time
	Outcome    string // why it ended like this, for people

	Progress Progress
}

// Progress is information that the processes which settle an operation share.
type Progress struct {
	// Warning was sent to the caller with the answer; "" for none.
	Warning string `json:"warning,omitempty"`

	// Attempts counts failures of the current step, LastError is the last one, and nobody
	// retries before NextLook.
	Attempts  int       `json:"attempts,omitempty"`
	LastError string    `json:"fault,omitempty"` // as the first release spells it
	NextLook  time.Time `json:"next_look,omitzero"`

	// WatchUntil ends a watch or, for an open failover, the wait for members of a
	// cluster that do not know its outcome. Late are the hosts whose rows have shown
	// meanwhile that the command was carried out after all. Undoing means that the
	// opposite command is in progress.
	WatchUntil time.Time `json:"watch_until,omitzero"`
	Late       []string  `json:"late,omitempty"`
	Undoing    bool      `json:"undoing,omitempty"`
}

// stuckAfter is how many consecutive failures make an operation stuck.
const stuckAfter = 3

// Stuck reports whether settling the operation keeps failing.
func (o *Operation) Stuck() bool { return o.State == OpOpen && o.Progress.Attempts >= stuckAfter }

// Overdue reports whether the operation should have ended by now.
func (o *Operation) Overdue(now time.Time) bool { return o.State == OpOpen && now.After(o.Deadline) }

// OperationQuery selects operations, newest first. Nil and zero fields do not restrict.
type OperationQuery struct {
	Host    *string // a host and its backends, or one backend
	Cluster *string
	Binary  *string
	Kind    *string
	State   *string
	UserID  *string
	Since   time.Time // started at or after
	Before  time.Time // started before

	Marker string // the last operation of the previous page; "" for the first page
	Limit  int    // 0 means no limit
}

// OperationPage is one page of the result of an OperationQuery.
type OperationPage struct {
	Operations []Operation // newest first
	// Next is the marker of the next page; "" on the last page. A page before the last
	// may have fewer operations than the limit, or none: when several filters match
	// rarely, a page does not examine the whole journal.
	Next string
}

// Touches reports whether the operation affects the service.
func (o *Operation) Touches(binary, host string) bool {
	for i := range o.Before.Services {
		if o.Before.Services[i].Binary == binary && o.Before.Services[i].Host == host {
			return true
		}
	}
	return false
}

// Rows are the states of the services and clusters that an operation affects.
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

// State returns the part of the service that operations change.
func (s *Service) State() ServiceState {
	return ServiceState{
		ID: s.ID, Binary: s.Binary, Host: s.Host, Disabled: s.Disabled, DisabledReason: s.DisabledReason,
		Frozen: s.Frozen, ReplicationStatus: s.ReplicationStatus, ActiveBackendID: s.ActiveBackendID,
	}
}

// State returns the part of the cluster that operations change.
func (c *Cluster) State() ClusterState {
	return ClusterState{
		ID: c.ID, Binary: c.Binary, Name: c.Name, Disabled: c.Disabled, DisabledReason: c.DisabledReason,
		Frozen: c.Frozen, ReplicationStatus: c.ReplicationStatus, ActiveBackendID: c.ActiveBackendID,
	}
}

// ServiceName identifies a service, also after its row is gone.
type ServiceName struct {
	Binary string
	Host   string
}

// CauseKind is a cause for a service to be disabled. The three are independent (G4).
type CauseKind string

// Causes for a service to be disabled.
const (
	CauseFrozen     CauseKind = "frozen"
	CauseFailedOver CauseKind = "failed-over"
	CauseAdmin      CauseKind = "admin"
)

// Cause is a recorded cause. Causes are stored by binary and host, so that they outlive
// the row.
type Cause struct {
	Kind   CauseKind
	Reason *string // its disabled_reason
	Since  time.Time
}
