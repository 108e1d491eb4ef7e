package store

import (
	"context"
	"time"

	"stoker/internal/cinder"
)

// Snapshot is one consistent view of the services. Callers share it and must not modify
// it.
type Snapshot struct {
	Services []cinder.Service   // by id
	Open     []cinder.Operation // open and watched operations, oldest first
	Now      time.Time          // this host's clock, which heartbeats are compared with, UTC
}

// View reads the services that q selects and the open operations, in one snapshot that
// includes every change acknowledged before the call, whoever made it. Calls with the
// zero query return the same slices until something is committed. Fails with
// KindUnavailable.
func (db *DB) View(ctx context.Context, q cinder.ServiceQuery) (*Snapshot, error) {
	s := &Snapshot{}
	if q.Host == nil && q.Cluster == nil { // most of the rows: serve them from memory
		rows, err := db.fleet.read(ctx)
		if err != nil {
			return nil, db.fail(ctx, "read the fleet", err)
		}
		s.Services, s.Open, s.Now = rows.services, rows.open, db.now().UTC()
		if q.Binary != nil {
			s.Services = nil
			for i := range rows.services {
				if q.Matches(&rows.services[i]) {
					s.Services = append(s.Services, rows.services[i])
				}
			}
		}
		return s, nil
	}
	err := db.read(ctx, "read services", func(ctx context.Context, tx querier) (err error) {
		if s.Services, err = selectServices(ctx, db.dialect, tx, q); err != nil {
			return err
		}
		s.Open, err = readOpen(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Now = db.now().UTC()
	return s, nil
}
