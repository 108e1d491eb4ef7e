package api_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// The same request with the same key gets the first answer again, and nothing is
// done twice; another request is told so.
func TestIdempotencyKey(t *testing.T) {
	f := &fleet{}
	r := newRig(t, withFleet(f))
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	r.service(t, cinder.BinaryVolume, "a@c", nil)
	freeze := ask{method: "PUT", path: "{P}/os-services/freeze", version: "3.26", body: `{"host": "a@b"}`, header: []string{"Idempotency-Key: k1"}}
	first := r.do(t, freeze)
	if first.status != 200 || first.header.Get("X-Stoker-Operation") == "" || first.header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("%d %v", first.status, first.header)
	}
	again := r.do(t, freeze)
	if again.status != 200 || again.header.Get("X-Stoker-Operation") != first.header.Get("X-Stoker-Operation") ||
		again.header.Get("Idempotency-Replayed") != "true" || string(again.body) != string(first.body) {
		t.Errorf("again: %d %s %v", again.status, again.body, again.header)
	}
	if n := len(f.callers); n != 1 {
		t.Errorf("%d commands sent, want 1", n)
	}
	other := freeze
	other.body = `{"host": "a@c"}`
	if got := r.do(t, other); got.status != 422 || !strings.Contains(string(got.body), "used for another request") {
		t.Errorf("another request: %d %s", got.status, got.body)
	}
	other.token = "bob:" + project
	if got := r.do(t, other); got.status != 200 {
		t.Errorf("another caller's: %d %s", got.status, got.body)
	}
	bad := freeze
	bad.header = []string{"Idempotency-Key: " + strings.Repeat("k", 256)}
	if got := r.do(t, bad); got.status != 400 {
		t.Errorf("a key that is too long: %d %s", got.status, got.body)
	}
}

// An answer with a body is the same again; what changed nothing may be tried again.
func TestWhatIsKept(t *testing.T) {
	f := &fleet{err: cinder.Errorf(cinder.KindConflict, "the array is busy")}
	r := newRig(t, withFleet(f))
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	disable := ask{method: "PUT", path: "{P}/os-services/disable", body: `{"host": "a@b", "binary": "cinder-volume"}`, header: []string{"Idempotency-Key: k1"}}
	first, again := r.do(t, disable), r.do(t, disable)
	if first.status != 200 || string(first.body) != string(again.body) || len(again.body) == 0 {
		t.Errorf("%s, again %s", first.body, again.body)
	}
	refused := ask{method: "PUT", path: "{P}/os-services/freeze", version: "3.26", body: `{"host": "a@b"}`, header: []string{"Idempotency-Key: k2"}}
	first = r.do(t, refused)
	f.err = nil
	again = r.do(t, refused)
	if first.status != 409 || again.status != 409 || string(first.body) != string(again.body) {
		t.Errorf("a refused one: %d %s, again %d %s", first.status, first.body, again.status, again.body)
	}
	missing := ask{method: "PUT", path: "{P}/os-services/freeze", version: "3.26", body: `{"host": "late@b"}`, header: []string{"Idempotency-Key: k3"}}
	if got := r.do(t, missing); got.status != 400 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	r.service(t, cinder.BinaryVolume, "late@b", nil)
	if got := r.do(t, missing); got.status != 200 {
		t.Errorf("once it is there: %d %s", got.status, got.body)
	}
}

// A request whose first one is under way is told so, and so is one whose first one
// was cut off.
func TestKeyInUse(t *testing.T) {
	r := newRig(t, parts{})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	disable := ask{method: "PUT", path: "{P}/os-services/disable", body: `{"host": "a@b", "binary": "cinder-volume"}`, header: []string{"Idempotency-Key: k1"}}
	first := r.do(t, disable)
	id := first.header.Get("X-Openstack-Request-Id")
	// As a process leaves it that dies before it has answered.
	r.exec(t, `UPDATE stoker_requests SET status = 0, headers = ?, lease_until = ?`, `{"X-Openstack-Request-Id": "`+id+`"}`, stamp(-1e12))
	if got := r.do(t, disable); got.status != 409 || !strings.Contains(string(got.body), "is under way") {
		t.Errorf("under way: %d %s", got.status, got.body)
	}
	r.exec(t, `UPDATE stoker_requests SET lease_until = ?`, stamp(1e12))
	got := r.do(t, disable)
	if op := first.header.Get("X-Stoker-Operation"); got.status != 409 || !strings.Contains(string(got.body), op) || got.header.Get("X-Stoker-Operation") != op {
		t.Errorf("cut off: %d %s", got.status, got.body)
	}
	r.exec(t, `UPDATE stoker_requests SET headers = '{"X-Openstack-Request-Id": "req-none"}'`)
	if got := r.do(t, disable); got.status != 200 {
		t.Errorf("cut off before it had begun: %d %s", got.status, got.body)
	}
	r.exec(t, `UPDATE stoker_requests SET expires_at = ?`, stamp(1e12))
	enable := disable
	enable.path = "{P}/os-services/enable"
	if got := r.do(t, enable); got.status != 200 {
		t.Errorf("an expired key: %d %s", got.status, got.body)
	}
}

