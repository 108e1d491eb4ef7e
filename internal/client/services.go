package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"stoker/internal/cinder"
)

// Service is a service as the list shows it. Fields that the server's version
// does not have, or that say nothing of such a service, are nil.
type Service struct {
	Binary            string  `json:"binary"`
	Host              string  `json:"host"`
	Zone              string  `json:"zone"`
	Status            string  `json:"status"` // enabled or disabled
	State             string  `json:"state"`  // up or down
	UpdatedAt         *Time   `json:"updated_at"`
	Cluster           *string `json:"cluster"`
	DisabledReason    *string `json:"disabled_reason"`
	BackendState      *string `json:"backend_state"`
	ReplicationStatus *string `json:"replication_status"`
	ActiveBackendID   *string `json:"active_backend_id"`
	Frozen            *bool   `json:"frozen"`
}

// ServiceFilter selects services; "" does not restrict.
type ServiceFilter struct {
	Host   string // a host and its backends, or one host@backend
	Binary string
}

// Target is what a freeze, thaw or failover is for: a host or a cluster.
type Target struct {
	Host    string
	Cluster string
}

// Services lists the services that f selects.
func (c *Client) Services(ctx context.Context, f ServiceFilter) ([]Service, error) {
	var answer struct{ Services []Service }
	err := c.get(ctx, "os-services", query("host", f.Host, "binary", f.Binary), &answer)
	return answer.Services, err
}

// Enable enables a service. KindNotFound; KindInvalid when it is frozen.
func (c *Client) Enable(ctx context.Context, host, binary string) (Change, error) {
	return c.change(ctx, "os-services/enable", map[string]any{"host": host, "binary": binary})
}

// Disable disables a service; "" leaves the reason as it is. KindNotFound.
func (c *Client) Disable(ctx context.Context, host, binary, reason string) (Change, error) {
	body := map[string]any{"host": host, "binary": binary}
	if reason == "" {
		return c.change(ctx, "os-services/disable", body)
	}
	body["disabled_reason"] = reason
	return c.change(ctx, "os-services/disable-log-reason", body)
}

// Freeze freezes the backend of a host or cluster and waits until it has. It
// fails with KindConflict when the backend refuses, KindTimeout when the outcome
// is not known.
func (c *Client) Freeze(ctx context.Context, t Target) (Change, error) {
	return c.freezeOrThaw(ctx, "os-services/freeze", t)
}

// Thaw is Freeze's opposite.
func (c *Client) Thaw(ctx context.Context, t Target) (Change, error) {
	return c.freezeOrThaw(ctx, "os-services/thaw", t)
}

func (c *Client) freezeOrThaw(ctx context.Context, path string, t Target) (Change, error) {
	body, err := c.target(ctx, t)
	if err != nil {
		return Change{}, err
	}
	answer, change, err := c.put(ctx, path, body)
	if err != nil {
		return change, err
	}
	// Cinder has one way to say that a backend refused: 200 with a string for a
	// body (live.json, healthy/thaw-gamma-refused).
	var refusal string
	if json.Unmarshal(answer, &refusal) == nil && refusal != "" {
		return change, cinder.Errorf(cinder.KindConflict, "%s", refusal)
	}
	return change, nil
}

// Failover sends a host or cluster to another site; "" leaves the choice to the
// backend, "default" goes back. It returns when the order is given; Services
// shows what comes of it.
func (c *Client) Failover(ctx context.Context, t Target, backend string) (Change, error) {
	body, err := c.target(ctx, t)
	if err != nil {
		return Change{}, err
	}
	if backend != "" {
		body["backend_id"] = backend
	}
	if t.Cluster != "" {
		return c.change(ctx, "os-services/failover", body)
	}
	return c.change(ctx, "os-services/failover_host", body) // there in every version
}

// Destinations is where a volume service can be failed over to.
type Destinations struct {
	Host              string   `json:"host"`
	Cluster           *string  `json:"cluster"`
	ReplicationStatus string   `json:"replication_status"`
	ActiveBackendID   *string  `json:"active_backend_id"`
	Targets           []string `json:"targets"`  // the sites that it announced
	Complete          bool     `json:"complete"` // whether it takes no other
}

// Destinations lists where the volume services of a host or cluster can be failed over to; of all
// services when t is zero. Cinder does not tell: KindNotFound.
func (c *Client) Destinations(ctx context.Context, t Target) ([]Destinations, error) {
	var answer struct {
		Services []Destinations `json:"failover_targets"`
	}
	err := c.own(ctx, http.MethodGet, "failover-targets", query("host", t.Host, "cluster", t.Cluster), &answer)
	return answer.Services, err
}

// target is t in a body.
func (c *Client) target(ctx context.Context, t Target) (map[string]any, error) {
	if t.Cluster == "" {
		return map[string]any{"host": t.Host}, nil
	}
	return map[string]any{"cluster": t.Cluster}, c.needs(ctx, 26, "naming a cluster")
}

// query makes parameters of pairs, leaving out those without a value.
func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}
