package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"stoker/internal/backend"
	"stoker/internal/cinder"
	"stoker/internal/control"
)

// volumePage is how many volumes are read, decided and written at once: few enough for
// a transaction that blocks nobody for long.
const volumePage = 200

// following carries the rows of volumes, snapshots and groups along to the site that is
// active.
//
// What is not replicated stays behind: it goes to error, and the failback restores it.
// What is replicated goes along, unless the backend reports it lost. The previous state
// is kept beside the row, so that a round can be repeated, and completed after the
// process was killed halfway. A row that somebody else has changed meanwhile is left
// alone.
type following struct {
	active string          // "" means the primary site
	all    bool            // after a failover; else only what an earlier round left undone
	lost   map[string]bool // groups with a lost volume
}

// followScope is how much there is to do for the rows of volumes.
type followScope int

const (
	followNothing followScope = iota
	followRest                // what an earlier round, of this process or another, may have left undone
	followAll                 // the round after a failover
)

// followVolumes carries the volumes along to the active site, or keeps that pending.
// The caller has the turn.
func (v *Volume) followVolumes(ctx context.Context, what followScope) {
	v.requestFollow(what)
	f := &following{active: v.backendState().Active, all: what == followAll, lost: map[string]bool{}}
	n, err := v.follow(ctx, f)
	if n > 0 {
		v.log.Warn("volumes updated for the active site", "active_backend_id", f.active, "changed", n)
	}
	if err != nil {
		v.log.Error("volumes could not all be updated for the active site; will retry", "error", err)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pendingFollow = followNothing
}

// requestFollow raises the pending scope to what.
func (v *Volume) requestFollow(what followScope) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pendingFollow = max(v.pendingFollow, what)
}

// followPending does a pending round, if the backend is free.
func (v *Volume) followPending(ctx context.Context) {
	v.mu.Lock()
	what := v.pendingFollow
	if v.setupErr != nil {
		what = followNothing // not now: the backend is unusable
	}
	v.mu.Unlock()
	if what == followNothing {
		return
	}
	select {
	case <-v.turn:
		defer func() { v.turn <- struct{}{} }()
	default: // A command is running: next time.
		return
	}
	if settled, err := v.inPlace(ctx); err != nil {
		v.log.Warn("volumes could not be checked; will retry", "error", err)
	} else if settled {
		v.followVolumes(ctx, what)
	}
}

// inPlace reports whether the backend is where the cluster's row says, and no member is
// failing it over: that member carries the volumes along.
func (v *Volume) inPlace(ctx context.Context) (bool, error) {
	if v.row.Cluster == "" {
		return true, nil
	}
	var c cinder.Cluster
	err := v.update(ctx, func(ctx context.Context, tx control.Tx) (err error) {
		c, err = tx.Cluster(ctx, v.row.Cluster, v.row.Binary)
		return err
	})
	return c.ReplicationStatus != cinder.ReplicationFailingOver && value(c.ActiveBackendID) == v.backendState().Active, err
}

// follow does one round over all volumes and groups of the service. It returns how many
// rows it changed.
func (v *Volume) follow(ctx context.Context, f *following) (changed int, err error) {
	owner := v.row.Owner()
	after := ""
	for races := 0; ; {
		page, err := v.o.Store.Volumes(ctx, owner, f.active == "" && !f.all, after, volumePage)
		if err != nil {
			return changed, fmt.Errorf("read volumes: %w", err)
		}
		if len(page) == 0 {
			break
		}
		n, lost, err := v.followPage(ctx, f, page)
		changed += n
		if err != nil {
			return changed, err
		}
		if lost && races < saveAttempts {
			races++
			if err := pause(ctx); err != nil {
				return changed, err
			}
			continue // read the same page again
		}
		if lost {
			return changed, errors.New("volumes are being changed by others all the time")
		}
		races, after = 0, page[len(page)-1].ID
	}
	n, err := v.followGroups(ctx, f, owner)
	return changed + n, err
}

