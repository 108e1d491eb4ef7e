package cinder

import "time"

// The types of resource that a row of the workers table may be about.
const (
	ResourceVolume   = "Volume"
	ResourceSnapshot = "Snapshot"
)

// CleanupRequest asks services to clean up what work that was interrupted has
// left behind. The first part says which services are meant, the second which
// of their work. Nil pointers and "" select all.
type CleanupRequest struct {
	ServiceID *int64 // of the services row
	Cluster   *string
	Host      *string
	Binary    *string
	IsUp      *bool
	Disabled  *bool

	ResourceID   string
	ResourceType string
	Until        time.Time // work that was begun or claimed later is left alone; zero means now
}

// Matches says whether the request is meant for a service, given whether that is up.
func (r *CleanupRequest) Matches(s *Service, up bool) bool {
	return (ServiceQuery{Host: r.Host, Binary: r.Binary, Cluster: r.Cluster}).Matches(s) &&
		(r.ServiceID == nil || *r.ServiceID == s.ID) &&
		(r.IsUp == nil || *r.IsUp == up) &&
		(r.Disabled == nil || *r.Disabled == s.Disabled)
}
