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
	OpGiveBack       OperationKind = "give-back" // of an administrator's disable, after somebody else's thaw
)

// OperationState is how far an operation has come.
type OperationState string

// The states of an operation. Open is the only one that is not final.
const (
	OpOpen   OperationState = "open"   // intent is marked; the outcome is not known yet
	OpDone   OperationState = "done"   // carried out, rows and causes settled
	OpUndone OperationState = "undone" // refused, failed or never delivered; rows are as before
	OpFailed OperationState = "failed" // carried out and failed for good: failover-error
)

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