// followPage decides on one page of volumes and writes those that change. lost reports
// that some were changed by others meanwhile.
func (v *Volume) followPage(ctx context.Context, f *following, page []cinder.Volume) (changed int, lost bool, err error) {
	var ask []cinder.Volume
	for i := range page {
		if f.asksBackend(&page[i]) {
			ask = append(ask, page[i])
		}
	}
	var verdicts map[string]backend.Verdict
	if len(ask) > 0 {
		if verdicts, err = v.vo.Backend.Verdicts(ctx, ask); err != nil {
			return 0, false, fmt.Errorf("verdicts of the backend: %w", err)
		}
	}
	var changes []cinder.VolumeChange
	for i := range page {
		now := f.volumeAfter(&page[i], verdicts[page[i].ID])
		if now.ReplicationStatus == cinder.ReplicationFailoverError && now.Group != "" {
			f.lost[now.Group] = true
		}
		if now != page[i] {
			changes = append(changes, cinder.VolumeChange{Was: page[i], Now: now})
		}
	}
	if len(changes) == 0 {
		return 0, false, nil
	}
	missed, err := v.o.Store.SaveVolumes(ctx, changes)
	if err != nil {
		return 0, false, fmt.Errorf("write volumes: %w", err)
	}
	return len(changes) - len(missed), len(missed) > 0, nil
}

// followGroups follows up the volumes' round for groups: a group is lost when any of
// its volumes is.
func (v *Volume) followGroups(ctx context.Context, f *following, owner cinder.Owner) (changed int, err error) {
	for range saveAttempts {
		groups, err := v.o.Store.Groups(ctx, owner)
		if err != nil {
			return changed, fmt.Errorf("read groups: %w", err)
		}
		var changes []cinder.GroupChange
		for i := range groups {
			if now := f.groupAfter(&groups[i]); now != groups[i] {
				changes = append(changes, cinder.GroupChange{Was: groups[i], Now: now})
			}
		}
		if len(changes) == 0 {
			return changed, nil
		}
		missed, err := v.o.Store.SaveGroups(ctx, changes)
		if err != nil {
			return changed, fmt.Errorf("write groups: %w", err)
		}
		changed += len(changes) - len(missed)
		if len(missed) == 0 {
			return changed, nil
		}
		if err := pause(ctx); err != nil {
			return changed, err
		}
	}
	return changed, errors.New("groups are being changed by others all the time")
}

// asksBackend reports whether only the backend knows what became of a volume.
func (f *following) asksBackend(v *cinder.Volume) bool {
	switch {
	case !v.ReplicationStatus.Replicated():
		return false
	case f.all:
		return true
	case f.active == "":
		return v.Before != nil && isAway(v)
	case v.ReplicationStatus == cinder.ReplicationFailoverError:
		return v.Before != nil // else somebody else's verdict
	default:
		return v.ReplicationStatus != cinder.ReplicationFailedOver
	}
}

// isAway reports whether a replicated volume's row places it at a secondary site.
func isAway(v *cinder.Volume) bool {
	return v.ReplicationStatus == cinder.ReplicationFailedOver || v.ReplicationStatus == cinder.ReplicationFailoverError
}

// volumeAfter returns the volume after the round.
func (f *following) volumeAfter(was *cinder.Volume, verdict backend.Verdict) cinder.Volume {
	switch {
	case was.ReplicationStatus.Replicated() && f.asksBackend(was):
		return f.replicatedAfter(*was, verdict)
	case was.ReplicationStatus.Replicated() && f.active == "" && !f.all && !isAway(was):
		v := *was // brought back by another member
		v.Before = nil
		return v
	case was.ReplicationStatus.Replicated():
		return *was
	case f.active != "":
		return leftBehind(*was)
	default:
		return broughtBack(*was)
	}
}

