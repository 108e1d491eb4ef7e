package agent

import (
	"context"
	"fmt"
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

// Cleanup ends the work that a service, this or another, was interrupted in. A
// volume that was being made, or filled, is in error then; one that was being
// copied to an image is as usable as it was. What was being deleted is left to a
// member that can. Fails with KindInvalid when the request names no service, and
// KindUnavailable.
func (s *service) Cleanup(ctx context.Context, r cinder.CleanupRequest) error {
	if r.ServiceID == nil {
		return cinder.Errorf(cinder.KindInvalid, "Invalid input received: whose work is to be cleaned up is not said.")
	}
	if r.Until.IsZero() {
		r.Until = time.Now().UTC()
	}
	return s.endWork(ctx, r)
}

// endWork ends all work that r selects.
func (s *service) endWork(ctx context.Context, r cinder.CleanupRequest) error {
	workers, err := s.o.Store.Workers(ctx, *r.ServiceID, r)
	if err != nil {
		return fmt.Errorf("cleanup: %w", err)
	}
	for _, w := range workers {
		log := s.log.With("resource", w.ResourceType, "id", w.ResourceID, "status", w.Status)
		status, ours := endOf(w)
		if !ours {
			log.Warn("Interrupted work is left to somebody who can end it.")
			continue
		}
		ended, err := s.o.Store.EndWork(ctx, w, status)
		if err != nil {
			return fmt.Errorf("cleanup of %s %s: %w", w.ResourceType, w.ResourceID, err)
		}
		if ended {
			log.Warn("Interrupted work was ended.")
		}
	}
	s.log.Debug("Cleaned up.", "service", *r.ServiceID, "found", len(workers), "request_id", cinder.CallerFrom(ctx).RequestID)
	return nil
}

// cleanUp ends the work of the process before this one: all there is, as this one
// has begun none, whatever the clock was when it began.
func (s *service) cleanUp(ctx context.Context) {
	s.life.Lock()
	id := s.id
	s.life.Unlock()
	if err := s.endWork(ctx, cinder.CleanupRequest{ServiceID: &id}); err != nil {
		s.log.Error("Work that was interrupted before the start could not be cleaned up.", "error", err)
	}
}

// endOf is the status of a resource on which work was interrupted; "" is that
// which its attachments give it. ours is false when a row alone does not end it.
func endOf(w cinder.Worker) (status string, ours bool) {
	switch {
	case w.ResourceType != cinder.ResourceVolume && w.ResourceType != cinder.ResourceSnapshot:
		return "", false
	case w.Status == "creating" || w.Status == "downloading":
		return cinder.StatusError, true
	case w.Status == "uploading" && w.ResourceType == cinder.ResourceVolume:
		return "", true
	default:
		return "", false
	}
}
