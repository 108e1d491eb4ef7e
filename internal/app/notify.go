package app

import (
	"context"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// notifier tells the bus of operations in oslo.messaging's form.
type notifier struct {
	client *oslo.Client
	topics []string
	host   string
}

// Notify implements control.Notifier.
func (n notifier) Notify(ctx context.Context, event string, failed bool, op cinder.Operation) error {
	priority := "INFO"
	if failed {
		priority = "ERROR"
	}
	rows := op.After
	if !op.State.Final() && op.State != cinder.OpMonitoring {
		rows = op.Before
	}
	return n.client.Notify(ctx, n.topics, oslo.Notification{
		Publisher: "service." + n.host, Event: event, Priority: priority,
		Payload: map[string]any{
			"operation_id": op.ID, "state": string(op.State), "outcome": op.Outcome, "binary": op.Binary,
			"host": op.Host, "cluster": op.Cluster, "detail": op.Detail, "services": rows.Services, "clusters": rows.Clusters,
		},
	})
}
