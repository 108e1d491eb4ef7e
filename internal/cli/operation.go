package cli

import (
	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type operationCmd struct {
	List  operationListCmd  `cmd:"" help:"List what was done and is under way, the newest first."`
	Show  operationShowCmd  `cmd:"" help:"Show everything about one operation."`
	Abort operationAbortCmd `cmd:"" help:"End a failover that nobody is left to carry out, or the watch over an operation."`
}

// operationRecord is an operation in full.
func operationRecord(op client.Operation) format.Record {
	return format.Record{
		{Name: "id", Value: op.ID},
		{Name: "kind", Value: op.Kind},
		{Name: "state", Value: stateCell(op)},
		{Name: "outcome", Value: op.Outcome},
		{Name: "warning", Value: op.Warning},
		{Name: "binary", Value: op.Binary},
		{Name: "host", Value: op.Host},
		{Name: "cluster", Value: op.Cluster},
		{Name: "detail", Value: op.Detail},
		{Name: "user_id", Value: op.Caller.UserID},
		{Name: "project_id", Value: op.Caller.ProjectID},
		{Name: "roles", Value: op.Caller.Roles},
		{Name: "address", Value: op.Caller.Address},
		{Name: "request_id", Value: op.Caller.RequestID},
		{Name: "started_at", Value: timeCell(op.StartedAt)},
		{Name: "deadline", Value: timeCell(op.Deadline)},
		{Name: "settled_at", Value: timeCell(op.SettledAt)},
		{Name: "watch_until", Value: timeCell(op.WatchUntil)},
		{Name: "attempts", Value: op.Attempts},
		{Name: "last_error", Value: op.LastError},
		{Name: "before", Value: string(op.Before)},
		{Name: "after", Value: string(op.After)},
	}
}

// stateCell is the state, and what is wrong with it.
func stateCell(op client.Operation) string {
	switch {
	case op.Stuck:
		return op.State + ", stuck"
	case op.Overdue:
		return op.State + ", overdue"
	default:
		return op.State
	}
}

// targetCell is what the operation is for.
func targetCell(op client.Operation) string {
	switch {
	case op.Cluster != nil:
		return *op.Cluster
	case op.Host != nil:
		return *op.Host
	default:
		return "-"
	}
}
