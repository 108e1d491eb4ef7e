package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"stoker/internal/cinder"
)

// Service is a service in the list. Fields that the server's version lacks, or that do
// not apply to the service, are nil.
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

// Target is the host or cluster of a freeze, thaw or failover.
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

// Disable disables a service; "" leaves the reason unchanged. KindNotFound.
func (c *Client) Disable(ctx context.Context, host, binary, reason string) (Change, error) {
	body := map[string]any{"host": host, "binary": binary}
	if reason == "" {
		return c.change(ctx, "os-services/disable", body)
	}
	body["disabled_reason"] = reason
	return c.change(ctx, "os-services/disable-log-reason", body)
}

// Freeze freezes the backend of a host or cluster and waits for it. KindConflict when
// the backend refuses, KindTimeout when the outcome is unknown.
func (c *Client) Freeze(ctx context.Context, t Target) (Change, error) {
	return c.freezeOrThaw(ctx, "os-services/freeze", t)
}

// Thaw undoes Freeze.
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
	// Cinder reports a backend's refusal as 200 with a string as the body (live.json,
	// healthy/thaw-gamma-refused).
	var refusal string
	if json.Unmarshal(answer, &refusal) == nil && refusal != "" {
		return change, cinder.Errorf(cinder.KindConflict, "%s", refusal)
	}
	return change, nil
}

// Failover fails a host or cluster over to another site; "" leaves the choice to the
// backend, "default" fails back. It returns when the command is sent; Services shows
// the outcome.
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
	return c.change(ctx, "os-services/failover_host", body) // available at every microversion
}

// Destinations are the sites that a volume service can be failed over to.
type Destinations struct {
	Host              string   `json:"host"`
	Cluster           *string  `json:"cluster"`
	ReplicationStatus string   `json:"replication_status"`
	ActiveBackendID   *string  `json:"active_backend_id"`
	Targets           []string `json:"targets"`  // the sites that it announces
	Complete          bool     `json:"complete"` // it accepts no other
}

// Destinations lists the sites that the volume services of a host or cluster can be
// failed over to; those of all services when t is zero. Cinder does not have this:
// KindNotFound.
func (c *Client) Destinations(ctx context.Context, t Target) ([]Destinations, error) {
	var answer struct {
		Services []Destinations `json:"failover_targets"`
	}
	err := c.own(ctx, http.MethodGet, "failover-targets", query("host", t.Host, "cluster", t.Cluster), &answer)
	return answer.Services, err
}

// target encodes t for a body.
func (c *Client) target(ctx context.Context, t Target) (map[string]any, error) {
	if t.Cluster == "" {
		return map[string]any{"host": t.Host}, nil
	}
	return map[string]any{"cluster": t.Cluster}, c.needs(ctx, 26, "naming a cluster")
}

// query converts pairs to parameters, without those that have no value.
func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}
