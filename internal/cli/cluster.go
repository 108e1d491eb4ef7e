package cli

import (
	"stoker/internal/cli/format"
	"stoker/internal/client"
)

type clusterCmd struct {
	List    clusterListCmd    `cmd:"" help:"List clusters."`
	Show    clusterShowCmd    `cmd:"" help:"Show one cluster."`
	Enable  clusterEnableCmd  `cmd:"" help:"Enable a cluster."`
	Disable clusterDisableCmd `cmd:"" help:"Disable a cluster: it gets no new volumes."`
}

// clusterName is a cluster on the command line.
type clusterName struct {
	Name   string `arg:"" help:"The cluster: CLUSTER@BACKEND."`
	Binary string `arg:"" optional:"" default:"cinder-volume" help:"Its services (default: cinder-volume)."`
}

// clusterRecord is what every answer says of a cluster.
func clusterRecord(c client.Cluster) format.Record {
	return format.Record{
		{Name: "name", Value: c.Name},
		{Name: "binary", Value: c.Binary},
		{Name: "state", Value: c.State},
		{Name: "status", Value: c.Status},
		{Name: "disabled_reason", Value: c.DisabledReason},
		{Name: "replication_status", Value: c.ReplicationStatus},
	}
}
