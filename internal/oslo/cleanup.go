package oslo

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"stoker/internal/cinder"
)

// serviceVersion is the version of the Service object.
const serviceVersion = "1.6"

// dateLayout is the format of times in versioned objects: UTC, whole seconds.
const dateLayout = "2006-01-02T15:04:05Z"

// CleanupRequest is a cinder.CleanupRequest on the wire.
type CleanupRequest cinder.CleanupRequest

type cleanupData struct {
	ServiceID    *int64  `json:"service_id"`
	Cluster      *string `json:"cluster_name"`
	Host         *string `json:"host"`
	Binary       *string `json:"binary"`
	IsUp         *bool   `json:"is_up"`
	Disabled     *bool   `json:"disabled"`
	ResourceID   *string `json:"resource_id"`
	ResourceType *string `json:"resource_type"`
	Until        *string `json:"until"`
}

// MarshalJSON encodes the versioned object.
func (r CleanupRequest) MarshalJSON() ([]byte, error) {
	d := cleanupData{
		ServiceID: r.ServiceID, Cluster: r.Cluster, Host: r.Host, Binary: r.Binary, IsUp: r.IsUp, Disabled: r.Disabled,
		ResourceID: nullable(r.ResourceID), ResourceType: nullable(r.ResourceType),
	}
	if !r.Until.IsZero() {
		d.Until = nullable(r.Until.UTC().Format(dateLayout))
	}
	return json.Marshal(newObject("CleanupRequest", d,
		"service_id", "cluster_name", "host", "binary", "is_up", "disabled", "resource_id", "resource_type", "until"))
}

// UnmarshalJSON decodes the versioned object, as strictly as LogLevel's.
func (r *CleanupRequest) UnmarshalJSON(b []byte) error {
	var o object[cleanupData]
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	if err := o.check("CleanupRequest"); err != nil {
		return err
	}
	d := o.Data
	*r = CleanupRequest{
		ServiceID: d.ServiceID, Cluster: d.Cluster, Host: d.Host, Binary: d.Binary, IsUp: d.IsUp, Disabled: d.Disabled,
		ResourceID: value(d.ResourceID), ResourceType: value(d.ResourceType),
	}
	if d.Until == nil {
		return nil
	}
	until, err := time.Parse(time.RFC3339, *d.Until)
	if err != nil {
		return fmt.Errorf("until: %w", err)
	}
	r.Until = until.UTC().Truncate(time.Second)
	if r.Until.Year() > 9999 { // after the conversion to UTC; it could not be encoded again
		return errors.New("until: the year has too many digits")
	}
	return nil
}

// Services is a method's result: a list of Service objects with the fields that callers
// read.
type Services []cinder.Service

type serviceData struct {
	ID       int64   `json:"id"`
	UUID     string  `json:"uuid"`
	Host     string  `json:"host"`
	Binary   string  `json:"binary"`
	Topic    string  `json:"topic"`
	Cluster  *string `json:"cluster_name"`
	Disabled bool    `json:"disabled"`
	Frozen   bool    `json:"frozen"`
}

// MarshalJSON encodes the versioned objects.
func (s Services) MarshalJSON() ([]byte, error) {
	list := make([]object[serviceData], 0, len(s))
	for i := range s {
		o := newObject("Service", serviceData{
			ID: s[i].ID, UUID: s[i].UUID, Host: s[i].Host, Binary: s[i].Binary, Topic: s[i].Topic,
			Cluster: nullable(s[i].Cluster), Disabled: s[i].Disabled, Frozen: s[i].Frozen,
		})
		o.Version = serviceVersion
		list = append(list, o)
	}
	return json.Marshal(list)
}

// nullable is s; null for "".
func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
