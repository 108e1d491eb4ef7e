package rpc

import (
	"encoding/json"
	"errors"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// Arguments of the methods on the wire.
type (
	noArgs       struct{}
	failoverArgs struct {
		Target *string `json:"secondary_backend_id"`
	}
	completedArgs struct {
		Updates updates `json:"updates"`
	}
	logArgs struct {
		Request *oslo.LogLevel `json:"log_request"`
	}
	capabilitiesArgs struct {
		Discover bool `json:"discover"` // whether to query the backend again: we always do
	}
	cleanupArgs struct {
		Request *oslo.CleanupRequest `json:"cleanup_request"`
	}
	poolsArgs struct {
		Filters map[string]any `json:"filters"`
	}
	updateArgs struct {
		Service      string         `json:"service_name"`
		Host         string         `json:"host"`
		Capabilities map[string]any `json:"capabilities"`
		Cluster      *string        `json:"cluster_name"`
		Timestamp    *timestamp     `json:"timestamp"`
	}
	notifyArgs struct {
		Service      string         `json:"service_name"`
		Capabilities map[string]any `json:"capabilities"`
		Backend      string         `json:"backend"` // cluster or host
		Timestamp    *timestamp     `json:"timestamp"`
	}
)

// pool is an entry in the result of get_pools.
type pool struct {
	Name         string         `json:"name"`
	Capabilities map[string]any `json:"capabilities"`
}

// timestamp is a time in capabilities: naive UTC, though some senders add a zone.
type timestamp time.Time

// MarshalJSON encodes the time.
func (t timestamp) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Time(t).UTC().Format(oslo.TimeLayout))
}

// UnmarshalJSON decodes a time with or without zone and fraction.
func (t *timestamp) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	for _, layout := range []string{"2006-01-02T15:04:05", time.RFC3339} {
		if at, err := time.Parse(layout, s); err == nil {
			*t = timestamp(at.UTC())
			return nil
		}
	}
	return errors.New("the timestamp is no ISO 8601 time")
}

// or returns the time, or now for nil.
func (t *timestamp) or(now time.Time) time.Time {
	if t == nil {
		return now.UTC()
	}
	return time.Time(*t)
}

// updates are a failover's outcome as columns. Absent columns do not change.
type updates cinder.FailoverOutcome

// MarshalJSON encodes the columns that change.
func (u updates) MarshalJSON() ([]byte, error) {
	columns := map[string]any{}
	if u.ReplicationStatus != "" {
		columns["replication_status"] = u.ReplicationStatus
	}
	if u.ActiveBackendID != nil {
		columns["active_backend_id"] = *u.ActiveBackendID
	}
	if u.Disabled != nil {
		columns["disabled"] = *u.Disabled
	}
	if u.DisabledReason != nil {
		columns["disabled_reason"] = *u.DisabledReason
	}
	return json.Marshal(columns)
}

// UnmarshalJSON decodes the columns. A null empties the column: "". It ignores columns
// that a failover does not change.
func (u *updates) UnmarshalJSON(b []byte) error {
	var columns map[string]json.RawMessage
	if err := json.Unmarshal(b, &columns); err != nil {
		return err
	}
	*u = updates{}
	for name, to := range map[string]any{
		"replication_status": &u.ReplicationStatus, "active_backend_id": &u.ActiveBackendID,
		"disabled": &u.Disabled, "disabled_reason": &u.DisabledReason,
	} {
		raw, ok := columns[name]
		if !ok {
			continue
		}
		if text, isText := to.(**string); isText {
			*text = new(string)
		}
		if string(raw) == "null" {
			continue
		}
		if err := json.Unmarshal(raw, to); err != nil {
			return err
		}
	}
	return nil
}