// lost is a store whose database is lost while it commits what begins the first
// operation: nobody knows whether it did.
type lost struct {
	control.Store
	wrote bool // it did
	again bool // it is there again
}

func (l *lost) Update(ctx context.Context, fn func(control.Tx) error) error {
	gone := cinder.Errorf(cinder.KindTimeout, "lost")
	goes := false
	err := l.Store.Update(ctx, func(tx control.Tx) error {
		n := &noting{Tx: tx}
		err := fn(n)
		goes = n.began && !l.again
		if err == nil && goes && !l.wrote {
			return gone
		}
		return err
	})
	l.again = l.again || goes
	if err == nil && goes {
		return gone
	}
	return err
}

// noting notes whether a transaction begins an operation.
type noting struct {
	control.Tx
	began bool
}

func (w *noting) AddOperation(ctx context.Context, op cinder.Operation) error {
	w.began = true
	return w.Tx.AddOperation(ctx, op)
}

// A change whose commit may or may not have been done is not done again when it
// was; when it was not, its key is free.
func TestKeyOfADoubtfulCommit(t *testing.T) {
	disable := ask{method: "PUT", path: "{P}/os-services/disable", body: `{"host": "a@b", "binary": "cinder-volume"}`, header: []string{"Idempotency-Key: k1"}}
	for name, wrote := range map[string]bool{"done": true, "not done": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, parts{store: func(s control.Store) control.Store { return &lost{Store: s, wrote: wrote} }})
			r.service(t, cinder.BinaryVolume, "a@b", nil)
			if got := r.do(t, disable); got.status != 504 || got.header.Get("X-Stoker-Operation") != "" {
				t.Fatalf("%d %s, want 504 without an operation", got.status, got.body)
			}
			got := r.do(t, disable)
			if wrote && (got.status != 409 || got.header.Get("X-Stoker-Operation") == "") || !wrote && got.status != 200 {
				t.Errorf("again: %d %s", got.status, got.body)
			}
			if n := len(r.operations(t, "").Operations); n != 1 {
				t.Errorf("%d operations were begun, want 1", n)
			}
		})
	}
}

// A caller leaves so many keys and no more. What it has sent before is answered all
// the same, and so is what it sends without a key; others have keys of their own.
func TestKeysOfOneCaller(t *testing.T) {
	r := newRig(t, parts{keys: 2})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	disable := func(token, key string) reply {
		t.Helper()
		a := ask{method: "PUT", path: "{P}/os-services/disable", body: `{"host": "a@b", "binary": "cinder-volume"}`, token: token}
		if key != "" {
			a.header = []string{"Idempotency-Key: " + key}
		}
		return r.do(t, a)
	}
	ann, bob := "ann:"+project, "bob:"+project
	for _, key := range []string{"k1", "k2"} {
		if got := disable(ann, key); got.status != 200 {
			t.Fatalf("%s: %d %s", key, got.status, got.body)
		}
	}
	got := disable(ann, "k3")
	if name, message := got.fault(t); got.status != 429 || name != "overLimit" || !strings.Contains(message, "idempotency_keys_per_caller") || !strings.Contains(message, "2") {
		t.Errorf("one too many: %d %s", got.status, got.body)
	}
	if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after < 23*3600 || after > 24*3600 {
		t.Errorf("Retry-After %q, want about a day", got.header.Get("Retry-After"))
	}
	if got := disable(ann, "k1"); got.status != 200 || got.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("one that was sent before: %d %s", got.status, got.body)
	}
	if got := disable(ann, ""); got.status != 200 {
		t.Errorf("without a key: %d %s", got.status, got.body)
	}
	if got := disable(bob, "k3"); got.status != 200 {
		t.Errorf("another caller's: %d %s", got.status, got.body)
	}
	r.exec(t, `UPDATE stoker_requests SET expires_at = ? WHERE id = (SELECT MIN(id) FROM stoker_requests WHERE caller = (
		SELECT caller FROM stoker_requests GROUP BY caller HAVING COUNT(*) = 2))`, stamp(1e12))
	if got := disable(ann, "k3"); got.status != 200 {
		t.Errorf("once one has expired: %d %s", got.status, got.body)
	}
}

// Of several at once, one is carried out.
func TestOneOfSeveral(t *testing.T) {
	f := &fleet{}
	r := newRig(t, parts{fleet: func(behind control.Fleet) control.Fleet { f.Fleet = behind; return f }})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	freeze := ask{method: "PUT", path: "{P}/os-services/freeze", version: "3.26", body: `{"host": "a@b"}`, header: []string{"Idempotency-Key: k1"}}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if got := r.do(t, freeze); got.status != 200 && got.status != 409 {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	if n := len(f.callers); n != 1 {
		t.Errorf("%d commands sent, want 1", n)
	}
}