// replicatedAfter returns a replicated volume after the round.
func (f *following) replicatedAfter(v cinder.Volume, verdict backend.Verdict) cinder.Volume {
	before := v.Before
	if before == nil {
		before = beforeOf(&v)
	}
	if verdict.DriverData != nil && *verdict.DriverData != value(v.DriverData) {
		v.DriverData = verdict.DriverData
	}
	if verdict.Lost {
		if !cinder.Failed(v.Status) {
			status := v.Status
			v.PreviousStatus, v.Status = &status, cinder.StatusError
		}
		v.ReplicationStatus, v.Before = cinder.ReplicationFailoverError, before
		return v
	}
	if v.Before != nil && v.ReplicationStatus == cinder.ReplicationFailoverError {
		restore(&v)
	}
	switch {
	case f.active != "":
		v.ReplicationStatus, v.Before = cinder.ReplicationFailedOver, before
	case f.all:
		v.ReplicationStatus, v.Before = cinder.ReplicationEnabled, nil
	default: // The failover was never finished: undo it.
		v.ReplicationStatus, v.Before = before.ReplicationStatus, nil
	}
	return v
}

// leftBehind returns a volume that is not replicated, after a failover.
func leftBehind(v cinder.Volume) cinder.Volume {
	if v.Before != nil || cinder.Failed(v.Status) {
		return v
	}
	status := v.Status
	v.Before = beforeOf(&v)
	v.PreviousStatus, v.Status, v.ReplicationStatus = &status, cinder.StatusError, cinder.ReplicationNotCapable
	return v
}

// broughtBack returns a volume that was left behind, after the failback.
func broughtBack(v cinder.Volume) cinder.Volume {
	if v.Before == nil {
		return v
	}
	if v.ReplicationStatus == cinder.ReplicationNotCapable {
		v.ReplicationStatus = v.Before.ReplicationStatus
	}
	restore(&v)
	v.Before = nil
	return v
}

// restore restores the status before the failover. The status of work that was running
// then is not restored, for the work is over.
func restore(v *cinder.Volume) {
	if v.Status == cinder.StatusError && cinder.Lasting(v.Before.Status) {
		v.Status, v.PreviousStatus = v.Before.Status, v.Before.PreviousStatus
	}
}

func beforeOf(v *cinder.Volume) *cinder.BeforeFailover {
	return &cinder.BeforeFailover{Status: v.Status, PreviousStatus: v.PreviousStatus, ReplicationStatus: v.ReplicationStatus}
}

// groupAfter returns the group after the round.
func (f *following) groupAfter(was *cinder.Group) cinder.Group {
	g := *was
	if !g.ReplicationStatus.Replicated() || g.ReplicationStatus == "" {
		return g
	}
	before := g.Before
	if before == nil {
		before = &cinder.BeforeFailover{Status: g.Status, ReplicationStatus: g.ReplicationStatus}
	}
	switch {
	case f.lost[g.ID]:
		g.ReplicationStatus, g.Before = cinder.ReplicationFailoverError, before
		if !cinder.Failed(g.Status) {
			g.Status = cinder.StatusError
		}
		return g
	case f.active == "" && !f.all && g.Before == nil:
		return g
	case f.active != "" && !f.all && (g.Before != nil || g.ReplicationStatus == cinder.ReplicationFailedOver):
		return g
	}
	if g.Status == cinder.StatusError && g.Before != nil && cinder.Lasting(before.Status) {
		g.Status = before.Status
	}
	switch {
	case f.active != "":
		g.ReplicationStatus, g.Before = cinder.ReplicationFailedOver, before
	case f.all:
		g.ReplicationStatus, g.Before = cinder.ReplicationEnabled, nil
	default:
		g.ReplicationStatus, g.Before = before.ReplicationStatus, nil
	}
	return g
}

// pause waits briefly before a write that lost a race is retried.
func pause(ctx context.Context) error {
	select {
	case <-time.After(rand.N(maxSavePause)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
