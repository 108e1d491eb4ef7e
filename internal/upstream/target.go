package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// unknown is the newest microversion of who has never said.
const unknown = -1

// maxVersions bounds the list of versions of a cinder-api: it takes under 1 KiB.
const maxVersions = 64 << 10

// target is one address.
type target struct {
	scheme, host string

	mu     sync.Mutex // guards what follows
	up     bool       // taken for granted before the first look
	looked bool
	newest int // microversion
}

func (t *target) state() (up bool, newest int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.up, t.newest
}

// order is the addresses as they are tried: those that were there at the last
// look, then the others, since a look may be a while ago.
func (u *Upstream) order() []*target {
	all := slices.Clone(u.targets)
	slices.SortStableFunc(all, func(a, b *target) int {
		aUp, _ := a.state()
		bUp, _ := b.state()
		switch {
		case aUp == bUp:
			return 0
		case aUp:
			return -1
		default:
			return 1
		}
	})
	return all
}

// ask asks an address for its versions, and fails when it is of no use.
func (u *Upstream) ask(ctx context.Context, t *target) (newest int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*u.o.Connect)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.scheme+"://"+t.host+"/", http.NoBody)
	if err != nil {
		return unknown, err
	}
	r.Header.Set("User-Agent", "stoker")
	resp, err := u.pooled.RoundTrip(r)
	if err != nil {
		return unknown, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxVersions))
	if err != nil {
		return unknown, err
	}
	if newest, ok := newestOf(body); ok {
		return newest, nil
	}
	return unknown, fmt.Errorf("its versions cannot be read from an answer with status %d", resp.StatusCode)
}

// newestOf reads the newest microversion out of a list of versions.
func newestOf(body []byte) (int, bool) {
	var list struct {
		Versions []struct {
			Version string `json:"version"`
		} `json:"versions"`
	}
	if json.Unmarshal(body, &list) != nil {
		return unknown, false
	}
	for _, v := range list.Versions {
		if minor, ok := strings.CutPrefix(v.Version, "3."); ok {
			n, err := strconv.ParseUint(minor, 10, 16)
			return int(n), err == nil
		}
	}
	return unknown, false
}

// found notes what a look found, and logs what has changed.
func (u *Upstream) found(ctx context.Context, t *target, newest int, err error) {
	t.mu.Lock()
	changed := !t.looked || t.up != (err == nil)
	t.up, t.looked = err == nil, true
	if err == nil {
		t.newest = newest
	}
	t.mu.Unlock()
	switch {
	case !changed:
	case err == nil:
		u.o.Log.InfoContext(ctx, "cinder-api answers", "upstream", t.host, "newest", "3."+strconv.Itoa(newest))
	default:
		u.o.Log.WarnContext(ctx, "cinder-api is away: only what this process serves itself is answered, or another cinder-api is asked", "upstream", t.host, "error", err)
	}
}

// unreachable is an error from before there was a connection: nothing was sent.
type unreachable struct{ err error }

func (e *unreachable) Error() string { return e.err.Error() }
func (e *unreachable) Unwrap() error { return e.err }

// lost notes that a request found an address out of reach. Only a look says that
// it is back.
func (u *Upstream) lost(ctx context.Context, t *target, err *unreachable) {
	if !errors.Is(err, context.Canceled) {
		u.found(ctx, t, unknown, err)
	}
}
