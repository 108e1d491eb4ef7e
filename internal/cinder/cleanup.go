package cinder

import "time"

// Resource types in the workers table.
const (
	ResourceVolume   = "Volume"
	ResourceSnapshot = "Snapshot"
)

// CleanupRequest asks services to clean up after interrupted work. The first part
// selects services, the second part their work. Nil pointers and "" select all.
type CleanupRequest struct {
	ServiceID *int64 // id of the services row
	Cluster   *string
	Host      *string
	Binary    *string
	IsUp      *bool
	Disabled  *bool

	ResourceID   string
	ResourceType string
	Until        time.Time // later work is left alone; zero means now
}

// Matches reports whether the request selects a service; up says whether it is up.
func (r *CleanupRequest) Matches(s *Service, up bool) bool {
	return (ServiceQuery{Host: r.Host, Binary: r.Binary, Cluster: r.Cluster}).Matches(s) &&
		(r.ServiceID == nil || *r.ServiceID == s.ID) &&
		(r.IsUp == nil || *r.IsUp == up) &&
		(r.Disabled == nil || *r.Disabled == s.Disabled)
}
