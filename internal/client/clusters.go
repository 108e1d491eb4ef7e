package client

import (
	"context"
	"net/url"
	"strconv"

	"stoker/internal/cinder"
)

// Cluster is a cluster in the API. Fields missing from the answer are nil: a plain list
// omits most, enable and disable some.
type Cluster struct {
	Name              string  `json:"name"`
	Binary            string  `json:"binary"`
	State             string  `json:"state"`  // up or down
	Status            string  `json:"status"` // enabled or disabled
	ReplicationStatus *string `json:"replication_status"`
	NumHosts          *int    `json:"num_hosts"`
	NumDownHosts      *int    `json:"num_down_hosts"`
	LastHeartbeat     *Time   `json:"last_heartbeat"`
	CreatedAt         *Time   `json:"created_at"`
	UpdatedAt         *Time   `json:"updated_at"`
	DisabledReason    *string `json:"disabled_reason"`
	Frozen            *bool   `json:"frozen"`
	ActiveBackendID   *string `json:"active_backend_id"`
}

// ClusterFilter selects clusters; "" and nil do not restrict.
type ClusterFilter struct {
	Name              string
	Binary            string
	ReplicationStatus string
	Up                *bool
	Disabled          *bool
	Frozen            *bool
}

// clustersMinor is the microversion that introduced clusters.
const clustersMinor = 7

// Clusters lists the clusters that f selects, with all fields if detail is set.
func (c *Client) Clusters(ctx context.Context, f ClusterFilter, detail bool) ([]Cluster, error) {
	if err := c.needs(ctx, clustersMinor, "clusters"); err != nil {
		return nil, err
	}
	q := query("name", f.Name, "binary", f.Binary, "replication_status", f.ReplicationStatus,
		"is_up", boolean(f.Up), "disabled", boolean(f.Disabled), "frozen", boolean(f.Frozen))
	path := "clusters"
	if detail {
		path = "clusters/detail"
	}
	var answer struct{ Clusters []Cluster }
	err := c.get(ctx, path, q, &answer)
	return answer.Clusters, err
}

// Cluster returns one cluster; a binary of "" means cinder-volume. KindNotFound.
func (c *Client) Cluster(ctx context.Context, name, binary string) (Cluster, error) {
	if name == "" || name == "." || name == ".." {
		return Cluster{}, cinder.Errorf(cinder.KindInvalid, "%q cannot be a cluster's name", name)
	}
	if err := c.needs(ctx, clustersMinor, "clusters"); err != nil {
		return Cluster{}, err
	}
	var answer struct{ Cluster Cluster }
	err := c.get(ctx, "clusters/"+url.PathEscape(name), query("binary", binary), &answer)
	return answer.Cluster, err
}

// EnableCluster enables a cluster and clears its disabled reason. KindNotFound.
func (c *Client) EnableCluster(ctx context.Context, name, binary string) (Cluster, Change, error) {
	return c.putCluster(ctx, "clusters/enable", map[string]any{"name": name}, binary)
}

// DisableCluster disables a cluster; reason may be "". KindNotFound.
func (c *Client) DisableCluster(ctx context.Context, name, binary, reason string) (Cluster, Change, error) {
	body := map[string]any{"name": name}
	if reason != "" {
		body["disabled_reason"] = reason
	}
	return c.putCluster(ctx, "clusters/disable", body, binary)
}

func (c *Client) putCluster(ctx context.Context, path string, body map[string]any, binary string) (Cluster, Change, error) {
	if err := c.needs(ctx, clustersMinor, "clusters"); err != nil {
		return Cluster{}, Change{}, err
	}
	if binary != "" {
		body["binary"] = binary
	}
	b, change, err := c.put(ctx, path, body)
	if err != nil {
		return Cluster{}, change, err
	}
	var answer struct{ Cluster Cluster }
	err = c.decode(b, &answer)
	return answer.Cluster, change, err
}

func boolean(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}
