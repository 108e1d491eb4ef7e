package agent

import (
	"context"
	"slices"
	"time"

	"stoker/internal/cinder"
)

// WorkCleanup has the services that r is meant for clean up what interrupted
// work of theirs has left behind: a service itself when it is up, a cluster when
// any of its members is. It returns those that were told, and those that are
// meant too but could not be. Fails with KindUnavailable.
func (s *Scheduler) WorkCleanup(ctx context.Context, r cinder.CleanupRequest) (cleaning, unavailable []cinder.Service, err error) {
	view, err := s.so.View.View(ctx, cinder.ServiceQuery{})
	if err != nil {
		return nil, nil, err
	}
	if r.Until.IsZero() {
		r.Until = time.Now().UTC()
	}
	up := func(row *cinder.Service) bool { return row.Up(view.Now, s.o.DownTime) }
	for i := range view.Services {
		row := &view.Services[i]
		if !r.Matches(row, up(row)) {
			continue
		}
		lives := up(row) || row.Binary == cinder.BinaryScheduler || // any of which will do, this one too
			row.Cluster != "" && slices.ContainsFunc(view.Services, func(m cinder.Service) bool {
				return m.Cluster == row.Cluster && m.Binary == row.Binary && up(&m)
			})
		if lives {
			err := s.o.Bus.Cleanup(ctx, *row, cleanupOf(row, r))
			if err == nil {
				cleaning = append(cleaning, *row)
				continue
			}
			s.log.Warn("A service could not be asked to clean up.", "service", row.Binary, "on", row.Host, "error", err)
		}
		unavailable = append(unavailable, *row)
	}
	s.log.Info("Cleanup requested.", "cleaning", len(cleaning), "unavailable", len(unavailable),
		"request_id", cinder.CallerFrom(ctx).RequestID)
	return cleaning, unavailable, nil
}

// cleanupOf is what one of the services that r selects is asked to clean up.
func cleanupOf(row *cinder.Service, r cinder.CleanupRequest) cinder.CleanupRequest {
	r.ServiceID, r.Host, r.Binary, r.Cluster = &row.ID, &row.Host, &row.Binary, nil
	if row.Cluster != "" {
		r.Cluster = &row.Cluster
	}
	return r
}

// Cleanup cleans up what interrupted work has left behind. Services of ours begin
// no work on volumes, so there is none of theirs.
func (s *service) Cleanup(ctx context.Context, r cinder.CleanupRequest) error {
	s.log.Info("Nothing to clean up.", "resource", r.ResourceType, "request_id", cinder.CallerFrom(ctx).RequestID)
	return nil
}
