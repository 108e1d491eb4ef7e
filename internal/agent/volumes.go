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

// volumePage is how many volumes are read, judged and written at once: few enough
// for a transaction that keeps nobody waiting.
const volumePage = 200

// following is how the rows of volumes, snapshots and groups follow their backend
// to the site that is active.
//
// What is not replicated stays behind: it goes to error, and comes back as it was
// with the failback. What is replicated goes along, unless the backend says that
// it is lost. What was there before is kept beside the row, so that the same can
// be done twice, and to its end after the process was killed half-way. A row that
// somebody else has changed meanwhile is theirs.
type following struct {
	active string          // "" is the primary site
	all    bool            // after a failover; else only what an earlier round has left undone
	lost   map[string]bool // groups of which a volume is lost
}

// owes is what there is still to do for the rows of volumes.
type owes int

const (
	owesNothing owes = iota
	owesRest         // what an earlier round, of this process or another, may have left undone
	owesAll          // the round after a failover
)

// followed carries the volumes along to the site that is active now, or notes
// that this is owed. The caller has its turn.
func (v *Volume) followed(ctx context.Context, what owes) {
	v.oweVolumes(what)
	f := &following{active: v.known().Active, all: what == owesAll, lost: map[string]bool{}}
	n, err := v.follow(ctx, f)
	if n > 0 {
		v.log.Warn("Volumes follow their backend.", "active_backend_id", f.active, "changed", n)
	}
	if err != nil {
		v.log.Error("Not all volumes follow their backend yet: they are looked at again.", "error", err)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.volumes = owesNothing
}

// oweVolumes notes what there is to do, unless more is.
func (v *Volume) oweVolumes(what owes) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.volumes = max(v.volumes, what)
}

// settleVolumes does what is owed, when it is the service's turn.
func (v *Volume) settleVolumes(ctx context.Context) {
	v.mu.Lock()
	what := v.volumes
	if v.broken != nil {
		what = owesNothing // not now: the backend cannot be asked
	}
	v.mu.Unlock()
	if what == owesNothing {
		return
	}
	select {
	case <-v.turn:
		defer func() { v.turn <- struct{}{} }()
	default: // A command is under way: next time.
		return
	}
	if settled, err := v.inPlace(ctx); err != nil {
		v.log.Warn("Whether volumes follow their backend is not looked at yet.", "error", err)
	} else if settled {
		v.followed(ctx, what)
	}
}

// inPlace says whether the backend is where the cluster's row says, and no member
// is taking it elsewhere: whoever does takes the volumes along.
func (v *Volume) inPlace(ctx context.Context) (bool, error) {
	if v.row.Cluster == "" {
		return true, nil
	}
	var c cinder.Cluster
	err := v.update(ctx, func(ctx context.Context, tx control.Tx) (err error) {
		c, err = tx.Cluster(ctx, v.row.Cluster, v.row.Binary)
		return err
	})
	return c.ReplicationStatus != cinder.ReplicationFailingOver && value(c.ActiveBackendID) == v.known().Active, err
}

// follow is one round through all volumes and groups of the service. It returns
// how many rows it changed.
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
			continue // the same page again, as it is now
		}
		if lost {
			return changed, errors.New("volumes are being changed by others all the time")
		}
		races, after = 0, page[len(page)-1].ID
	}
	n, err := v.followGroups(ctx, f, owner)
	return changed + n, err
}

// followPage judges some volumes and writes those that change. lost says that
// some of them were changed by somebody else meanwhile.
func (v *Volume) followPage(ctx context.Context, f *following, page []cinder.Volume) (changed int, lost bool, err error) {
	var ask []cinder.Volume
	for i := range page {
		if f.asks(&page[i]) {
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
		now := f.volume(&page[i], verdicts[page[i].ID])
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

// followGroups does for groups what the rounds before it did for volumes: one is
// lost when any of its volumes is.
func (v *Volume) followGroups(ctx context.Context, f *following, owner cinder.Owner) (changed int, err error) {
	for range saveAttempts {
		groups, err := v.o.Store.Groups(ctx, owner)
		if err != nil {
			return changed, fmt.Errorf("read groups: %w", err)
		}
		var changes []cinder.GroupChange
		for i := range groups {
			if now := f.group(&groups[i]); now != groups[i] {
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

// asks says whether the backend has to be asked what became of a volume.
func (f *following) asks(v *cinder.Volume) bool {
	switch {
	case !v.ReplicationStatus.Replicated():
		return false
	case f.all:
		return true
	case f.active == "":
		return v.Before != nil && isAway(v)
	case v.ReplicationStatus == cinder.ReplicationFailoverError:
		return v.Before != nil // else it was somebody else's verdict
	default:
		return v.ReplicationStatus != cinder.ReplicationFailedOver
	}
}

// isAway says whether a replicated volume's row says that it is at another site.
func isAway(v *cinder.Volume) bool {
	return v.ReplicationStatus == cinder.ReplicationFailedOver || v.ReplicationStatus == cinder.ReplicationFailoverError
}

// volume is what becomes of a volume.
func (f *following) volume(was *cinder.Volume, verdict backend.Verdict) cinder.Volume {
	switch {
	case was.ReplicationStatus.Replicated() && f.asks(was):
		return f.replicated(*was, verdict)
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

// replicated is what becomes of a volume that is replicated.
func (f *following) replicated(v cinder.Volume, verdict backend.Verdict) cinder.Volume {
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
	default: // The failover was never finished: as if it had not been.
		v.ReplicationStatus, v.Before = before.ReplicationStatus, nil
	}
	return v
}

// leftBehind is a volume that is not replicated, after a failover.
func leftBehind(v cinder.Volume) cinder.Volume {
	if v.Before != nil || cinder.Failed(v.Status) {
		return v
	}
	status := v.Status
	v.Before = beforeOf(&v)
	v.PreviousStatus, v.Status, v.ReplicationStatus = &status, cinder.StatusError, cinder.ReplicationNotCapable
	return v
}

// broughtBack is a volume that was left behind, after the failback.
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

// restore gives back the status that a failover took. One of work that was under
// way then does not come back, for the work is over.
func restore(v *cinder.Volume) {
	if v.Status == cinder.StatusError && cinder.Lasting(v.Before.Status) {
		v.Status, v.PreviousStatus = v.Before.Status, v.Before.PreviousStatus
	}
}

func beforeOf(v *cinder.Volume) *cinder.BeforeFailover {
	return &cinder.BeforeFailover{Status: v.Status, PreviousStatus: v.PreviousStatus, ReplicationStatus: v.ReplicationStatus}
}

// group is what becomes of a group.
func (f *following) group(was *cinder.Group) cinder.Group {
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

// pause waits a little before a write that lost a race is tried again.
func pause(ctx context.Context) error {
	select {
	case <-time.After(rand.N(saveWait)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
