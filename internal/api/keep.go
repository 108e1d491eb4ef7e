package api

import (
	"maps"
	"sync"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// kept holds the last full list of each view as it was rendered. It is given
// out again only when rendering would give the same: control handed out the very
// same rows (which it and the store never change, but replace), the scheduler says
// the same, and no service has gone up or down by the clock alone.
type kept struct {
	mu    sync.Mutex // guards lists
	lists map[view]keptList
}

type keptList struct {
	services []cinder.Service // kept, so that no other rows can take their place in memory
	states   map[string]string
	from, to time.Time // the time of day for which it holds
	body     []byte
}

// render renders a full list, or gives out the one it has.
func (k *kept) render(l control.Listing, v view, states map[string]string) []byte {
	if len(l.Services) == 0 {
		return renderServices(l, v, states)
	}
	k.mu.Lock()
	old, ok := k.lists[v]
	k.mu.Unlock()
	if ok && sameRows(old.services, l.Services) && !l.Now.Before(old.from) && l.Now.Before(old.to) && maps.Equal(old.states, states) {
		return old.body
	}
	body := renderServices(l, v, states)
	until, ok := nextTurn(l)
	if !ok {
		return body
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lists == nil {
		k.lists = map[view]keptList{}
	}
	k.lists[v] = keptList{services: l.Services, states: states, from: l.Now, to: until, body: body}
	return body
}

// sameRows says whether two slices are one.
func sameRows(a, b []cinder.Service) bool { return len(a) == len(b) && &a[0] == &b[0] }

// farOff is when a list is rendered anew that the clock does not change.
const farOff = time.Hour

// nextTurn is when the clock alone changes the list: the first time at which a
// service that is up is down. ok is false when times of rows lie ahead of the
// clock: then what is shown of them depends on it in more ways than that.
func nextTurn(l control.Listing) (turn time.Time, ok bool) {
	turn = l.Now.Add(farOff)
	for i := range l.Services {
		s := &l.Services[i]
		beat := s.Heartbeat()
		if beat.After(l.Now) || s.ModifiedAt.After(l.Now) {
			return time.Time{}, false
		}
		// Up lasts until the down time has passed, that moment included.
		if end := beat.Add(l.DownTime).Add(1); end.After(l.Now) && end.Before(turn) {
			turn = end
		}
	}
	return turn, true
}
