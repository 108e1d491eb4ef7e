package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stoker/internal/cinder"
)

// WorkCleanup asks the services that r selects to clean up their interrupted work: a
// service when it is up, a cluster when any of its members is. It returns those that it
// asked, and those that it could not ask. Fails with KindUnavailable.
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
		lives := up(row) || row.Binary == cinder.BinaryScheduler || // any scheduler will do, including this one
			row.Cluster != "" && slices.ContainsFunc(view.Services, func(m cinder.Service) bool {
				return m.Cluster == row.Cluster && m.Binary == row.Binary && up(&m)
			})
		if lives {
			err := s.o.Bus.Cleanup(ctx, *row, cleanupOf(row, r))
			if err == nil {
				cleaning = append(cleaning, *row)
				continue
			}
			s.log.Warn("cleanup request failed", "service", row.Binary, "on", row.Host, "error", err)
		}
		unavailable = append(unavailable, *row)
	}
	s.log.Info("cleanup requested", "cleaning", len(cleaning), "unavailable", len(unavailable),
		"request_id", cinder.CallerFrom(ctx).RequestID)
	return cleaning, unavailable, nil
}

// cleanupOf is the request to one of the services that r selects.
func cleanupOf(row *cinder.Service, r cinder.CleanupRequest) cinder.CleanupRequest {
	r.ServiceID, r.Host, r.Binary, r.Cluster = &row.ID, &row.Host, &row.Binary, nil
	if row.Cluster != "" {
		r.Cluster = &row.Cluster
	}
	return r
}

// Cleanup ends the interrupted work of a service, this one or another. A volume that
// was being created or filled goes to error; one that was being copied to an image is
// usable again. Deletions are left to a member that can do them. KindInvalid when the
// request names no service; KindUnavailable.
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
		status, ours := finalStatus(w)
		if !ours {
			log.Warn("interrupted work left to another service")
			continue
		}
		ended, err := s.o.Store.EndWork(ctx, w, status)
		if err != nil {
			return fmt.Errorf("cleanup of %s %s: %w", w.ResourceType, w.ResourceID, err)
		}
		if ended {
			log.Warn("interrupted work ended")
		}
	}
	s.log.Debug("cleanup completed", "service", *r.ServiceID, "found", len(workers), "request_id", cinder.CallerFrom(ctx).RequestID)
	return nil
}

// cleanUp ends the work of the previous process. That is all there is, whatever its
// clock said, since this process has begun none.
func (s *service) cleanUp(ctx context.Context) {
	s.lifeMu.Lock()
	id := s.id
	s.lifeMu.Unlock()
	if err := s.endWork(ctx, cinder.CleanupRequest{ServiceID: &id}); err != nil {
		s.log.Error("cleanup of work interrupted before the start failed", "error", err)
	}
}

// finalStatus is the status for a resource whose work was interrupted; "" means what
// its attachments imply. ours is false when changing the row is not enough.
func finalStatus(w cinder.Worker) (status string, ours bool) {
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
